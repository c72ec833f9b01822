//! What packets can and can't do.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrV4, SocketType, ipproto};

use super::lab::{Lab, OUTSIDE_HOST, OUTSIDE_MACHINE, addresses, id, inside};

/// Long enough for a packet that will come, short enough for one that won't.
const PATIENCE: Duration = Duration::from_millis(700);

/// Whether `ip` answers an ICMP echo; needs no capability thanks to `ping_group_range`.
fn ping(ip: Ipv4Addr) -> bool {
    let socket: OwnedFd =
        rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, Some(ipproto::ICMP)).unwrap();
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).unwrap();
    let echo = [8, 0, 0, 0, 0, 0, 0, 1, b'h', b'i'];
    if rustix::net::sendto(
        &socket,
        &echo,
        SendFlags::empty(),
        &SocketAddrV4::new(ip, 0),
    )
    .is_err()
    {
        return false;
    }
    let mut answer = [0_u8; 64];
    rustix::net::recv(&socket, &mut answer, RecvFlags::empty())
        .is_ok_and(|(length, _)| length >= 8 && answer[0] == 0)
}

/// Whether one of a few echoes is answered: the network may lose a packet, as any may.
fn reaches(ip: Ipv4Addr) -> bool {
    (0..5).any(|_| ping(ip))
}

fn connect(ip: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    connect_within(ip, port, Duration::from_secs(20))
}

fn connect_within(ip: Ipv4Addr, port: u16, limit: Duration) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from((ip, port)), limit)
}

/// Accepts one connection, says hello and reports who came.
fn greet_one(listener: TcpListener) -> thread::JoinHandle<IpAddr> {
    thread::spawn(move || {
        let (mut stream, peer) = listener.accept().unwrap();
        stream.write_all(b"hello").unwrap();
        peer.ip()
    })
}

#[test]
fn containers_reach_each_other_and_themselves() {
    Lab::run(|lab| {
        let network = lab.network();
        let first = network.attach(&id(1)).unwrap();
        let second = network.attach(&id(2)).unwrap();
        assert_eq!(addresses(&first).0, Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(first.mac, "02:42:ac:11:00:02");
        assert_eq!(addresses(&second).0, Ipv4Addr::new(172, 17, 0, 3));
        assert!(
            inside(&first.netns, || reaches(addresses(&second).0)),
            "first to second"
        );
        assert!(
            inside(&second.netns, || reaches(addresses(&first).0)),
            "second to first"
        );
        assert!(inside(&first.netns, || ping(Ipv4Addr::LOCALHOST)), "lo");

        let listener = inside(&first.netns, || TcpListener::bind(("0.0.0.0", 80)).unwrap());
        let greeter = greet_one(listener);
        let text = inside(&second.netns, || {
            let mut text = String::new();
            connect(addresses(&first).0, 80)
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            text
        });
        assert_eq!(text, "hello");
        assert_eq!(greeter.join().unwrap(), IpAddr::V4(addresses(&second).0));
    });
}

#[test]
fn the_way_out_is_masqueraded_and_nothing_comes_in() {
    Lab::run(|lab| {
        let network = lab.network();
        let endpoint = network.attach(&id(1)).unwrap();
        let listener = lab.on_the_internet(|| TcpListener::bind((OUTSIDE_HOST, 80)).unwrap());
        let greeter = greet_one(listener);
        let text = inside(&endpoint.netns, || {
            let mut text = String::new();
            connect(OUTSIDE_HOST, 80)
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            text
        });
        assert_eq!(text, "hello");
        assert_eq!(greeter.join().unwrap(), IpAddr::V4(OUTSIDE_MACHINE));
        assert!(inside(&endpoint.netns, || ping(OUTSIDE_HOST)));

        // Even a neighbour that knows the way can't open a connection to a container.
        lab.on_the_internet(|| {
            let mut netlink = crate::netlink::Netlink::open().unwrap();
            let route = {
                let eth0 = crate::bridge::links(&mut netlink).unwrap()["eth0"].index;
                crate::messages::add_default_route(eth0, true, Some(OUTSIDE_MACHINE.into()))
            };
            netlink.apply(vec![route]).unwrap();
            assert!(ping(OUTSIDE_MACHINE));
            assert!(
                !ping(addresses(&endpoint).0),
                "a container answered the outside"
            );
        });
    });
}

#[test]
fn the_machines_own_services_are_out_of_reach() {
    Lab::run(|lab| {
        let network = lab.network();
        let endpoint = network.attach(&id(1)).unwrap();
        let listener = TcpListener::bind(("0.0.0.0", 2375)).unwrap();
        // The listener does work, from the outside and from the machine.
        lab.on_the_internet(|| connect(OUTSIDE_MACHINE, 2375).unwrap());
        connect(addresses(&endpoint).1, 2375).unwrap();
        drop(listener.accept());
        for address in [addresses(&endpoint).1, OUTSIDE_MACHINE] {
            let refused = inside(&endpoint.netns, || {
                connect_within(address, 2375, PATIENCE).unwrap_err()
            });
            assert_eq!(refused.kind(), ErrorKind::TimedOut, "{address}: {refused}");
        }
        assert!(inside(&endpoint.netns, || ping(addresses(&endpoint).1)));
        // The machine itself may speak to a container.
        let inner = inside(&endpoint.netns, || {
            TcpListener::bind(("0.0.0.0", 80)).unwrap()
        });
        let greeter = greet_one(inner);
        let mut text = String::new();
        connect(addresses(&endpoint).0, 80)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "hello");
        assert_eq!(greeter.join().unwrap(), IpAddr::V4(addresses(&endpoint).1));
    });
}

#[test]
fn a_container_without_network_has_only_loopback() {
    Lab::run(|lab| {
        let network = lab.network();
        let netns = network.open_sandbox(&id(1), &[], false).unwrap().netns;
        inside(&netns, || {
            let names: Vec<String> = lab.interfaces();
            assert!(!names.iter().any(|name| name == "eth0"), "{names:?}");
            assert!(ping(Ipv4Addr::LOCALHOST));
            assert!(!ping(Ipv4Addr::new(172, 17, 0, 1)));
        });
        network.detach(&id(1));
        assert!(!netns.exists());
    });
}
