//! Addresses, names, ways out, and what stays closed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use crate::{Driver, Machine, Steps, isolation, steps, wait};

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    steps.step("network: address and route", || address(machine));
    steps.step("network: names", || names(machine));
    steps.step("network: containers reach each other", || {
        neighbours(machine)
    });
    steps.step("network: none and host", || modes(machine));
    // Docker's own daemon lets containers reach the host; we promise not to.
    if machine.driver() != Driver::Docker {
        steps.step("network: the machine's own services are closed", || {
            closed(machine)
        });
    }
    // The peer's daemon was started elsewhere.
    if machine.driver() != Driver::Docker {
        match isolation::has_own_server() {
            true => steps.step("network: names of a server", || served_names(machine)),
            false => steps::skip("dnsmasq (package dnsmasq-base) is not installed"),
        }
    }
    if machine.driver() == Driver::Qemu {
        steps.step("network: out to a service of the host", || out(machine));
        for driver in ["macvlan", "ipvlan"] {
            steps.step(&format!("network: {driver}"), || wire(machine, driver));
        }
        steps.step("network: a VLAN", || vlan(machine));
        match isolation::has_own_hosts() {
            true => steps.step("network: names that only this computer knows", || {
                own_names(machine);
            }),
            false => steps::unable("a file of hosts of the test's own needs root"),
        }
    }
}

fn address(machine: &Machine) {
    let script =
        "ip -4 -o addr show eth0; ip route; cat /proc/net/if_inet6 | grep -v ' lo' | wc -l";
    let text = machine.run(&[], &["sh", "-c", script]).ok();
    assert!(text.contains("inet 172."), "{text}");
    let route = text
        .lines()
        .find(|line| line.starts_with("default via 172."))
        .expect("a default route");
    assert!(route.contains(".0.1 dev eth0"), "{text}");
    let id = machine.run_detached(&["--name", "addressed"], &["sleep", "1000"]);
    let format = "{{.NetworkSettings.Networks.bridge.IPAddress}} {{.NetworkSettings.Networks.bridge.Gateway}} {{.NetworkSettings.Networks.bridge.MacAddress}}";
    let told = machine.docker(&["inspect", "--format", format, &id]).text();
    let words: Vec<&str> = told.split(' ').collect();
    let inside = machine
        .docker(&["exec", &id, "ip", "-o", "addr", "show", "eth0"])
        .ok();
    assert!(
        inside.contains(&format!("inet {}/16", words[0])),
        "{told}\n{inside}"
    );
    let link = machine
        .docker(&["exec", &id, "cat", "/sys/class/net/eth0/address"])
        .text();
    assert_eq!(link, words[2]);
    let hosts = machine.docker(&["exec", &id, "cat", "/etc/hosts"]).ok();
    assert!(
        hosts.contains(&format!("{}\t{}", words[0], &id[..12])),
        "{hosts}"
    );
    assert_eq!(machine.docker(&["exec", &id, "hostname"]).text(), id[..12]);
    machine.docker(&["rm", "-f", &id]).ok();
    let listed = machine
        .docker(&["network", "ls", "--format", "{{.Name}} {{.Driver}}"])
        .ok();
    assert!(
        listed.lines().any(|line| line == "bridge bridge"),
        "{listed}"
    );
}

fn names(machine: &Machine) {
    let text = machine.run(&[], &["cat", "/etc/resolv.conf"]).ok();
    assert!(text.contains("nameserver "), "{text}");
    if machine.driver() == Driver::Qemu {
        assert!(text.contains("nameserver 10.0.2.53"), "{text}");
    }
    let text = machine
        .run(
            &["--dns", "9.9.9.9", "--dns-search", "example.org"],
            &["cat", "/etc/resolv.conf"],
        )
        .ok();
    assert!(
        text.contains("nameserver 9.9.9.9") && text.contains("search example.org"),
        "{text}"
    );
}

