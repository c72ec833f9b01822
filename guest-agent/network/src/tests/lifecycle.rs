//! What is left after attachments, crashes and restarts: nothing of ours, and all of others'.

use std::fs;
use std::process::Command;
use std::time::Instant;

use super::lab::{DEFAULT, Lab, addresses, id, spec};
use crate::messages;
use crate::netlink::Netlink;
use crate::{Error, Options, Protocol, Published};

fn nft(arguments: &[&str]) -> String {
    let output = Command::new(Options::default().nft)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn two_hundred_attachments_leave_nothing() {
    Lab::run(|lab| {
        let network = lab.network();
        let interfaces = lab.interfaces();
        let mounts = lab.mounts();
        let mut attaching = Vec::new();
        let mut detaching = Vec::new();
        for round in 0..50 {
            for number in 0..4 {
                let begun = Instant::now();
                let endpoint = network.attach(&id(number)).unwrap();
                attaching.push(begun.elapsed());
                assert!(
                    addresses(&endpoint).0.octets()[3] > 1,
                    "round {round}: {endpoint:?}"
                );
            }
            for number in 0..4 {
                let begun = Instant::now();
                network.detach(&id(number));
                detaching.push(begun.elapsed());
            }
        }
        let begun = Instant::now();
        network.recover(&[]);
        eprintln!("settled after {:?}", begun.elapsed());
        assert_eq!(lab.interfaces(), interfaces);
        assert_eq!(lab.mounts(), mounts);
        assert_eq!(addresses(&network.attach(&id(0)).unwrap()).0.octets()[3], 2);
        network.detach(&id(0));
        for directory in ["netns", "leases"] {
            let path = lab.run_directory().join(directory);
            assert_eq!(fs::read_dir(path).unwrap().count(), 0, "{directory}");
        }
        attaching.sort_unstable();
        detaching.sort_unstable();
        eprintln!(
            "attach: median {:?}, slowest {:?}; detach: median {:?}, slowest {:?}",
            attaching[100], attaching[199], detaching[100], detaching[199]
        );
    });
}

#[test]
fn attachments_at_once_get_different_addresses() {
    Lab::run(|lab| {
        let network = lab.network();
        let mut addresses: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|number| {
                    let network = &network;
                    scope.spawn(move || network.attach(&id(number)).unwrap().ip())
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 16);
    });
}

#[test]
fn an_engine_that_starts_again_keeps_the_living_and_removes_the_dead() {
    Lab::run(|lab| {
        let before = lab.network();
        let kept = before.attach(&id(1)).unwrap();
        before.attach(&id(2)).unwrap();
        before.open_sandbox(&id(3), &[], false).unwrap();
        drop(before);

        // Half an attachment: a port of ours without a lease, and a file without a mount.
        let mut netlink = Netlink::open().unwrap();
        let bridge = crate::bridge::links(&mut netlink).unwrap()["slipway0"].index;
        let own = fs::File::open("/proc/thread-self/ns/net").unwrap();
        let stray = |name, bridge| {
            use std::os::fd::AsFd;
            messages::add_veth(name, bridge, &format!("{name}p"), own.as_fd(), [2; 6], 1500)
        };
        netlink.apply(vec![stray("sw-stray", bridge)]).unwrap();
        // Somebody else's interface, even with a name like ours, stays: it isn't on our bridge.
        let foreign = crate::bridge::links(&mut netlink).unwrap()["out0"].index;
        netlink.apply(vec![stray("sw-foreign", foreign)]).unwrap();
        fs::write(lab.run_directory().join("netns").join(id(4)), "").unwrap();

        let after = lab.network();
        assert_eq!(after.recover(&[id(1)]), [id(1)]);
        assert_eq!(after.of(&id(1)), Some(kept.clone()));
        assert!(after.of(&id(2)).is_none());
        let names = lab.interfaces();
        assert!(names.contains(&kept.host_iface), "{names:?}");
        assert!(names.contains(&"sw-foreign".to_owned()), "{names:?}");
        assert!(!names.contains(&"sw-stray".to_owned()), "{names:?}");
        for number in [2, 3, 4] {
            assert!(!lab.run_directory().join("netns").join(id(number)).exists());
        }
        assert!(matches!(
            after.attach(&id(1)),
            Err(Error::AlreadyAttached { .. })
        ));
        assert_eq!(addresses(&after.attach(&id(5)).unwrap()).0.octets()[3], 3);
    });
}

#[test]
fn a_failed_attach_leaves_nothing_and_can_be_repeated() {
    Lab::run(|lab| {
        let network = lab.network();
        // The namespace's place is taken by something that can't be mounted over.
        let place = lab.run_directory().join("netns").join(id(1));
        fs::create_dir(&place).unwrap();
        network.attach(&id(1)).unwrap_err();
        fs::remove_dir(&place).unwrap();
        // Detaching continues where the failure was; then all is well.
        network.detach(&id(1));
        network.recover(&[]);
        assert_eq!(addresses(&network.attach(&id(1)).unwrap()).0.octets()[3], 2);
        for wrong in ["", "../../etc/passwd", "abc", "zzzzzzzzzzzzzzzz"] {
            assert!(matches!(
                network.attach(wrong),
                Err(Error::InvalidId { .. })
            ));
        }
    });
}

#[test]
fn only_our_own_table_is_touched() {
    Lab::run(|lab| {
        nft(&["add", "table", "inet", "theirs"]);
        nft(&["add", "chain", "inet", "theirs", "keep"]);
        let network = lab.network();
        let first = nft(&["list", "table", "inet", "slipway0"]);
        assert!(first.contains("masquerade"), "{first}");
        drop(network);
        let network = lab.network();
        assert_eq!(nft(&["list", "table", "inet", "slipway0"]), first);
        assert!(network.warnings().is_empty());
        network.attach(&id(1)).unwrap();
        network.close().unwrap();
        let left = nft(&["list", "ruleset"]);
        assert!(
            left.contains("theirs") && !left.contains("slipway"),
            "{left}"
        );
        assert!(!lab.interfaces().contains(&"slipway0".to_owned()));
    });
}

#[test]
fn a_forward_chain_that_drops_is_a_warning() {
    Lab::run(|lab| {
        nft(&["add", "table", "ip", "filter"]);
        let chain = "{ type filter hook forward priority 0; policy drop; }";
        nft(&["add", "chain", "ip", "filter", "FORWARD", chain]);
        let warnings = lab.network().warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("ip filter FORWARD"), "{warnings:?}");
    });
}

