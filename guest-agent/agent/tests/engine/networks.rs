//! Networks of one's own: addresses, names, isolation, published ports, and what is left of them.

use std::process::Command;

use crate::support::{Host, Output, host, request};

#[test]
fn containers_find_each_other_by_name() {
    let host = host!();
    host.docker(&["network", "create", "front"]).good();
    host.docker(&["network", "create", "back"]).good();
    sleeper(
        &host,
        "web",
        &["--network", "front", "--network-alias", "www"],
    );
    sleeper(&host, "db", &["--network", "back"]);
    let found = |from: &str, name: &str| {
        let script = format!("nslookup {name} 127.0.0.11 | tail -n +3 | grep -c '^Address'");
        exec(&host, from, &script).stdout.trim() == "1"
    };
    assert!(found("web", "web") && found("web", "www") && found("web", "web.front"));
    assert!(!found("web", "db"), "a name of another network");
    exec(&host, "db", "ping -c 1 -W 3 web").bad(1, "bad address");
    host.docker(&["network", "connect", "--alias", "store", "front", "db"])
        .good();
    for name in ["db", "store", "WEB"] {
        assert!(found("web", name), "{name}");
    }
    exec(&host, "web", "ping -c 1 -W 3 store").good();
    exec(&host, "db", "ping -c 1 -W 3 web").good();
    let ip = host.field("db", ".NetworkSettings.Networks.front.IPAddress");
    let reverse = exec(&host, "web", &format!("nslookup {ip} 127.0.0.11")).good();
    assert!(reverse.contains("db.front"), "{reverse}");
    let hosts = exec(&host, "db", "cat /etc/hosts; ip -o addr show eth1").good();
    assert!(hosts.matches(&ip).count() >= 2, "{hosts}");
    host.docker(&["rename", "db", "storage"]).good();
    assert!(found("web", "storage") && !found("web", "db"));
    host.docker(&["network", "disconnect", "front", "storage"])
        .good();
    assert!(!found("web", "storage"));
    exec(&host, "storage", "ip addr show eth1").bad(1, "eth1");
    // The names go with the engine and come back with it.
    let agent = host.agent().unwrap();
    let pid = rustix::process::Pid::from_raw(agent).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    host.until("another agent answers", || {
        host.agent().is_some_and(|new| new != agent) && host.docker(&["ps"]).code == 0
    });
    host.until("names are found again", || found("web", "www"));
    host.docker(&["network", "rm", "front"])
        .bad(1, "network front has active endpoints (name:\"web\" id:\"");
    host.docker(&["rm", "-f", "web", "storage"]).good();
    host.docker(&["network", "rm", "front", "back"]).good();
}

#[test]
fn addresses_are_as_they_are_asked_for() {
    let host = host!();
    let create = |args: &[&str]| host.docker(&[&["network", "create"], args].concat());
    create(&[
        "--subnet=10.77.0.0/24",
        "--gateway=10.77.0.254",
        "--ip-range=10.77.0.128/25",
        "--aux-address=other=10.77.0.128",
        "--ipv6",
        "--subnet=fd77::/64",
        "-o",
        "com.docker.network.driver.mtu=1400",
        "--label=a=b",
        "own",
    ])
    .good();
    sleeper(&host, "any", &["--network", "own"]);
    let fixed = [
        "--network=own",
        "--ip=10.77.0.7",
        "--ip6=fd77::7",
        "--mac-address=02:11:22:33:44:55",
    ];
    sleeper(&host, "fixed", &fixed);
    let of = |name: &str, field: &str| {
        host.field(name, &format!(".NetworkSettings.Networks.own.{field}"))
    };
    assert_eq!(of("any", "IPAddress"), "10.77.0.129");
    assert_eq!(of("any", "Gateway"), "10.77.0.254");
    assert_eq!(of("fixed", "IPAddress"), "10.77.0.7");
    assert_eq!(of("fixed", "GlobalIPv6Address"), "fd77::7");
    assert_eq!(of("fixed", "MacAddress"), "02:11:22:33:44:55");
    let script = "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu; ip route";
    let told = exec(&host, "fixed", script).good();
    assert!(
        told.starts_with("02:11:22:33:44:55\n1400\n") && told.contains("default via 10.77.0.254"),
        "{told}"
    );
    exec(&host, "any", "ping -c 1 -W 3 10.77.0.7").good();
    exec(&host, "any", "ping6 -c 1 -W 3 fd77::7").good();
    let taken = run(&host, &["--network=own", "--ip=10.77.0.7"], "true");
    taken.bad(125, "Address already in use");
    run(&host, &["--network=own", "--ip=10.9.9.9"], "true").bad(125, "10.9.9.9");
    run(&host, &["--ip=172.17.0.9"], "true").bad(
        125,
        "user specified IP address is supported on user defined networks only",
    );
    create(&["--subnet=10.77.0.0/16", "twice"]).bad(1, "Pool overlaps with other one");
    create(&["own"]).bad(1, "network with name own already exists");
    create(&["-d", "nope", "x"]).bad(1, "plugin \"nope\" not found");
    create(&["host"]).bad(1, "operation is not permitted on predefined host network");
    host.docker(&["network", "rm", "bridge"])
        .bad(1, "bridge is a pre-defined network and cannot be removed");
    let list = |filter: &str| {
        let args = ["network", "ls", "--format", "{{.Name}}", "-f", filter];
        host.docker(&args).good()
    };
    assert_eq!(list("label=a=b"), "own");
    assert_eq!(list("type=custom"), "own");
    assert_eq!(list("driver=null"), "none");
    host.docker(&["rm", "-f", "any", "fixed"]).good();
    let pruned = host.docker(&["network", "prune", "-f"]).good();
    assert!(pruned.contains("own"), "{pruned}");
}

