//! Copying both ways, each direction to its own end.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes on their way in one direction.
const BUFFER: usize = 64 * 1024;

/// Copies until both directions ended, or one broke. An end of file is passed on and the other
/// direction goes on; a break ends both.
pub(super) async fn both_ways<A, B>(client: A, engine: B)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut client_reader, mut client_writer) = tokio::io::split(client);
    let (mut engine_reader, mut engine_writer) = tokio::io::split(engine);
    let up = one_way(&mut client_reader, &mut engine_writer);
    let down = one_way(&mut engine_reader, &mut client_writer);
    // Dropping the halves of a direction that was cut short resets it.
    if let Err(error) = tokio::try_join!(up, down) {
        tracing::debug!(%error, "a relayed connection broke");
    }
}

async fn one_way<R, W>(reader: &mut R, writer: &mut W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = reader.read(&mut buffer).await?;
        if count == 0 {
            return writer.shutdown().await;
        }
        writer.write_all(&buffer[..count]).await?;
        writer.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use link::Service;
    use tokio::net::UnixStream;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// A client's socket, relayed over a link on a socket pair to an accepted stream.
    async fn relayed() -> (UnixStream, link::Stream, JoinHandle<()>) {
        let (here, there) = UnixStream::pair().unwrap();
        let (host, guest) = tokio::join!(link::host(here), link::guest(there));
        let ((opener, host_incoming), (guest_opener, mut incoming)) =
            (host.unwrap(), guest.unwrap());
        let (client, ours) = UnixStream::pair().unwrap();
        let stream = opener.open(Service::Api).await.unwrap();
        let relay = tokio::spawn(both_ways(ours, stream));
        let (_, engine) = timeout(DEADLINE, incoming.accept()).await.unwrap().unwrap();
        // The session lives as long as the test.
        tokio::spawn(async move {
            guest_opener.closed().await;
            drop((opener, host_incoming, incoming));
        });
        (client, engine, relay)
    }

    #[tokio::test]
    async fn the_client_s_end_does_not_cut_the_answer() {
        let (mut client, mut engine, relay) = relayed().await;
        client.write_all(b"stdin").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        timeout(DEADLINE, engine.read_to_end(&mut heard))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard, b"stdin");
        let answer = vec![3; 2 << 20];
        let (sent, received) = tokio::join!(
            async {
                engine.write_all(&answer).await.unwrap();
                engine.shutdown().await.unwrap();
            },
            async {
                let mut heard = Vec::new();
                timeout(DEADLINE, client.read_to_end(&mut heard))
                    .await
                    .unwrap()
                    .unwrap();
                heard
            }
        );
        let () = sent;
        assert!(received == answer);
        timeout(DEADLINE, relay).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn the_engine_s_end_does_not_cut_the_upload() {
        let (mut client, mut engine, relay) = relayed().await;
        engine.shutdown().await.unwrap();
        assert_eq!(
            timeout(DEADLINE, client.read(&mut [0; 8]))
                .await
                .unwrap()
                .unwrap(),
            0
        );
        client.write_all(b"still here").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        timeout(DEADLINE, engine.read_to_end(&mut heard))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard, b"still here");
        timeout(DEADLINE, relay).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_vanishes_stops_the_engine_s_writing() {
        let (client, mut engine, relay) = relayed().await;
        drop(client);
        let chunk = vec![0; 64 * 1024];
        let writing = async { while engine.write_all(&chunk).await.is_ok() {} };
        timeout(DEADLINE, writing).await.unwrap();
        drop(engine);
        timeout(DEADLINE, relay).await.unwrap().unwrap();
    }
}
