//! Measured: what gets through a limited container's interface in a while.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::lab::{Lab, Net, addresses, id, inside};
use crate::netlink::Netlink;
use crate::{Bandwidth, Error, bridge, firewall, messages};

/// How long a measurement takes, and how much of its beginning does not count: the token bucket
/// starts full.
const MEASURED: Duration = Duration::from_millis(1500);
const SETTLING: Duration = Duration::from_millis(500);

/// Bits a second that get from one namespace to the other.
fn throughput(from: &Path, to: &Path, address: Ipv4Addr) -> f64 {
    let listener = inside(to, || TcpListener::bind(("0.0.0.0", 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let reader = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = vec![0; 256 * 1024];
        let begun = Instant::now();
        let mut bytes = 0;
        let mut settled = None;
        while begun.elapsed() < SETTLING + MEASURED {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the sender ended early");
            if begun.elapsed() < SETTLING {
                continue;
            }
            settled.get_or_insert_with(Instant::now);
            bytes += count;
        }
        let seconds = settled.expect("bytes").elapsed().as_secs_f64();
        bytes as f64 * 8.0 / seconds
    });
    let target = SocketAddr::from((address, port));
    let mut stream = inside(from, || TcpStream::connect(target).unwrap());
    let chunk = vec![0; 64 * 1024];
    // Until the reader has seen enough and closes.
    while stream.write_all(&chunk).is_ok() {}
    reader.join().unwrap()
}

/// False, with a reason printed, where the kernel can't limit.
fn limit(network: &Net, number: u32, egress: Option<u64>, ingress: Option<u64>) -> bool {
    match network.limit(&id(number), &Bandwidth { egress, ingress }) {
        Ok(()) => true,
        Err(Error::NoShaping) => {
            ::tests::steps::unable(&Error::NoShaping.to_string());
            false
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn a_limit_is_kept_in_its_direction_and_lifted_again() {
    Lab::run(|lab| {
        let network = lab.network();
        let first = network.attach(&id(1)).unwrap();
        let second = network.attach(&id(2)).unwrap();
        let sends = || throughput(&first.netns, &second.netns, addresses(&second).0);
        let receives = || throughput(&second.netns, &first.netns, addresses(&first).0);
        let near = |measured: f64, megabits: f64| {
            let ratio = measured / (megabits * 1e6);
            assert!(
                (0.5..1.4).contains(&ratio),
                "{:.1} Mbit/s instead of {megabits}",
                measured / 1e6
            );
        };
        if !limit(&network, 1, Some(20_000_000), None) {
            return;
        }
        near(sends(), 20.0);
        let free = receives();
        assert!(free > 60e6, "{free}: the other direction is not limited");
        assert!(limit(&network, 1, Some(8_000_000), Some(16_000_000)));
        near(sends(), 8.0);
        near(receives(), 16.0);
        assert!(limit(&network, 1, None, None));
        let lifted = sends();
        assert!(lifted > 60e6, "{lifted}: the limit was lifted");
        // What is not limited can't be lifted twice, and that is fine.
        assert!(limit(&network, 1, None, None));
    });
}

#[test]
fn a_container_can_not_lift_what_it_may_send() {
    Lab::run(|lab| {
        let network = lab.network();
        let first = network.attach(&id(1)).unwrap();
        let second = network.attach(&id(2)).unwrap();
        let sends = || throughput(&first.netns, &second.netns, addresses(&second).0);
        let free = sends();
        assert!(free > 60e6, "{free}");
        if !limit(&network, 1, Some(16_000_000), None) {
            return;
        }
        // As `tc qdisc del dev eth0 root` does with CAP_NET_ADMIN.
        inside(&first.netns, || {
            let mut netlink = Netlink::open().unwrap();
            let eth0 = bridge::index_of(&mut netlink, "eth0").unwrap();
            let lifted = messages::shape(eth0, "eth0", None);
            netlink.apply(vec![lifted]).unwrap();
        });
        let held = sends();
        assert!(held < 16e6 * 1.4, "{:.1} Mbit/s instead of 16", held / 1e6);

        // An engine that starts anew keeps it so, whatever became of the table.
        let options = &network.options;
        firewall::limit(&options.nft, &options.bridge, &BTreeMap::new()).unwrap();
        assert!(sends() > 60e6, "the test itself can lift it");
        let limits = Bandwidth {
            egress: Some(16_000_000),
            ingress: None,
        };
        network.restore_limits(&BTreeMap::from([(id(1), limits)]));
        let held = sends();
        assert!(held < 16e6 * 1.4, "{:.1} Mbit/s instead of 16", held / 1e6);

        let rules = || {
            let mut nft = Command::new(&network.options.nft);
            String::from_utf8(nft.args(["list", "ruleset"]).output().unwrap().stdout).unwrap()
        };
        assert!(rules().contains("hook ingress"), "{}", rules());
        network.detach(&id(1));
        assert!(!rules().contains("hook ingress"), "{}", rules());
    });
}

#[test]
fn who_is_not_attached_can_not_be_limited() {
    Lab::run(|lab| {
        let network = lab.network();
        let refused = network.limit(&id(7), &Bandwidth::default()).unwrap_err();
        assert!(matches!(refused, Error::NotAttached { .. }), "{refused:?}");
    });
}