#[test]
fn networks_are_closed_to_each_other() {
    let host = host!();
    for args in [
        &["one"][..],
        &["two"],
        &["--internal", "inside"],
        &["-o", "com.docker.network.bridge.enable_icc=false", "apart"],
    ] {
        host.docker(&[&["network", "create"], args].concat()).good();
    }
    for (name, network) in [
        ("o1", "one"),
        ("t1", "two"),
        ("i1", "inside"),
        ("i2", "inside"),
        ("a1", "apart"),
        ("a2", "apart"),
    ] {
        sleeper(&host, name, &["--network", network]);
    }
    let ip = |name: &str| {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        host.docker(&["inspect", "-f", format, name]).good()
    };
    let reaches =
        |from: &str, to: &str| exec(&host, from, &format!("ping -c 1 -W 1 {}", ip(to))).code == 0;
    assert!(!reaches("o1", "t1") && !reaches("o1", "i1") && !reaches("i1", "o1"));
    assert!(reaches("i1", "i2"), "neighbours on an internal network");
    assert!(!reaches("a1", "a2"), "neighbours without icc");
    let routes = exec(&host, "i1", "ip route").good();
    assert!(!routes.contains("default"), "{routes}");
}

#[test]
fn published_ports_lead_in() {
    let host = host!();
    host.docker(&["network", "create", "net"]).good();
    let serve = "while :; do echo hello | nc -l -p 80; done";
    let start = |name: &str, args: &[&str]| {
        let words = [
            &["run", "-d", "--name", name, "--network", "net"][..],
            args,
            &["busybox", "sh", "-c", serve],
        ];
        host.docker(&words.concat())
    };
    start("web", &["-p", "8080:80", "-p", "127.0.0.1::81"]).good();
    let ports = host.field("web", "json .NetworkSettings.Ports");
    assert!(
        ports.contains(
            "\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"},{\"HostIp\":\"::\",\"HostPort\":\"8080\"}]"
        ),
        "{ports}"
    );
    assert!(
        ports.contains("\"81/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\""),
        "{ports}"
    );
    let ps = host.docker(&["ps", "--format", "{{.Ports}}"]).good();
    assert!(
        ps.contains("0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        "{ps}"
    );
    let gateway = host.field("web", ".NetworkSettings.Networks.net.Gateway");
    for address in ["127.0.0.1", "::1", &gateway] {
        host.until(&format!("the port answers at {address}"), || {
            from_machine(&host, address, 8080) == "hello\n"
        });
    }
    // From another network and from its own, through the machine.
    for network in ["bridge", "net"] {
        let script = format!("nc -w 3 {gateway} 8080 < /dev/null");
        let heard = run(&host, &["--network", network], &script);
        assert_eq!(heard.stdout, "hello\n", "{network}: {heard:?}");
    }
    start("other", &["-p", "8080:80"]).bad(125, "port is already allocated");
    start("range", &["-p", "8080-8090:80"]).good();
    let mapped = host.docker(&["port", "range", "80/tcp"]).good();
    assert!(mapped.contains("0.0.0.0:8081"), "{mapped}");
    host.docker(&["rm", "-f", "range", "other"]).good();

    let agent = host.agent().unwrap();
    let pid = rustix::process::Pid::from_raw(agent).unwrap();
    let before = firewall(&host);
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    host.until("another agent answers", || {
        host.agent().is_some_and(|new| new != agent) && host.docker(&["ps"]).code == 0
    });
    host.until("the port answers again", || {
        from_machine(&host, "127.0.0.1", 8080) == "hello\n"
    });
    host.until("the firewall is what it was", || firewall(&host) == before);
    host.docker(&["rm", "-f", "web"]).good();
    assert!(!firewall(&host).contains("8080"));
    start("next", &["-p", "8080:80"]).good();
}

#[test]
fn random_operations_leave_nothing() {
    let host = host!();
    host.docker(&["network", "ls"]).good();
    let before = (links(&host), firewall(&host));
    let mut dice = 0x9e37_79b9_u64;
    let mut throw = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) % sides
    };
    for _ in 0..500 {
        let network = format!("n{}", throw(4));
        let container = format!("cc{}", throw(4));
        // Whatever doesn't fit the present state is refused, which is fine.
        let _ = match throw(6) {
            0 => host.docker(&["network", "create", &network]),
            1 => host.docker(&["network", "rm", &network]),
            2 => host.docker(&["network", "connect", &network, &container]),
            3 => host.docker(&["network", "disconnect", "-f", &network, &container]),
            4 => host.docker(&[
                "run",
                "-d",
                "--name",
                &container,
                "--network",
                &network,
                "-P",
                "busybox",
                "sleep",
                "1000",
            ]),
            _ => host.docker(&["rm", "-f", &container]),
        };
    }
    for container in 0..4 {
        let _ = host.docker(&["rm", "-f", &format!("cc{container}")]);
    }
    host.docker(&["network", "prune", "-f"]).good();
    host.until("interfaces are gone", || links(&host) == before.0);
    assert_eq!(firewall(&host), before.1);
    for place in ["leases", "netns", "names"] {
        let left = std::fs::read_dir(host.dir.path().join("run/network").join(place))
            .unwrap()
            .count();
        assert_eq!(left, 0, "{place}");
    }
}

