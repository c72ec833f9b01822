//! Messages on a stream, each behind its length in two bytes: datagrams of a published UDP port, and
//! DNS messages as RFC 1035 has them over TCP.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Sends one datagram.
///
/// # Errors
/// When the stream is broken, or the datagram too long for one.
pub async fn send<S: AsyncWrite + Unpin>(stream: &mut S, datagram: &[u8]) -> io::Result<()> {
    let length = u16::try_from(datagram.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "too long for a datagram"))?;
    let mut frame = Vec::with_capacity(2 + datagram.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(datagram);
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// Receives one datagram into `buffer`, which is to hold the longest; `None` at the end.
///
/// # Errors
/// When the stream breaks.
pub async fn receive<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<()>> {
    let length = match stream.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    buffer.resize(length.into(), 0);
    stream.read_exact(buffer).await?;
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn datagrams_keep_their_bounds() {
        let (mut here, mut there) = tokio::io::duplex(200_000);
        let long = vec![7; 65_507];
        for datagram in [b"".as_slice(), b"one", &long] {
            send(&mut here, datagram).await.unwrap();
        }
        assert!(send(&mut here, &vec![0; 65_536]).await.is_err());
        drop(here);
        let mut heard = Vec::new();
        for expected in [b"".as_slice(), b"one", &long] {
            receive(&mut there, &mut heard).await.unwrap().unwrap();
            assert_eq!(heard, expected);
        }
        assert!(receive(&mut there, &mut heard).await.unwrap().is_none());
    }
}
