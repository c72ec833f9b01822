//! Ports over a real link, with a guest that leads connections as the machine's does.
#![allow(clippy::unwrap_used)]

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use link::ports::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use tokio::time::timeout;

use link::control::Port;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// A server that the guest plays itself, for more connections than there may be files.
const IN_PLACE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2);

/// Tells [`clients`] where to connect to.
const CLIENTS: &str = "SLIPWAY_TEST_CLIENTS";

/// Ports whose link leads to this computer itself.
async fn connected() -> Ports {
    let ports = Ports::new();
    relink(&ports).await;
    ports
}

async fn relink(ports: &Ports) -> Opener {
    let (here, there) = UnixStream::pair().unwrap();
    let (host, guest) = tokio::join!(link::host(here), link::guest(there));
    let ((opener, _), (guest, mut incoming)) = (host.unwrap(), guest.unwrap());
    tokio::spawn(async move {
        while let Some((_, stream)) = incoming.accept().await {
            tokio::spawn(lead(stream));
        }
        drop(guest);
    });
    ports.set_link(Some(opener.clone()));
    opener
}

/// What the guest does.
async fn lead(mut stream: link::Stream) -> io::Result<()> {
    let target = link::ports::asked(&mut stream).await?;
    if target.address == IN_PLACE {
        link::ports::answer(&mut stream).await?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        writer.write_all(b"a").await?;
        return tokio::io::copy(&mut reader, &mut writer).await.map(drop);
    }
    if target.protocol == Protocol::Tcp {
        let mut container = TcpStream::connect(target.address).await?;
        link::ports::answer(&mut stream).await?;
        return link::copy::both_ways(&mut container, &mut stream).await;
    }
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(target.address).await?;
    link::ports::answer(&mut stream).await?;
    let (mut datagram, mut answer) = (Vec::new(), vec![0; 65_535]);
    while link::datagrams::receive(&mut stream, &mut datagram)
        .await?
        .is_some()
    {
        socket.send(&datagram).await?;
        let length = socket.recv(&mut answer).await?;
        link::datagrams::send(&mut stream, &answer[..length]).await?;
    }
    Ok(())
}

/// A server that says its name, then all that it hears, then its name again.
async fn server(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                writer.write_all(name.as_bytes()).await?;
                tokio::io::copy(&mut reader, &mut writer).await?;
                writer.write_all(name.as_bytes()).await
            });
        }
    });
    address
}

fn port(target: SocketAddr, range: Option<(u16, u16)>) -> Port {
    Port {
        protocol: Protocol::Tcp,
        hosts: vec![Ipv4Addr::LOCALHOST.into()],
        range,
        target,
        group: None,
    }
}

fn publication(container: &str, ports: Vec<Port>) -> Publication {
    Publication {
        container: format!("{container:0<12}"),
        name: container.to_owned(),
        condition: Condition::Ready,
        ports,
    }
}

/// Publishes one port; where it is open.
async fn publish(ports: &Ports, container: &str, port: Port) -> SocketAddr {
    ports
        .publish(&publication(container, vec![port]))
        .await
        .unwrap()[0][0]
}

/// What a client hears that says something and ends.
async fn ask(address: SocketAddr, words: &[u8]) -> io::Result<String> {
    let asking = async {
        let mut client = TcpStream::connect(address).await?;
        client.write_all(words).await?;
        client.shutdown().await?;
        let mut heard = String::new();
        client.read_to_string(&mut heard).await?;
        Ok(heard)
    };
    timeout(DEADLINE, asking).await.unwrap()
}

#[tokio::test]
async fn a_connection_goes_both_ways_and_each_ends_on_its_own() {
    let ports = connected().await;
    let open = publish(&ports, "web", port(server("a").await, None)).await;
    assert_eq!(ask(open, b"hello").await.unwrap(), "ahelloa");
    assert_eq!(ports.lock().list()[0].containers, ["web"]);
    ports.withdraw("web000000000");
    assert!(ask(open, b"hello").await.is_err());
    assert!(ports.lock().list().is_empty());
}