#[track_caller]
fn sleeper(host: &Host, name: &str, args: &[&str]) {
    let words = [
        &["run", "-d", "--name", name][..],
        args,
        &["busybox", "sleep", "1000"],
    ];
    host.docker(&words.concat()).good();
}

#[track_caller]
fn exec(host: &Host, name: &str, script: &str) -> Output {
    host.docker(&["exec", name, "sh", "-c", script])
}

#[track_caller]
fn run(host: &Host, args: &[&str], script: &str) -> Output {
    let words = [&["run", "--rm"][..], args, &["busybox", "sh", "-c", script]];
    host.docker(&words.concat())
}

/// Runs a program in the engine's network namespace.
fn on_the_machine(host: &Host, program: &[&str]) -> String {
    let pid = host.agent().map_or_else(String::new, |pid| pid.to_string());
    let output = Command::new("nsenter")
        .args(["-t", &pid, "-n"])
        .args(program)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn from_machine(host: &Host, address: &str, port: u16) -> String {
    let script = format!("busybox nc -w 3 {address} {port} < /dev/null");
    on_the_machine(host, &["sh", "-c", &script])
}

fn firewall(host: &Host) -> String {
    on_the_machine(host, &["nft", "list", "table", "inet", "slipway0"])
}

fn links(host: &Host) -> Vec<String> {
    let text = on_the_machine(host, &["ip", "-o", "link"]);
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|line| line.split(": ").nth(1).map(str::to_owned))
        .filter(|name| name != "slipway0")
        .collect();
    names.sort();
    names
}

