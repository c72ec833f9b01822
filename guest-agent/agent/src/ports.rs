//! `slipway-agent ports`: leads connections from the host's published ports to containers. A process
//! of its own, so that they go on when the engine ends.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use link::ports::{Protocol, Target};
use link::{Service, Stream};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::arguments::Link;
use crate::sessions;

/// Serves the link for ever.
pub(crate) async fn serve(link: Link) {
    let take = |service, stream| match service {
        Service::Port => drop(tokio::spawn(carry(stream))),
        Service::Api | Service::Control | Service::Resolve => {
            tracing::warn!("the host asks for the engine where only ports are");
        }
    };
    sessions::serve(link, take).await;
}

async fn carry(mut stream: Stream) {
    // A stream that is dropped is reset, which the host passes on to its client.
    let carried = async {
        let target = link::ports::asked(&mut stream).await?;
        match target.protocol {
            Protocol::Tcp => tcp(stream, target).await,
            Protocol::Udp => udp(stream, target).await,
        }
    };
    if let Err(error) = carried.await {
        tracing::debug!(%error, "a connection to a port ended early");
    }
}

async fn tcp(mut stream: Stream, target: Target) -> io::Result<()> {
    let mut container = TcpStream::connect(target.address).await?;
    container.set_nodelay(true)?;
    link::ports::answer(&mut stream).await?;
    let copied = link::copy::both_ways(&mut container, &mut stream).await;
    if copied.is_err() {
        // The container is to see a break too, not an end.
        container.set_zero_linger()?;
    }
    copied
}

async fn udp(mut stream: Stream, target: Target) -> io::Result<()> {
    let any: SocketAddr = if target.address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(target.address).await?;
    link::ports::answer(&mut stream).await?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::select! {
        // The host ends the flow when it has been idle.
        ended = to_container(&mut reader, &socket) => ended?,
        ended = to_host(&socket, &mut writer) => ended?,
    }
    writer.shutdown().await
}

async fn to_container<R: AsyncRead + Unpin>(reader: &mut R, socket: &UdpSocket) -> io::Result<()> {
    let mut datagram = Vec::new();
    while link::datagrams::receive(reader, &mut datagram)
        .await?
        .is_some()
    {
        // Nobody listens (yet), or it is too long for the way: lost, as datagrams may be.
        let _ = socket.send(&datagram).await;
    }
    Ok(())
}

async fn to_host<W: AsyncWrite + Unpin>(socket: &UdpSocket, writer: &mut W) -> io::Result<()> {
    let mut datagram = vec![0; usize::from(u16::MAX)];
    loop {
        // An error is the answer to a datagram before: nobody listened.
        if let Ok(length) = socket.recv(&mut datagram).await {
            link::datagrams::send(writer, &datagram[..length]).await?;
        }
    }
}