/// Containers with addresses of their own on the machine's wire.
fn wire(machine: &Machine, driver: &str) {
    let create = ["network", "create", "-d", driver, "-o", "parent=eth0"];
    let addresses = ["--subnet=10.0.2.0/24", "--ip-range=10.0.2.64/27"];
    let rest = ["--gateway=10.0.2.2", "wire"];
    machine
        .docker(&[&create[..], &addresses, &rest].concat())
        .ok();
    let on = ["--network", "wire"];
    let named = [&on[..], &["--name", "wired"]].concat();
    let id = machine.run_detached(&named, &["sleep", "1000"]);
    let format = "{{.NetworkSettings.Networks.wire.IPAddress}}";
    let ip = machine.docker(&["inspect", "--format", format, &id]).text();
    assert!(ip.starts_with("10.0.2.6"), "{ip}");
    let script = "ping -c 1 -W 5 10.0.2.2 && ping -c 1 -W 5 $0 && ping -c 1 -W 5 wired";
    machine.run(&on, &["sh", "-c", script, &ip]).ok();
    machine.docker(&["rm", "-f", &id]).ok();
    machine.docker(&["network", "rm", "wire"]).ok();
}

/// A VLAN of the machine's wire, which is made for the network and goes with it.
fn vlan(machine: &Machine) {
    let create = ["network", "create", "-d", "macvlan", "-o", "parent=eth0.7"];
    let rest = ["--subnet=10.77.0.0/24", "tagged"];
    machine.docker(&[&create[..], &rest].concat()).ok();
    let on = ["--network", "tagged"];
    let named = [&on[..], &["--name", "peer"]].concat();
    let id = machine.run_detached(&named, &["sleep", "1000"]);
    machine
        .run(&on, &["ping", "-c", "1", "-W", "5", "peer"])
        .ok();
    let known = || {
        let shown = machine.run(&["--network", "host"], &["ip", "link", "show"]);
        shown.text().contains("eth0.7@eth0")
    };
    assert!(known());
    machine.docker(&["rm", "-f", &id]).ok();
    machine.docker(&["network", "rm", "tagged"]).ok();
    // It is removed in the background.
    wait::until_true("the VLAN is gone", Duration::from_secs(20), || !known());
}

fn neighbours(machine: &Machine) {
    let script = "while :; do echo hello | nc -l -p 80; done";
    let id = machine.run_detached(&[], &["sh", "-c", script]);
    let format = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
    let ip = machine.docker(&["inspect", "--format", format, &id]).text();
    machine.run(&[], &["ping", "-c", "1", "-W", "5", &ip]).ok();
    let script = format!("until nc -w 2 {ip} 80 < /dev/null; do usleep 100000; done");
    assert_eq!(machine.run(&[], &["sh", "-c", &script]).text(), "hello");
    machine.docker(&["rm", "-f", &id]).ok();
}

fn modes(machine: &Machine) {
    let names = machine
        .run(&["--network", "none"], &["ls", "/sys/class/net"])
        .text();
    assert!(!names.contains("eth0") && names.contains("lo"), "{names}");
    let _ = machine
        .run(
            &["--network", "none"],
            &["ping", "-c", "1", "-W", "1", "127.0.0.1"],
        )
        .exits(0);
    if machine.driver() == Driver::Qemu {
        let text = machine
            .run(&["--network", "host"], &["ip", "-4", "-o", "addr"])
            .ok();
        assert!(text.contains("10.0.2.15"), "{text}");
    }
}

fn closed(machine: &Machine) {
    // A service on all addresses of the machine: reachable from there, not from a container.
    let script = "while :; do echo secret | nc -l -p 2375; done";
    let id = machine.run_detached(&["--network", "host"], &["sh", "-c", script]);
    let reach = |options: &[&str], address: &str| {
        let script = format!("nc -w 3 {address} 2375 < /dev/null");
        machine.run(options, &["sh", "-c", &script]).stdout
    };
    crate::wait::until_true(
        "the service listens",
        std::time::Duration::from_secs(30),
        || reach(&["--network", "host"], "127.0.0.1") == "secret\n",
    );
    let gateway = machine
        .docker(&[
            "network",
            "inspect",
            "bridge",
            "--format",
            "{{(index .IPAM.Config 0).Gateway}}",
        ])
        .text();
    assert_eq!(reach(&[], &gateway), "", "the gateway's services are open");
    if machine.driver() == Driver::Qemu {
        assert_eq!(
            reach(&[], "10.0.2.15"),
            "",
            "the machine's services are open"
        );
    }
    machine
        .run(&[], &["ping", "-c", "1", "-W", "5", &gateway])
        .ok();
    machine.docker(&["rm", "-f", &id]).ok();
}