#[test]
fn a_link_on_the_default_bridge_is_a_name_and_variables() {
    let host = host!();
    let create = |name: &str, more: &[&str]| {
        let words = [&["run", "-d", "--name", name], more].concat();
        host.docker(&[&words[..], &["busybox", "sleep", "1000"]].concat())
    };
    create(
        "db",
        &["--expose", "5432", "-e", "MODE=fast", "--hostname", "store"],
    )
    .good();
    create("web", &["--link", "db:my-db", "--link", "db"]).good();
    let address = |name: &str| host.field(name, ".NetworkSettings.IPAddress");
    let inside = |words: &[&str]| host.docker(&[&["exec", "web"], words].concat()).good();
    let ip = address("db");
    let variables = inside(&["env"]);
    for expected in [
        format!("MY_DB_PORT=tcp://{ip}:5432"),
        format!("MY_DB_PORT_5432_TCP=tcp://{ip}:5432"),
        format!("MY_DB_PORT_5432_TCP_ADDR={ip}"),
        "MY_DB_PORT_5432_TCP_PORT=5432".to_owned(),
        "MY_DB_PORT_5432_TCP_PROTO=tcp".to_owned(),
        "MY_DB_NAME=/web/my-db".to_owned(),
        "MY_DB_ENV_MODE=fast".to_owned(),
        "DB_NAME=/web/db".to_owned(),
    ] {
        assert!(
            variables.lines().any(|line| line == expected),
            "{expected}: {variables}"
        );
    }
    // The first process has them too.
    let first = inside(&["cat", "/proc/1/environ"]);
    assert!(first.contains("MY_DB_NAME=/web/my-db"), "{first}");
    let hosts = inside(&["cat", "/etc/hosts"]);
    for line in [format!("{ip}\tmy-db store db"), format!("{ip}\tdb store")] {
        assert!(hosts.lines().any(|found| found == line), "{line}: {hosts}");
    }
    inside(&["ping", "-c", "1", "-W", "5", "my-db"]);
    assert_eq!(
        host.field("web", "json .HostConfig.Links"),
        r#"["/db:/web/my-db","/db:/web/db"]"#
    );

    // It follows the linked one to another address.
    host.docker(&["stop", "-t", "0", "db"]).good();
    create("squatter", &[]).good();
    host.docker(&["start", "db"]).good();
    let moved = address("db");
    assert_ne!(moved, ip);
    let hosts = inside(&["cat", "/etc/hosts"]);
    assert!(
        hosts.contains(&format!("{moved}\tmy-db store db\n")),
        "{hosts}"
    );

    // A link is a name of the other one, and can be removed alone.
    let path = "/containers/web/my-db/json";
    let (status, shown) = crate::support::request(&host, "GET", path, "", "");
    assert_eq!(status, 200, "{shown}");
    assert!(shown.contains("\"Name\":\"/db\""), "{shown}");
    let (_, list) = request(&host, "GET", "/containers/json", "", "");
    assert!(list.contains(r#"["/db","/web/my-db","/web/db"]"#), "{list}");
    host.docker(&["rm", "--link", "web/my-db"]).good();
    let hosts = inside(&["cat", "/etc/hosts"]);
    assert!(!hosts.contains("my-db"), "{hosts}");
    assert_eq!(
        host.field("web", "json .HostConfig.Links"),
        r#"["/db:/web/db"]"#
    );
    host.docker(&["rm", "--link", "web/my-db"])
        .bad(1, "No such container: web/my-db");

    // What it needs must run, and be there.
    host.docker(&["stop", "-t", "0", "web", "db"]).good();
    host.docker(&["start", "web"])
        .bad(1, "Cannot link to a non running container: /db AS /web/db");
    create("other", &["--link", "nobody:x"]).bad(
        125,
        "could not get container for nobody: No such container: nobody",
    );
    host.docker(&["rm", "-f", "web/db"]).good();
    // Not asked for by inspect: an id may begin with these letters.
    let left = host.docker(&["ps", "-aq", "--filter", "name=^/db$"]).good();
    assert_eq!(left, "");
    host.docker(&["start", "web"]).good();
}

#[test]
fn who_does_not_run_is_connected_at_its_next_start() {
    let host = host!();
    for net in ["one", "two_x"] {
        host.docker(&["network", "create", net]).good();
    }
    let made = ["create", "--name", "box", "--network", "one", "busybox"];
    host.docker(&[&made[..], &["sleep", "1000"]].concat())
        .good();
    let connect = |network: &str, settings: &str| {
        let body = format!("{{\"Container\":\"box\",\"EndpointConfig\":{settings}}}");
        let path = format!("/networks/{network}/connect");
        request(&host, "POST", &path, "application/json", &body)
    };
    let networks = || {
        let names = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
        host.docker(&["inspect", "-f", names, "box"]).good()
    };
    // A network need not be there yet.
    assert_eq!(connect("later", "{}").0, 200);
    host.docker(&["start", "box"]).bad(
        1,
        "failed to set up container networking: network later not found",
    );
    host.docker(&["network", "disconnect", "later", "box"])
        .good();
    let settings = r#"{"Aliases":["other"],"IPAMConfig":{"LinkLocalIPs":["169.254.7.7"]},"DriverOpts":{"com.docker.network.endpoint.sysctls":"net.ipv4.conf.ifname.log_martians=1"}}"#;
    assert_eq!(connect("two_x", settings).0, 200);
    host.docker(&["start", "box"]).good();
    assert_eq!(networks(), "one two_x");
    let script = "ip -o addr show eth1; cat /proc/sys/net/ipv4/conf/eth1/log_martians";
    let told = exec(&host, "box", script).good();
    assert!(
        told.contains("169.254.7.7/16") && told.ends_with('1'),
        "{told}"
    );
    let ip = host.field("box", ".NetworkSettings.Networks.two_x.IPAddress");
    let reverse = exec(&host, "box", &format!("nslookup {ip} 127.0.0.11")).good();
    assert!(reverse.contains("name = box.two_x"), "{reverse}");
    let (status, answer) = connect("one", r#"{"IPAMConfig":{"IPv4Address":"10.9.9.9"}}"#);
    assert!(
        status == 400
            && answer.contains(
                "supported only when connecting to networks with user configured subnets"
            ),
        "{answer}"
    );
    host.docker(&["network", "connect", "host", "box"])
        .bad(1, "container must be created in host network mode");
    // What it is taken from while it does not run, it does not come back to.
    host.docker(&["stop", "-t", "0", "box"]).good();
    host.docker(&["network", "disconnect", "one", "box"]).good();
    host.docker(&["start", "box"]).good();
    assert_eq!(networks(), "two_x");
    assert!(!exec(&host, "box", "ip route").good().contains("eth1"));
    host.docker(&["rm", "-f", "box"]).good();
    host.docker(&["network", "rm", "one", "two_x"]).good();
}

#[test]
fn a_rename_shows_among_the_names_on_every_network() {
    let host = host!();
    host.docker(&["network", "create", "own"]).good();
    let own = ["--network", "own", "--network-alias", "also"];
    sleeper(&host, "web", &[&own[..], &["--hostname", "h"]].concat());
    host.docker(&["network", "connect", "bridge", "web"]).good();
    let id = host.field("web", ".Id");
    let names = |container: &str, network: &str| {
        let field = format!(".NetworkSettings.Networks.{network}.DNSNames");
        host.field(container, &field)
    };
    let of = |name: &str, more: &str| format!("[{name}{more} {} h]", &id[..12]);
    assert_eq!(names("web", "own"), of("web", " also"));
    assert_eq!(names("web", "bridge"), "[]");
    host.docker(&["rename", "web", "new"]).good();
    assert_eq!(names("new", "own"), of("new", " also"));
    assert_eq!(names("new", "bridge"), of("new", ""));
    // One that does not run has its new name there with its next start.
    host.docker(&["stop", "-t", "0", "new"]).good();
    host.docker(&["rename", "new", "late"]).good();
    assert_eq!(names("late", "own"), of("new", " also"));
    host.docker(&["start", "late"]).good();
    assert_eq!(names("late", "own"), of("late", " also"));
    assert_eq!(names("late", "bridge"), of("new", ""));
}

#[test]
fn a_bridge_may_have_no_address() {
    let host = host!();
    let bare = ["-o", "com.docker.network.bridge.inhibit_ipv4=true"];
    let name = ["-o", "com.docker.network.bridge.name=bare0", "bare"];
    host.docker(&[&["network", "create"], &bare[..], &name].concat())
        .good();
    sleeper(&host, "web", &["--network", "bare"]);
    let gateway = host.field("web", ".NetworkSettings.Networks.bare.Gateway");
    let route = exec(&host, "web", "ip route").good();
    assert!(route.contains(&format!("default via {gateway}")), "{route}");
    let addresses = on_the_machine(&host, &["ip", "-o", "-4", "addr", "show", "bare0"]);
    assert_eq!(addresses.trim(), "");
}

/// The id goes before a name, and a name before the beginning of an id.
#[test]
fn a_network_named_like_the_id_of_another_is_another() {
    let host = host!();
    let create = |name: &str| host.docker(&["network", "create", name]).good();
    let first = create("first");
    let short = create(&first[..12]);
    let full = create(&first);
    host.docker(&["network", "rm", &first[..12]]).good();
    host.docker(&["network", "rm", &first]).good();
    let left = host.docker(&["network", "ls", "-q", "--no-trunc"]).good();
    assert!(left.contains(&full), "{left}");
    assert!(!left.contains(&first) && !left.contains(&short), "{left}");
}