#[test]
fn without_nft_attaching_says_what_to_install() {
    Lab::run(|lab| {
        let network = lab.network_with(Options {
            nft: "/nonexistent/nft".into(),
            ..Options::default()
        });
        let error = network.attach(&id(1)).unwrap_err().to_string();
        assert!(error.contains("install the package nftables"), "{error}");
        assert_eq!(network.warnings().len(), 1);
        network.open_sandbox(&id(2), &[], false).unwrap();
        assert!(network.of(&id(1)).is_none());
    });
}

#[test]
fn what_the_machine_uses_is_known() {
    Lab::run(|lab| {
        let network = lab.network();
        let taken = network.taken().unwrap();
        let taken: Vec<String> = taken.iter().map(ToString::to_string).collect();
        assert_eq!(taken, ["203.0.113.0/24"], "our own network is no obstacle");
    });
}

#[test]
fn networks_come_and_go_with_their_rules() {
    Lab::run(|lab| {
        let network = lab.network();
        let table = || nft(&["list", "table", "inet", "slipway0"]);
        let before = (table(), lab.interfaces());
        let other = "fedcba9876543210";
        network.up(spec(other, "br-test", "10.5.0.0/24")).unwrap();
        let request = |network: &str| crate::Request {
            network: network.to_owned(),
            ..crate::Request::default()
        };
        network
            .open_sandbox(&id(1), &[request(DEFAULT), request(other)], true)
            .unwrap();
        let names: Vec<String> = network
            .endpoints(&id(1))
            .into_iter()
            .map(|endpoint| endpoint.iface)
            .collect();
        assert_eq!(names, ["eth0", "eth1"]);
        let port = Published {
            network: other.to_owned(),
            protocol: Protocol::Tcp,
            host: "0.0.0.0".parse().unwrap(),
            host_port: 8080,
            target: "10.5.0.2:80".parse().unwrap(),
            fitness: crate::Fitness::Ready,
        };
        network.publish(&id(1), vec![port]).unwrap();
        assert!(table().contains("8080"), "{}", table());
        network.leave(&id(1), DEFAULT).unwrap();
        network.publish(&id(1), Vec::new()).unwrap();
        network.detach(&id(1));
        network.down(other).unwrap();
        network.recover(&[]);
        assert_eq!((table(), lab.interfaces()), before);
    });
}

#[test]
fn a_bridge_that_was_taken_away_comes_back() {
    Lab::run(|lab| {
        let network = lab.network();
        let mut netlink = Netlink::open().unwrap();
        netlink
            .apply(vec![messages::remove_link("slipway0")])
            .unwrap();
        network.attach(&id(1)).unwrap();
        assert!(lab.interfaces().contains(&"slipway0".to_owned()));
    });
}

#[test]
fn two_engines_on_one_machine_keep_to_themselves() {
    Lab::run(|lab| {
        let first = lab.network();
        let kept = first.attach(&id(1)).unwrap();
        let open = || {
            let directory = lab.directory.join("second");
            let networks = crate::Networks::open(&directory, Options::default()).unwrap();
            let net = super::lab::Net { networks };
            let interface = net.default_interface().to_owned();
            net.up(spec(DEFAULT, &interface, "172.18.0.0/16")).unwrap();
            net
        };
        let second = open();
        assert_eq!(first.default_interface(), "slipway0");
        assert_eq!(second.default_interface(), "slipway1");
        second.attach(&id(1)).unwrap();
        drop(second);
        let second = open();
        assert_eq!(second.default_interface(), "slipway1");
        second.recover(&[]);
        second.close().unwrap();
        assert!(matches!(
            second.attach(&id(2)),
            Err(Error::Unavailable { .. })
        ));
        assert!(lab.interfaces().contains(&kept.host_iface));
        assert!(nft(&["list", "ruleset"]).contains("slipway0"));
        assert!(!nft(&["list", "ruleset"]).contains("slipway1"));
    });
}