#[tokio::test]
async fn what_nobody_answers_breaks() {
    let ports = connected().await;
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = nowhere.local_addr().unwrap();
    drop(nowhere);
    let open = publish(&ports, "web", port(target, None)).await;
    let error = ask(open, b"hello").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn connections_wait_for_the_link_and_live_as_long_as_it() {
    let ports = Ports::new();
    let open = publish(&ports, "web", port(server("a").await, None)).await;
    let early = tokio::spawn(ask(open, b"early"));
    let opener = relink(&ports).await;
    assert_eq!(early.await.unwrap().unwrap(), "aearlya");
    let mut client = TcpStream::connect(open).await.unwrap();
    client.read_u8().await.unwrap();
    opener.close();
    let broken = timeout(DEADLINE, client.read_u8()).await.unwrap();
    assert_eq!(broken.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_port_belongs_to_one_service() {
    let ports = connected().await;
    let taken = publish(&ports, "web", port(server("a").await, None)).await;
    let number = Some((taken.port(), taken.port()));
    let other = publication("db", vec![port(server("b").await, number)]);
    let refused = ports.publish(&other).await.unwrap_err();
    assert_eq!(
        refused,
        format!(
            "Bind for {taken} failed: port is already allocated: container web (web000000000) has \
             published it"
        )
    );
    // The same on all addresses is the same port.
    let mut all = other.clone();
    all.ports[0].hosts = vec![Ipv4Addr::UNSPECIFIED.into()];
    assert!(ports.publish(&all).await.is_err());
    // Nothing of what fails in part stays.
    let free = publish(&ports, "other", port(server("c").await, None)).await;
    ports.withdraw("other0000000");
    let mut part = other.clone();
    part.ports
        .insert(0, port(taken, Some((free.port(), free.port()))));
    assert!(ports.publish(&part).await.is_err());
    assert_eq!(ports.lock().list().len(), 1);
    // One's own twice.
    let twice = vec![port(taken, Some((free.port(), free.port()))); 2];
    let refused = ports
        .publish(&publication("twice", twice))
        .await
        .unwrap_err();
    assert!(refused.contains("port is already allocated"), "{refused}");
    ports.withdraw("web000000000");
    assert_eq!(publish(&ports, "db", other.ports[0].clone()).await, taken);
}

#[tokio::test]
async fn a_program_that_has_the_port_is_named() {
    let ports = connected().await;
    let theirs = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = theirs.local_addr().unwrap();
    let number = Some((taken.port(), taken.port()));
    let one = publication("web", vec![port(taken, number)]);
    let refused = ports.publish(&one).await.unwrap_err();
    let expected = format!("failed to bind host port {taken}/tcp: address already in use");
    assert!(refused.starts_with(&expected), "{refused}");
    if let Some(who) = host::holder(Protocol::Tcp, taken.port()) {
        let me = format!("(process {})", std::process::id());
        assert!(who.ends_with(&me) && refused.contains(&who), "{refused}");
    }
    // Of a range the next one is taken.
    let next = taken.port() + 1;
    let range = publication("web", vec![port(taken, Some((taken.port(), next)))]);
    if let Ok(open) = ports.publish(&range).await {
        assert_eq!(open[0][0].port(), next);
    }
}

#[tokio::test]
async fn a_free_port_is_the_same_on_all_addresses() {
    let ports = connected().await;
    let mut both = port(server("a").await, None);
    both.hosts = vec![
        Ipv4Addr::UNSPECIFIED.into(),
        std::net::Ipv6Addr::UNSPECIFIED.into(),
    ];
    let open = ports
        .publish(&publication("web", vec![both]))
        .await
        .unwrap();
    let numbers: Vec<u16> = open[0].iter().map(SocketAddr::port).collect();
    assert!(numbers.iter().all(|one| *one == numbers[0] && *one != 0));
    for address in &open[0] {
        let local: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        let heard = ask(SocketAddr::new(local, numbers[0]), b"x").await.unwrap();
        assert_eq!(heard, "axa");
    }
}

#[tokio::test]
async fn replicas_share_a_port_and_one_that_fails_is_passed_over() {
    let ports = connected().await;
    let replica = |target, number: Option<u16>| Port {
        group: Some("shop/web/80/tcp".to_owned()),
        ..port(target, number.map(|number| (number, number)))
    };
    let open = publish(&ports, "one", replica(server("1").await, None)).await;
    let number = Some(open.port());
    publish(&ports, "two", replica(server("2").await, number)).await;
    let dead = SocketAddr::from(([127, 0, 0, 1], 1));
    publish(&ports, "three", replica(dead, number)).await;
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.push(ask(open, b"").await.unwrap());
    }
    assert!(
        heard.contains(&"11".to_owned()) && heard.contains(&"22".to_owned()),
        "{heard:?}"
    );
    // One that stops keeps what it has and gets nothing new.
    let mut client = TcpStream::connect(open).await.unwrap();
    let name = client.read_u8().await.unwrap();
    let (stopping, other) = if name == b'1' {
        ("one", "22")
    } else {
        ("two", "11")
    };
    ports.set_condition(&format!("{stopping:0<12}"), Condition::Stopping);
    for _ in 0..4 {
        assert_eq!(ask(open, b"").await.unwrap(), other);
    }
    client.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
    // Another service may not.
    let mut stranger = replica(dead, number);
    stranger.group = Some("shop/db/80/tcp".to_owned());
    assert!(
        ports
            .publish(&publication("db", vec![stranger]))
            .await
            .is_err()
    );
    ports.withdraw("one000000000");
    ports.withdraw("three0000000");
    assert_eq!(ask(open, b"").await.unwrap(), "22");
}

#[tokio::test]
async fn a_new_engine_keeps_what_it_names_and_closes_the_rest() {
    let ports = connected().await;
    let web = port(server("a").await, None);
    let open = publish(&ports, "web", web.clone()).await;
    let gone = publish(&ports, "gone", web.clone()).await;
    let mut client = TcpStream::connect(open).await.unwrap();
    client.read_u8().await.unwrap();
    ports.begin();
    let again = port(web.target, Some((open.port(), open.port())));
    assert_eq!(publish(&ports, "web", again).await, open);
    ports.settle();
    assert_eq!(ports.lock().list().len(), 1);
    assert!(ask(gone, b"").await.is_err());
    client.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn datagrams_come_back_to_whom_they_are_for() {
    let ports = connected().await;
    let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = echo.local_addr().unwrap();
    tokio::spawn(async move {
        let mut datagram = vec![0; 65_535];
        while let Ok((length, from)) = echo.recv_from(&mut datagram).await {
            let _ = echo.send_to(&datagram[..length], from).await;
        }
    });
    let wanted = Port {
        protocol: Protocol::Udp,
        ..port(target, None)
    };
    let open = publish(&ports, "dns", wanted).await;
    let mut clients = Vec::new();
    for number in 0..20_u8 {
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(open).await.unwrap();
        client
            .send(&vec![number; 1 + 400 * usize::from(number)])
            .await
            .unwrap();
        clients.push(client);
    }
    for (number, client) in clients.iter().enumerate() {
        let mut heard = vec![0; 65_535];
        let length = timeout(DEADLINE, client.recv(&mut heard)).await.unwrap();
        let length = length.unwrap();
        assert_eq!(length, 1 + 400 * number);
        assert!(
            heard[..length]
                .iter()
                .all(|byte| usize::from(*byte) == number)
        );
    }
}

/// Not a test of its own: the other process of [`ten_thousand_connections_at_once`].
#[tokio::test]
async fn clients() {
    let Ok(open) = std::env::var(CLIENTS) else {
        return;
    };
    raise_limit();
    let mut clients = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        let connecting = timeout(DEADLINE, TcpStream::connect(&open));
        clients.push(connecting.await.unwrap().unwrap());
    }
    for client in &mut clients {
        client.write_all(b"x").await.unwrap();
    }
    let mut heard = [0; 2];
    for client in &mut clients {
        let reading = timeout(DEADLINE, client.read_exact(&mut heard));
        reading.await.unwrap().unwrap();
        assert_eq!(&heard, b"ax");
    }
}

const MANY: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_at_once() {
    raise_limit();
    let enough = host::limit().is_none_or(|limit| limit > MANY as u64 + 200);
    assert!(enough, "too few files may be open: raise the hard limit");
    let ports = connected().await;
    let open = publish(&ports, "web", port(IN_PLACE, None)).await;
    let mut clients = std::process::Command::new(std::env::current_exe().unwrap());
    clients
        .args(["--exact", "ports::tests::clients", "--nocapture"])
        .env(CLIENTS, open.to_string());
    let ended = tokio::task::spawn_blocking(move || clients.output());
    let ended = ended.await.unwrap().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let ran = String::from_utf8_lossy(&ended.stdout);
    assert!(ran.contains("1 passed"), "{ran}");
}
