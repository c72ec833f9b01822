//! Everything that answers a container with default options: names, and what the person published.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::{Driver, Machine, Steps, guest, server, steps, wait};

const LIMIT: Duration = Duration::from_secs(30);

/// A scan of all ports, in an emulated machine on a busy host.
const LONG: Duration = Duration::from_secs(400);

/// The image of the scanner.
const SCAN: &str = "slipway-test/scan:latest";

/// Ports of addresses that the same rules close as the gateway, of which all are tried.
const SOME: &str = "1-4096";

/// Where the virtual machine answers questions for names.
const NAMES: &str = "10.0.2.53";

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    // Docker's own daemon lets containers reach the host.
    if machine.driver() == Driver::Docker {
        return;
    }
    let ready = guest::load(machine, "scan", SCAN).and_then(|()| server::load(machine));
    if let Err(why) = ready {
        return steps::skip(&why);
    }
    steps.step("reach: addresses of the machine and its host", || {
        addresses(machine)
    });
    steps.step("reach: from a network with IPv6", || ipv6(machine));
    if machine.driver() == Driver::Qemu {
        steps.step("reach: names from an internal network", || {
            internal(machine)
        });
    }
    steps.step("reach: sockets to the host, and devices", || {
        devices(machine)
    });
}

/// What the scanner finds, a line each.
fn scan(machine: &Machine, options: &[&str], arguments: &[&str]) -> BTreeSet<String> {
    let files = ["run", "--rm", "--ulimit", "nofile=20000:20000"];
    let all = [&files[..], options, &[SCAN], arguments].concat();
    let text = machine.docker_command(&all).within(LONG).run().ok();
    let mut lines: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    assert!(lines.remove("done"), "the scanner did not end: {text}");
    lines
}

fn gateway(machine: &Machine, network: &str, number: usize) -> String {
    let format = format!("{{{{(index .IPAM.Config {number}).Gateway}}}}");
    machine
        .docker(&["network", "inspect", network, "--format", &format])
        .text()
}

/// A container with a published port; the port on the host.
fn published(machine: &Machine) -> String {
    server::run(machine, "public", &["-p", "80"]);
    let at = server::open_at(machine, "public", "80");
    wait::until_true("it answers", LIMIT, || server::who(at).is_ok());
    at.port().to_string()
}

fn addresses(machine: &Machine) {
    let port = published(machine);
    let gateway = gateway(machine, "bridge", 0);
    let mut targets = vec!["net", &gateway];
    let mut expected = BTreeSet::from([format!("tcp {gateway} {port}")]);
    if machine.driver() == Driver::Qemu {
        targets.extend([SOME, "10.0.2.15", NAMES]);
        expected.extend([format!("tcp {NAMES} 53"), format!("udp {NAMES} 53")]);
    }
    assert_eq!(scan(machine, &[], &targets), expected);
    if machine.driver() == Driver::Qemu {
        // Behind QEMU's addresses is the person's computer, as behind `host.docker.internal`: its own
        // services answer, ours must not.
        let ours = listening(machine);
        assert_eq!(ours, BTreeSet::from([port.clone()]), "ours listen");
        let public = format!("{port}-{port}");
        let targets = ["net", &public, "10.0.2.2", SOME, "10.0.2.2", "10.0.2.3"];
        let found = scan(machine, &[], &targets);
        assert!(found.contains(&format!("tcp 10.0.2.2 {port}")), "{found:?}");
        // Whatever else was found there is somebody else's, since ours listen nowhere else.
    }
    machine.docker(&["rm", "-f", "public"]).ok();
}

/// TCP ports that our programs on this computer listen on.
fn listening(machine: &Machine) -> BTreeSet<String> {
    let mut sockets = BTreeSet::new();
    for pid in [machine.service_pid(), machine.machine_pid()] {
        let pid = pid.expect("a process of ours");
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).expect("its files") {
            let link = entry.and_then(|entry| fs::read_link(entry.path()));
            let name = link.map(|link| link.display().to_string());
            sockets.extend(name.ok().and_then(|name| {
                let inode = name.strip_prefix("socket:[")?.strip_suffix("]")?;
                Some(inode.to_owned())
            }));
        }
    }
    let mut ports = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, "0A", .., inode] = words[..10.min(words.len())] else {
                continue;
            };
            if sockets.contains(inode) {
                let port = local.rsplit(':').next().unwrap_or_default();
                let port = u16::from_str_radix(port, 16).expect("a port");
                ports.insert(port.to_string());
            }
        }
    }
    ports
}

fn ipv6(machine: &Machine) {
    machine
        .docker(&["network", "create", "--ipv6", "reaching"])
        .ok();
    let (first, second) = (
        gateway(machine, "reaching", 0),
        gateway(machine, "reaching", 1),
    );
    let script = "ping -6 -c 1 -W 5 $0 > /dev/null; ip -6 neigh show $0 dev eth0; \
                  cat /sys/class/net/eth0/ifindex";
    let on = ["--network", "reaching"];
    let told = machine.run(&on, &["sh", "-c", script, &second]).text();
    let words: Vec<&str> = told.split_whitespace().collect();
    let link = words.iter().position(|word| *word == "lladdr");
    let mac = link.and_then(|at| words.get(at + 1)).expect("the bridge's");
    let index = words.last().expect("a number");
    // The bridge's own address of the kernel's making.
    let local = format!("{}%{index}", link_local(mac));
    let found = scan(machine, &on, &["net", SOME, &first, &second, &local]);
    assert_eq!(found, BTreeSet::new());
    machine.docker(&["network", "rm", "reaching"]).ok();
}

/// The address that a card with this hardware address gives itself (RFC 4291, appendix A).
fn link_local(mac: &str) -> Ipv6Addr {
    let bytes: Vec<u8> = mac
        .split(':')
        .map(|pair| u8::from_str_radix(pair, 16).expect("a hardware address"))
        .collect();
    let [a, b, c, d, e, f] = bytes[..] else {
        panic!("{mac} is no hardware address");
    };
    let mut ip = [0; 16];
    ip[..2].copy_from_slice(&[0xfe, 0x80]);
    ip[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    ip.into()
}

/// Not even who makes a route for it gets names out of a network that leads nowhere.
fn internal(machine: &Machine) {
    machine
        .docker(&["network", "create", "--internal", "inside"])
        .ok();
    let gateway = gateway(machine, "inside", 0);
    let script = format!(
        "ip route add {NAMES} via {gateway} && ! nslookup -timeout=2 localhost {NAMES} > /dev/null"
    );
    let options = ["--network", "inside", "--cap-add", "NET_ADMIN"];
    machine.run(&options, &["sh", "-c", &script]).ok();
    machine.docker(&["network", "rm", "inside"]).ok();
}

fn devices(machine: &Machine) {
    let found = scan(machine, &[], &["vsock"]);
    let closed = found.iter().all(|line| line.starts_with("vsock closed"));
    assert!(closed, "{found:?}");
    let fine = |line: &String| {
        // With Docker's 10:200 nobody can do anything without CAP_NET_ADMIN.
        let own = [
            "1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2", "10:200",
        ];
        let device = line.strip_prefix("char ").unwrap_or_default();
        let number = device.split(": ").next().unwrap_or_default();
        own.contains(&number) || number.starts_with("136:")
    };
    let mut found = scan(machine, &[], &["devices"]);
    found.retain(|line| !fine(line));
    assert!(found.is_empty(), "open to a container: {found:?}");
}
