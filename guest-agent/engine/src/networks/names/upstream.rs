//! Asking others: the machine's own name servers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::Engine;

/// How long one server may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// The machine's name servers now: a laptop changes networks.
pub(super) fn servers(engine: &Engine) -> Vec<IpAddr> {
    engine
        .network
        .get()
        .map(|network| network.upstream())
        .unwrap_or_default()
}

/// Asks one after the other; nothing when none answers.
pub(super) async fn udp(servers: &[IpAddr], question: &[u8]) -> Option<Vec<u8>> {
    for server in servers {
        if let Ok(Some(answer)) = timeout(PATIENCE, datagram(*server, question)).await {
            return Some(answer);
        }
    }
    None
}

async fn datagram(server: IpAddr, question: &[u8]) -> Option<Vec<u8>> {
    let any = if server.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect((server, 53)).await.ok()?;
    socket.send(question).await.ok()?;
    let mut buffer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut buffer).await.ok()?;
        let answer = buffer.get(..length)?;
        // Another's answer is none.
        if answer.get(..2) == question.get(..2) {
            return Some(answer.to_vec());
        }
    }
}

/// The same over TCP.
pub(super) async fn tcp(servers: &[IpAddr], question: &[u8]) -> Option<Vec<u8>> {
    for server in servers {
        if let Ok(Ok(answer)) = timeout(PATIENCE, conversation(*server, question)).await {
            return Some(answer);
        }
    }
    None
}

async fn conversation(server: IpAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((server, 53)).await?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    stream.write_u16(length).await?;
    stream.write_all(question).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
