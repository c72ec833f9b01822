//! Networks as somebody outside of the machine sees them: gateway modes, published ports of both
//! kinds of address and protocol, and networks that share an interface of the machine.

use std::process::{Child, Command, Stdio};

use crate::support::{Host, Output, host};

/// A computer beside the engine's, `.1` and `.2` on their wire, that knows the way to containers.
struct Outside {
    sleeper: Child,
}

const MACHINE: &str = "203.0.113.1";
const NEIGHBOUR: &str = "203.0.113.2";
const MACHINE6: &str = "2001:db8:1::1";
const NEIGHBOUR6: &str = "2001:db8:1::2";

impl Outside {
    fn new(host: &Host) -> Self {
        let mut sleeper = Command::new("unshare")
            .args([
                "-n",
                "sh",
                "-c",
                "ip link set lo up && echo up && exec sleep 1000",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let told = sleeper.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(told), &mut line).unwrap();
        let outside = Self { sleeper };
        let pid = outside.sleeper.id();
        on_the_machine(
            host,
            &format!(
                "ip link add out0 type veth peer name out1 netns {pid} && ip link set out0 up && \
                 ip addr add {MACHINE}/24 dev out0 && ip addr add {MACHINE6}/64 dev out0 nodad && \
                 ip route add default via {NEIGHBOUR} && ip route add default via {NEIGHBOUR6}"
            ),
        )
        .good();
        outside
            .run(&format!(
                "ip link set out1 up && ip addr add {NEIGHBOUR}/24 dev out1 && \
                 ip addr add {NEIGHBOUR6}/64 dev out1 nodad && \
                 ip route add default via {MACHINE} && ip route add default via {MACHINE6}"
            ))
            .good();
        outside
    }

    fn run(&self, script: &str) -> Output {
        within(&self.sleeper.id().to_string(), script)
    }

    /// Whether a server there says its word.
    fn hears(&self, address: &str, port: u16) -> bool {
        let script = format!("busybox nc -w 2 {address} {port} < /dev/null");
        self.run(&script).stdout == "hello\n"
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.sleeper.kill();
        let _ = self.sleeper.wait();
    }
}

/// Runs a script in the network namespace of a process.
fn within(pid: &str, script: &str) -> Output {
    let output = Command::new("nsenter")
        .args(["-t", pid, "-n", "sh", "-c", script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Output {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

fn on_the_machine(host: &Host, script: &str) -> Output {
    within(&host.agent().unwrap().to_string(), script)
}

#[track_caller]
pub(crate) fn network(host: &Host, args: &[&str]) {
    host.docker(&[&["network", "create"], args].concat()).good();
}

/// A server that says hello on ports 80 and 81.
#[track_caller]
fn server(host: &Host, name: &str, args: &[&str]) {
    let script = "while :; do echo hello | nc -l -p 81; done & \
                  while :; do echo hello | nc -l -p 80; done";
    let words = [
        &["run", "-d", "--name", name][..],
        args,
        &["busybox", "sh", "-c", script],
    ];
    host.docker(&words.concat()).good();
}

pub(crate) fn address(host: &Host, name: &str, field: &str) -> String {
    let field = format!("range .NetworkSettings.Networks}}}}{{{{.{field}}}}}{{{{end");
    host.field(name, &field)
}

#[test]
fn gateway_modes_say_who_comes_in_and_how_one_goes_out() {
    let host = host!();
    host.docker(&["network", "ls"]).good();
    let outside = Outside::new(&host);
    let mode = |mode: &str| {
        let kinds = ["ipv4", "ipv6"];
        kinds.map(|kind| format!("com.docker.network.bridge.gateway_mode_{kind}={mode}"))
    };
    for name in ["nat", "nat-unprotected", "routed"] {
        let [four, six] = mode(name);
        network(&host, &["--ipv6", "-o", &four, "-o", &six, name]);
        server(&host, name, &["--network", name, "-p", "80"]);
    }
    // Where the way in is the container's own address, no port of the machine is.
    let ports = |name: &str| host.field(name, "json .NetworkSettings.Ports");
    assert_eq!(
        ports("routed"),
        r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":""},{"HostIp":"::","HostPort":""}]}"#
    );
    let [_, six] = mode("routed");
    network(&host, &["--ipv6", "-o", &six, "mixed"]);
    server(&host, "mixed", &["--network", "mixed", "-p", "8088:80"]);
    assert_eq!(
        ports("mixed"),
        r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8088"},{"HostIp":"::","HostPort":""}]}"#
    );
    let ip = address(&host, "mixed", "GlobalIPv6Address");
    host.until("both ways in", || {
        outside.hears(MACHINE, 8088) && outside.hears(&ip, 80)
    });
    assert!(!outside.hears(MACHINE6, 8088));
    let [four, six] = mode("isolated");
    network(
        &host,
        &["--internal", "--ipv6", "-o", &four, "-o", &six, "isolated"],
    );
    for name in ["alone", "along"] {
        server(&host, name, &["--network", "isolated"]);
    }
    for (name, published, other) in [
        ("nat", false, false),
        ("nat-unprotected", true, true),
        ("routed", true, false),
    ] {
        for field in ["IPAddress", "GlobalIPv6Address"] {
            let ip = address(&host, name, field);
            for (port, open) in [(80, published), (81, other)] {
                // Between two clients the server is away for a moment.
                let hears = || outside.hears(&ip, port);
                if open {
                    host.until(&format!("{name} answers at {ip}, {port}"), hears);
                } else {
                    assert!(!hears(), "{name} {ip} {port}");
                }
            }
        }
    }
    // Out: with the machine's address, or with their own.
    let mut port = 9000;
    for (name, own) in [("nat", false), ("nat-unprotected", false), ("routed", true)] {
        for (field, neighbour, machine) in [
            ("IPAddress", NEIGHBOUR, MACHINE),
            ("GlobalIPv6Address", NEIGHBOUR6, MACHINE6),
        ] {
            let ip = address(&host, name, field);
            let expected = if own { ip.as_str() } else { machine };
            port += 1;
            let seen = peer_of(&host, &outside, name, neighbour, port);
            assert_eq!(seen, expected, "{name}");
        }
    }
    // An isolated network has no gateway, and its containers each other.
    let ip = address(&host, "along", "IPAddress");
    let ask = |address: &str| {
        let script = format!("nc -w 2 {address} 80 < /dev/null");
        host.docker(&["exec", "alone", "sh", "-c", &script]).stdout
    };
    host.until("neighbours hear each other", || ask(&ip) == "hello\n");
    let routes = host.docker(&["exec", "alone", "ip", "route"]).good();
    assert!(!routes.contains("default"), "{routes}");
    let bridge = host
        .docker(&["network", "inspect", "-f", "{{.ID}}", "isolated"])
        .good();
    let addresses = on_the_machine(&host, &format!("ip -o addr show br-{}", &bridge[..12])).good();
    assert!(!addresses.contains("inet "), "{addresses}");
}

#[test]
fn published_ports_follow_the_way_in() {
    let host = host!();
    host.docker(&["network", "ls"]).good();
    let outside = Outside::new(&host);
    let routed = "com.docker.network.bridge.gateway_mode_ipv4=routed";
    network(&host, &["--internal", "inside"]);
    network(&host, &["nat"]);
    network(&host, &["-o", routed, "routed"]);
    let ports = ["--network", "inside", "-p", "0.0.0.0:8090:80"];
    server(&host, "one", &[&ports[..], &["-p", "0.0.0.0::81"]].concat());
    let told = || host.field("one", "json .NetworkSettings.Ports");
    let move_to = |words: &[&str]| {
        host.docker(&[&["network"], words, &["one"]].concat())
            .good()
    };
    let nowhere = told();
    assert!(!nowhere.contains("HostIp"), "{nowhere}");
    move_to(&["connect", "nat"]);
    host.until("the named port leads in", || outside.hears(MACHINE, 8090));
    let first = told();
    assert!(first.contains(r#""HostPort":"8090""#), "{first}");
    // Where the container's own address is the way in, the machine's ports are closed.
    move_to(&["connect", "--gw-priority", "5", "routed"]);
    let open = r#"[{"HostIp":"0.0.0.0","HostPort":""}]"#;
    assert_eq!(told(), format!(r#"{{"80/tcp":{open},"81/tcp":{open}}}"#));
    let ip = host.field("one", ".NetworkSettings.Networks.routed.IPAddress");
    host.until("its own address answers", || outside.hears(&ip, 80));
    assert!(!outside.hears(MACHINE, 8090));
    move_to(&["disconnect", "routed"]);
    host.until("the named port leads in again", || {
        outside.hears(MACHINE, 8090)
    });
    // Between two that are alike, a port that nobody named stays what it was.
    let second = told();
    network(&host, &["another"]);
    move_to(&["connect", "another"]);
    assert_eq!(told(), second);
    move_to(&["disconnect", "nat"]);
    host.until("and by the other network", || outside.hears(MACHINE, 8090));
    assert_eq!(told(), second);
    move_to(&["disconnect", "another"]);
    assert_eq!(told(), nowhere);
}

/// Whom the neighbour sees when a container connects to a port of its, that nobody has used before.
fn peer_of(host: &Host, outside: &Outside, name: &str, neighbour: &str, port: u16) -> String {
    let listen = format!("timeout 5 busybox nc -l -p {port} < /dev/null > /dev/null 2>&1 &");
    let connect = format!("sleep 2 | nc -w 5 {neighbour} {port}");
    // Connections that have ended are there for a while too.
    let peers = format!(
        "for i in 1 2 3 4 5 6 7 8; do ss -Htan '( sport = :{port} )' | grep -v LISTEN; sleep 0.1; done; true"
    );
    let seen = std::cell::RefCell::new(String::new());
    host.until("the neighbour sees it", || {
        outside.run(&listen).good();
        host.docker(&["exec", "-d", name, "sh", "-c", &connect])
            .good();
        let told = outside.run(&peers).good();
        let peer = told.lines().find_map(|line| {
            let (address, _port) = line.split_whitespace().nth(4)?.rsplit_once(':')?;
            Some(address.trim_matches(['[', ']']).to_owned())
        });
        peer.is_some_and(|peer| {
            let peer = peer.strip_prefix("::ffff:").unwrap_or(&peer);
            peer.clone_into(&mut seen.borrow_mut());
            true
        })
    });
    seen.into_inner()
}

#[test]
fn networks_of_one_kind_of_address() {
    let host = host!();
    host.docker(&["network", "ls"]).good();
    let outside = Outside::new(&host);
    network(&host, &["--ipv4=false", "--ipv6", "six"]);
    network(&host, &["--ipv6", "both"]);
    for (name, on, port) in [("s1", "six", "8086"), ("b1", "both", "8087")] {
        server(&host, name, &["--network", on, "-p", &format!("{port}:80")]);
    }
    let exec = |name: &str, script: &str| host.docker(&["exec", name, "sh", "-c", script]);
    host.docker(&[
        "run",
        "-d",
        "--name",
        "s2",
        "--network",
        "six",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    // Only the loopback interface has IPv4, and names lead to IPv6.
    let addresses = exec("s1", "ip -4 -o addr").good();
    assert!(
        addresses.lines().all(|line| line.contains(": lo")),
        "{addresses}"
    );
    assert_eq!(address(&host, "s1", "IPAddress"), "");
    let ip = address(&host, "s1", "GlobalIPv6Address");
    let asked = exec("s2", "nslookup -type=aaaa s1; nslookup -type=a s1").stdout;
    assert!(asked.contains(&format!("Address: {ip}")), "{asked}");
    assert_eq!(asked.matches("\nAddress: ").count(), 1, "{asked}");
    exec("s2", "ping -6 -c 1 -W 3 s1").good();
    let ask = |from: &str, to: &str, port: u16| {
        exec(from, &format!("nc -w 3 {to} {port} < /dev/null")).stdout
    };
    host.until("a neighbour answers", || ask("s2", "s1", 80) == "hello\n");
    // Published: IPv6 end to end where the container has it, IPv4 where it has that.
    host.until("it answers outside", || outside.hears(MACHINE6, 8086));
    for address in [MACHINE, MACHINE6] {
        host.until("it answers outside", || outside.hears(address, 8087));
    }
    let told = host.docker(&["port", "b1", "80"]).good();
    assert_eq!(told, "0.0.0.0:8087\n[::]:8087");
    // The container sees who really comes, with either kind of address.
    assert!(!outside.hears(MACHINE, 8081));
    host.docker(&["network", "connect", "both", "s2"]).good();
    host.until("the other network's names", || {
        ask("s2", "b1", 80) == "hello\n"
    });
    refused(
        &host,
        &["--ipv4=false", "none-at-all"],
        "IPv4 or IPv6 must be enabled",
    );
}

#[track_caller]
fn refused(host: &Host, args: &[&str], why: &str) {
    host.docker(&[&["network", "create"], args].concat())
        .bad(1, why);
}

#[test]
fn macvlan_networks_share_an_interface_of_the_machine() {
    let host = host!();
    host.docker(&["network", "ls"]).good();
    let outside = Outside::new(&host);
    refused(
        &host,
        &["-d", "macvlan", "-o", "parent=nowhere0", "x"],
        "nowhere0",
    );
    refused(
        &host,
        &[
            "-d",
            "macvlan",
            "-o",
            "parent=out0",
            "-o",
            "macvlan_mode=odd",
            "x",
        ],
        "requested macvlan mode 'odd' is not valid",
    );
    let range = [
        "--subnet=203.0.113.0/24",
        "--gateway=203.0.113.2",
        "--ip-range=203.0.113.64/28",
    ];
    // As in the virtual machine, there is an interface with the name that containers give theirs.
    on_the_machine(&host, "ip link add eth0 type veth peer name eth1").good();
    let driver = ["-d", "macvlan", "-o", "parent=out0"];
    network(&host, &[&driver[..], &range, &["wire"]].concat());
    for name in ["m1", "m2"] {
        server(&host, name, &["--network", "wire"]);
    }
    // The neighbour reaches it by its own address, and no port has to be published.
    let ip = address(&host, "m1", "IPAddress");
    assert!(ip.starts_with("203.0.113."), "{ip}");
    host.until("the neighbour hears it", || outside.hears(&ip, 80));
    let exec = |script: &str| host.docker(&["exec", "m2", "sh", "-c", script]);
    host.until("a name on it", || {
        exec("nc -w 2 m1 80 < /dev/null").stdout == "hello\n"
    });
    let routes = exec("ip route").good();
    assert!(
        routes.contains("default via 203.0.113.2 dev eth0"),
        "{routes}"
    );
    let kind = within(
        &host.field("m1", ".State.Pid"),
        "ip -d link show eth0 | grep -o 'macvlan mode [a-z]*'",
    );
    assert_eq!(kind.good(), "macvlan mode bridge");
    host.docker(&["rm", "-f", "m1", "m2"]).good();
    host.docker(&["network", "rm", "wire"]).good();
    on_the_machine(&host, "ip link show out0").good();
}

#[test]
fn replicas_get_connections_as_they_are_healthy() {
    let host = host!();
    host.docker(&["network", "ls"]).good();
    let outside = Outside::new(&host);
    let check = [
        "--health-cmd",
        "test -e /fine",
        "--health-interval",
        "1s",
        "--health-retries",
        "1",
    ];
    let labels = [
        "--label",
        "com.docker.compose.project=p",
        "--label",
        "com.docker.compose.service=s",
    ];
    for name in ["r1", "r2"] {
        let script =
            format!("trap '' TERM; touch /fine; while :; do echo {name} | nc -l -p 80; done");
        let words = [
            &["run", "-d", "--name", name, "-p", "8090:80"][..],
            &check,
            &labels,
            &["busybox", "sh", "-c", &script],
        ];
        host.docker(&words.concat()).good();
    }
    let heard = || {
        let script = format!("busybox nc -w 2 {MACHINE} 8090 < /dev/null");
        let all = (0..6).map(|_| outside.run(&script).stdout.trim().to_owned());
        let mut all: Vec<String> = all.filter(|name| !name.is_empty()).collect();
        all.sort();
        all.dedup();
        all
    };
    host.until("both take turns", || heard() == ["r1", "r2"]);
    host.docker(&["exec", "r1", "rm", "/fine"]).good();
    host.until("only the healthy one is asked", || heard() == ["r2"]);
    // The last one is asked whatever it is.
    host.docker(&["exec", "r2", "rm", "/fine"]).good();
    host.until("it is not healthy", || {
        host.field("r2", ".State.Health.Status") == "unhealthy"
    });
    host.until("both are asked again", || heard() == ["r1", "r2"]);
    host.docker(&["exec", "r1", "touch", "/fine"]).good();
    host.docker(&["exec", "r2", "touch", "/fine"]).good();
    host.until("both take turns", || {
        ["r1", "r2"]
            .iter()
            .all(|name| host.field(name, ".State.Health.Status") == "healthy")
            && heard() == ["r1", "r2"]
    });
    // One that is being stopped gets nothing new, though it takes its time.
    let mut stop = host.command(&["stop", "-t", "8", "r1"]).spawn().unwrap();
    host.until("the one that stays is asked", || heard() == ["r2"]);
    assert_eq!(host.field("r1", ".State.Running"), "true");
    assert!(stop.wait().unwrap().success());
    assert_eq!(heard(), ["r2"]);
}
