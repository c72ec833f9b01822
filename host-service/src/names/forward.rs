//! Questions that the system has no call for go to its name servers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use link::datagrams::{receive, send};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::servers;

/// How long one server may take.
const PATIENCE: Duration = Duration::from_millis(1900);

/// Servers that are asked before there is no time left.
const SERVERS: usize = 2;

/// A number that nobody can guess.
pub(super) fn id() -> u16 {
    let mut bytes = [0; 2];
    // Without it the port alone is a secret.
    let _ = getrandom::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

/// Asks one server after the other; nothing when none answers.
pub(super) async fn ask(question: &[u8]) -> Option<Vec<u8>> {
    let found = tokio::task::spawn_blocking(servers::find).await;
    for server in found.unwrap_or_default().into_iter().take(SERVERS) {
        match timeout(PATIENCE, one(server, question)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%server, %error, "a name server can't be asked"),
            Err(_) => tracing::debug!(%server, "a name server does not answer"),
        }
    }
    None
}

async fn one(server: IpAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    const TRUNCATED: u8 = 2;
    let answer = datagram(server, question).await?;
    if answer.get(2).is_some_and(|flags| flags & TRUNCATED != 0) {
        return conversation(server, question).await;
    }
    Ok(answer)
}

async fn datagram(server: IpAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = match server {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect((server, 53)).await?;
    let id = id().to_be_bytes();
    let asked = [&id[..], question.get(2..).unwrap_or_default()].concat();
    socket.send(&asked).await?;
    let mut buffer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Another's answer is none.
        if length > 2 && buffer[..2] == id {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn conversation(server: IpAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((server, 53)).await?;
    send(&mut stream, question).await?;
    let mut answer = Vec::new();
    let received = receive(&mut stream, &mut answer).await?;
    received
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        .map(|()| answer)
}
