//! What is left after attachments, crashes and restarts: nothing of ours, and all of others'.

use std::fs;
use std::process::Command;
use std::time::Instant;

use super::lab::{Lab, id};
use crate::messages;
use crate::netlink::Netlink;
use crate::{Error, Options};

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
                assert!(endpoint.ip.octets()[3] > 1, "round {round}: {endpoint:?}");
            }
            for number in 0..4 {
                let begun = Instant::now();
                network.detach(&id(number)).unwrap();
                detaching.push(begun.elapsed());
            }
        }
        let begun = Instant::now();
        network.recover(&[] as &[&str]).unwrap();
        eprintln!("settled after {:?}", begun.elapsed());
        assert_eq!(lab.interfaces(), interfaces);
        assert_eq!(lab.mounts(), mounts);
        assert_eq!(network.attach(&id(0)).unwrap().ip.octets()[3], 2);
        network.detach(&id(0)).unwrap();
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
                    scope.spawn(move || network.attach(&id(number)).unwrap().ip)
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
        before.attach_none(&id(3)).unwrap();
        let identity = before.info().id;
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
        assert_eq!(after.info().id, identity);
        assert_eq!(after.recover(&[id(1)]).unwrap(), [id(1)]);
        assert_eq!(after.endpoint(&id(1)), Some(kept.clone()));
        assert!(after.endpoint(&id(2)).is_none());
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
        assert_eq!(after.attach(&id(5)).unwrap().ip.octets()[3], 3);
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
        network.detach(&id(1)).unwrap();
        network.recover(&[] as &[&str]).unwrap();
        assert_eq!(network.attach(&id(1)).unwrap().ip.octets()[3], 2);
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
        assert!(network.info().warnings.is_empty());
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
        let warnings = lab.network().info().warnings;
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
        assert_eq!(network.info().warnings.len(), 1);
        network.attach_none(&id(2)).unwrap();
        assert!(network.endpoint(&id(1)).is_none());
    });
}

#[test]
fn a_subnet_that_the_machine_uses_is_left_alone() {
    Lab::run(|lab| {
        let mut netlink = Netlink::open().unwrap();
        let out0 = crate::bridge::links(&mut netlink).unwrap()["out0"].index;
        let theirs = "172.17.4.0/24".parse().unwrap();
        let address = std::net::Ipv4Addr::new(172, 17, 4, 1);
        let add = || messages::add_address(out0, "out0", address, theirs);
        netlink.apply(vec![add()]).unwrap();
        let network = lab.network();
        assert_eq!(network.info().subnet.to_string(), "172.18.0.0/16");
        let identity = network.info().id;
        drop(network);
        // Kept, although 172.17 is free again: addresses don't jump around for nothing.
        let remove = messages::remove_address(out0, "out0", address, theirs);
        netlink.apply(vec![remove]).unwrap();
        let network = lab.network();
        assert_eq!(network.info().subnet.to_string(), "172.18.0.0/16");
        assert_eq!(network.info().id, identity);
        let endpoint = network.attach(&id(1)).unwrap();
        assert_eq!(endpoint.gateway.to_string(), "172.18.0.1");
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
            let state = directory.join("state");
            crate::Network::open(&directory, &state, Options::default()).unwrap()
        };
        let second = open();
        assert_eq!(first.info().bridge, "slipway0");
        assert_eq!(second.info().bridge, "slipway1");
        assert_eq!(second.info().subnet.to_string(), "172.18.0.0/16");
        second.attach(&id(1)).unwrap();
        drop(second);
        let second = open();
        assert_eq!(second.info().bridge, "slipway1");
        second.recover(&[] as &[&str]).unwrap();
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