fn out(machine: &Machine) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = [0_u8; 1024];
        let length = stream.read(&mut request).expect("a request");
        assert!(
            request[..length].starts_with(b"GET /page"),
            "not the request"
        );
        stream
            .write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            .expect("an answer");
    });
    let url = format!("http://10.0.2.2:{port}/page");
    assert_eq!(
        machine.run(&[], &["wget", "-q", "-O", "-", &url]).text(),
        "hello"
    );
    server.join().expect("the server");
}

/// What the computer's name server says reaches containers as it is.
fn served_names(machine: &Machine) {
    machine.docker(&["network", "create", "asking"]).ok();
    let questions = [
        ("a", "web.zone.test", "Address: 192.0.2.80"),
        ("aaaa", "web.zone.test", "Address: 2001:db8::80"),
        ("a", "www.zone.test", "Address: 192.0.2.80"),
        ("txt", "web.zone.test", "text = \"kept in the zone\""),
        ("mx", "zone.test", "mail exchanger = 10 web.zone.test"),
        ("ptr", "80.2.0.192.in-addr.arpa", "name = web.zone.test"),
        ("mx", "web.zone.test", "Non-authoritative answer:\n"),
        ("a", "nobody.zone.test", "NXDOMAIN"),
        ("txt", "nobody.zone.test", "NXDOMAIN"),
        ("ptr", "81.2.0.192.in-addr.arpa", "NXDOMAIN"),
    ];
    let ask = |(kind, name, _): &(&str, &str, &str)| {
        format!("echo == {kind} {name}; nslookup -type={kind} {name}; ")
    };
    let script: String = questions.iter().map(ask).collect();
    let ran = machine.run(
        &["--network", "asking"],
        &["sh", "-c", &format!("exec 2>&1; {script}")],
    );
    let told: Vec<&str> = ran.stdout.split("== ").skip(1).collect();
    assert_eq!(told.len(), questions.len(), "{}", ran.stdout);
    for ((kind, name, expected), told) in questions.iter().zip(told) {
        assert!(told.contains(expected), "{kind} {name}: {told}");
    }
    machine.docker(&["network", "rm", "asking"]).ok();
}

/// The computer's own resolver answers, here from its `/etc/hosts`.
fn own_names(machine: &Machine) {
    let (name, address) = isolation::OWN_NAME;
    let (other, _) = isolation::OWN_LOOPBACK;
    machine.docker(&["network", "create", "asking"]).ok();
    let script = format!(
        "nslookup -type=a {name}; nslookup -type=aaaa {name} && echo nothing of that kind; \
         nslookup {address}; nslookup -type=a {other}; nslookup -type=a {name}.123"
    );
    for network in ["bridge", "asking", "host"] {
        let options = ["--network", network];
        let ran = machine.run(&options, &["sh", "-c", &script]);
        let text = format!("{}{}", ran.stdout, ran.stderr);
        for expected in [
            format!("Name:\t{name}\nAddress: {address}\n"),
            "nothing of that kind".to_owned(),
            format!("name = {name}\n"),
            // What is the computer's own there is the computer.
            format!("Name:\t{other}\nAddress: 10.0.2.2\n"),
            format!("can't find {name}.123: NXDOMAIN"),
        ] {
            assert!(text.contains(&expected), "{network}: no {expected}: {text}");
        }
    }
    // Names of containers come first, and no others in a network without a way out.
    machine.run_detached(
        &["--network", "asking", "--name", "neighbour"],
        &["sleep", "1000"],
    );
    let on = [
        "--network",
        "asking",
        "--link",
        "neighbour:shop.slipway.test",
    ];
    let ran = machine.run(&on, &["nslookup", "-type=a", other]).ok();
    assert!(!ran.contains("10.0.2.2"), "{ran}");
    machine.docker(&["rm", "-f", "neighbour"]).ok();
    machine.docker(&["network", "rm", "asking"]).ok();
}
