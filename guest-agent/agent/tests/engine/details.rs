//! What Docker's own tests look at beside what everybody sees at once.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::support::{Host, host, request};

/// Attaches to a container's output; what follows the answer's head is raw.
fn attached(host: &Host, name: &str, query: &str) -> UnixStream {
    let path = format!("/containers/{name}/attach?stream=1&stdout=1&stderr=1{query}");
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    let limit = Some(Duration::from_secs(60));
    stream.set_read_timeout(limit).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    stream
}

fn rest(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn an_attachment_ends_when_everybody_knows_the_end() {
    let host = host!();
    for turn in 0..20 {
        let create = ["create", "--name", "short", "busybox", "sh", "-c", "exit 7"];
        host.docker(&create).good();
        let mut stream = attached(&host, "short", "");
        host.send("POST", "/containers/short/start", b"");
        assert_eq!(rest(&mut stream), "");
        let state = host.send("GET", "/containers/short/json", b"").body;
        assert!(
            state.contains(r#""Status":"exited""#) && state.contains(r#""ExitCode":7"#),
            "turn {turn}: {state}"
        );
        let removed = host.send("DELETE", "/containers/short", b"");
        assert_eq!(removed.status, 204, "turn {turn}");
    }
    // A process that closes its output has not ended; who attaches then does not hold it up.
    let script = "exec > /dev/null 2>&1; sleep 2; exit 3";
    host.docker(&["run", "-d", "--name", "mute", "busybox", "sh", "-c", script])
        .good();
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(500));
    let mut stream = attached(&host, "mute", "");
    rest(&mut stream);
    assert_eq!(host.field("mute", ".State.ExitCode"), "3");
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[test]
fn the_end_of_ones_input_ends_an_attachment_that_others_may_follow() {
    let host = host!();
    for (name, once) in [("many", false), ("once", true)] {
        let body = format!(
            r#"{{"Image":"busybox","Cmd":["sh","-c","cat; echo over; sleep 1000"],"OpenStdin":true,"StdinOnce":{once}}}"#
        );
        let path = format!("/containers/create?name={name}");
        let made = request(&host, "POST", &path, "application/json", &body);
        assert_eq!(made.0, 201, "{}", made.1);
        host.send("POST", &format!("/containers/{name}/start"), b"");
    }
    let mut stream = attached(&host, "many", "&stdin=1");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), "");
    assert!(host.docker(&["logs", "many"]).good().is_empty());
    // Where the input is for one client only it ends, and the output flows on.
    let mut stream = attached(&host, "once", "&stdin=1");
    stream.write_all(b"in\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // In one frame or in two.
    let mut heard = Vec::new();
    while !heard.ends_with(b"over\n") {
        let mut piece = [0; 64];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "{heard:?}");
        heard.extend(&piece[..read]);
    }
}

#[test]
fn the_image_of_a_mount_is_what_it_was_and_in_use() {
    let host = host!();
    // An archive of nothing.
    let empty = "\0".repeat(1024);
    host.docker_with_input(&["import", "-", "files:1"], &empty)
        .good();
    host.docker(&["tag", "busybox", "keep:1"]).good();
    let mount = "type=image,source=keep:1,target=/keep";
    let create = [
        "create",
        "--name",
        "one",
        "--mount",
        mount,
        "slipway/other",
        "x",
    ];
    let other = ["import", "--change", "CMD [\"x\"]", "-", "slipway/other"];
    host.docker_with_input(&other, &empty).good();
    host.docker(&create).good();
    // A name that means something else now.
    host.docker(&["tag", "files:1", "keep:1"]).good();
    let removed = host.docker(&["rmi", "busybox"]);
    removed.bad(1, "container");
    host.docker(&["rm", "one"]).good();
    host.docker(&["rmi", "busybox"]).good();
}

#[test]
fn a_volume_whose_files_are_gone_can_be_removed() {
    let host = host!();
    for (name, args) in [
        ("one", &["rm"][..]),
        ("two", &["rm", "-f"]),
        ("three", &["prune", "-af"]),
    ] {
        host.docker(&["volume", "create", name]).good();
        let at = ["volume", "inspect", "-f", "{{.Mountpoint}}", name];
        let at = host.docker(&at).good();
        let folder = std::path::Path::new(&at).parent().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let mut words = vec!["volume"];
        words.extend(args);
        if args[0] == "rm" {
            words.push(name);
        }
        host.docker(&words).good();
        assert_eq!(host.docker(&["volume", "ls", "-q"]).good(), "");
    }
}

#[test]
fn a_containers_own_files_are_there_whatever_is_around_them() {
    let host = host!();
    let run = |options: &[&str], script: &str| {
        let words = [&["run", "--rm"], options, &["busybox", "sh", "-c", script]].concat();
        host.docker(&words).good()
    };
    // A volume at /etc is under them.
    let names = run(
        &["-v", "/etc"],
        "wc -l < /etc/hosts; grep -c nameserver /etc/resolv.conf",
    );
    assert!(names.lines().all(|line| line.trim() != "0"), "{names}");
    let hosts = run(&["--hostname", "box.example.com"], "cat /etc/hosts");
    assert!(hosts.contains("\tbox.example.com box"), "{hosts}");
    let hosts = run(
        &["--hostname", "box", "--domainname", "example.com"],
        "cat /etc/hosts",
    );
    assert!(hosts.contains("\tbox.example.com box"), "{hosts}");
    let more = ["--net", "host", "--add-host", "extra:192.0.2.4"];
    let hosts = run(&more, "cat /etc/hosts");
    assert!(
        hosts.contains("192.0.2.4\textra") && hosts.contains("localhost"),
        "{hosts}"
    );
    assert_eq!(run(&["-e", "HOME="], "echo $HOME"), "/root");
}

#[test]
fn neighbours_have_addresses_of_the_link() {
    let host = host!();
    host.docker(&["network", "create", "--ipv6", "near"]).good();
    let link = ["--link-local-ip", "169.254.8.8"];
    let run = |name: &str, options: &[&str]| {
        let place = ["run", "-d", "--name", name, "--network", "near"];
        let words = [&place[..], options, &["busybox", "sleep", "1000"]].concat();
        host.docker(&words).good();
    };
    run("one", &[]);
    run("two", &link);
    let script = "ip -6 -o addr show eth0 scope link | sed 's/.*inet6 //; s/\\/.*//'";
    let two = host.docker(&["exec", "two", "sh", "-c", script]).good();
    let ping = |address: &str| {
        let words = ["exec", "one", "ping", "-c", "1", "-W", "2", address];
        host.docker(&words).code == 0
    };
    host.until("an address of the link answers", || {
        ping(&format!("{two}%eth0"))
    });
    host.docker(&[
        "network",
        "connect",
        "--link-local-ip",
        "169.253.5.5",
        "bridge",
        "one",
    ])
    .bad(1, "invalid link-local IP address: 169.253.5.5");
}

#[test]
fn who_does_without_ipv6_has_no_address_of_it() {
    let host = host!();
    host.docker(&["network", "create", "--ipv6", "both"]).good();
    let off = "net.ipv6.conf.all.disable_ipv6=1";
    let place = [
        "run",
        "-d",
        "--name",
        "old",
        "--network",
        "both",
        "--sysctl",
        off,
    ];
    host.docker(&[&place[..], &["busybox", "sleep", "1000"]].concat())
        .good();
    let field = ".NetworkSettings.Networks.both.GlobalIPv6Address";
    assert_eq!(host.field("old", field), "");
    let hosts = host.docker(&["exec", "old", "cat", "/etc/hosts"]).good();
    assert!(
        hosts.contains("localhost") && !hosts.contains("::1"),
        "{hosts}"
    );
    let ask = "nslookup -type=aaaa old; nslookup -type=a old";
    let place = [
        "run",
        "--rm",
        "--network",
        "both",
        "busybox",
        "sh",
        "-c",
        ask,
    ];
    let told = host.docker(&place).stdout;
    assert_eq!(told.matches("Name:").count(), 1, "{told}");
}

#[test]
fn published_ports_are_found_by_the_hosts_number() {
    let host = host!();
    host.docker(&[
        "run", "-d", "--name", "one", "-p", "1090:90", "busybox", "sleep", "1000",
    ])
    .good();
    for (filter, found) in [
        ("publish=1090", "one"),
        ("publish=90", ""),
        ("expose=90", "one"),
    ] {
        let words = ["ps", "--format", "{{.Names}}", "--filter", filter];
        assert_eq!(host.docker(&words).good(), found, "{filter}");
    }
}

#[test]
fn ports_are_exposed_before_they_are_published() {
    let host = host!();
    let bindings = r#""HostConfig":{"PortBindings":{"81/tcp":[{"HostPort":"1091"}],"82":[{"HostPort":"1092"}],"83/tcp":[{"HostPort":"1093"}]}}"#;
    let body = format!(
        r#"{{"Image":"busybox","Cmd":["sleep","1000"],"ExposedPorts":{{"80":{{}},"81":{{}},"82/tcp":{{}}}},{bindings}}}"#
    );
    let path = "/containers/create?name=one";
    let made = request(&host, "POST", path, "application/json", &body);
    assert_eq!(made.0, 201, "{}", made.1);
    host.docker(&["start", "one"]).good();
    let open = |port| {
        format!(
            r#"[{{"HostIp":"0.0.0.0","HostPort":"{port}"}},{{"HostIp":"::","HostPort":"{port}"}}]"#
        )
    };
    let ports = host.field("one", "json .NetworkSettings.Ports");
    let (one, two) = (open(1091), open(1092));
    assert_eq!(
        ports,
        format!(r#"{{"80/tcp":null,"81/tcp":{one},"82/tcp":{two}}}"#)
    );
    let listed = host.docker(&["ps", "--format", "{{.Ports}}"]).good();
    assert_eq!(listed.matches("80/tcp").count(), 1, "{listed}");
    assert!(!listed.contains("83"), "{listed}");
}

#[test]
fn names_of_links_and_networks_are_dockers() {
    let host = host!();
    for network in ["front", "back"] {
        host.docker(&["network", "create", network]).good();
    }
    let run = |words: &[&str]| {
        let words = [&["run", "-d"], words, &["busybox", "sleep", "1000"]].concat();
        host.docker(&words).good()
    };
    run(&["--name", "server", "--network", "front"]);
    host.docker(&["network", "connect", "back", "server"])
        .good();
    run(&[
        "--name",
        "client",
        "--network",
        "front",
        "--link",
        "server:alias",
    ]);
    let knows = || host.docker(&["exec", "client", "nslookup", "alias"]).code == 0;
    assert!(knows());
    // A link is one of its network.
    host.docker(&["network", "connect", "back", "client"])
        .good();
    host.docker(&["network", "disconnect", "front", "server"])
        .good();
    assert!(!knows());
    run(&["--name", "joined", "--network", "container:client"]);
    run(&["--name", "owner"]);
    run(&["--name", "guest", "--network", "container:owner"]);
    let words = [
        "run", "--rm", "--link", "guest:g", "busybox", "ping", "-c", "1", "g",
    ];
    host.docker(&words).good();
    host.docker(&["stop", "-t", "0", "owner"]).good();
    host.docker(&[
        "run",
        "--name",
        "late",
        "--network",
        "container:owner",
        "busybox",
    ])
    .bad(
        125,
        "cannot join network namespace of a non running container: container owner is exited",
    );
}

#[test]
fn a_start_that_fails_early_leaves_the_last_runs_exit_code() {
    let host = host!();
    host.docker(&["network", "create", "gone"]).good();
    host.docker(&["run", "--name", "ended", "busybox", "sh", "-c", "exit 7"])
        .bad(7, "");
    host.docker(&["network", "connect", "gone", "ended"]).good();
    host.docker(&["network", "rm", "gone"]).good();
    assert_eq!(
        host.send("POST", "/containers/ended/start", b"").status,
        404
    );
    assert_eq!(host.field("ended", ".State.ExitCode"), "7");
    host.docker(&["create", "--name", "new", "--network", "never", "busybox"])
        .good();
    assert_eq!(host.send("POST", "/containers/new/start", b"").status, 404);
    assert_eq!(host.field("new", ".State.ExitCode"), "128");
    let refused = host.send("POST", "/containers/ended/stop?t=x", b"");
    assert_eq!(refused.status, 500, "{}", refused.body);
}

#[test]
fn who_is_attached_has_the_last_output_before_anybody_hears_of_the_end() {
    let host = host!();
    let script = "read line; echo $line";
    for turn in 0..10 {
        let create = [
            "create", "-i", "--name", "says", "busybox", "sh", "-c", script,
        ];
        host.docker(&create).good();
        let mut stream = attached(&host, "says", "&stdin=1");
        host.send("POST", "/containers/says/start", b"");
        let heard = std::thread::scope(|scope| {
            let wait = scope.spawn(|| request(&host, "POST", "/containers/says/wait", "", ""));
            writeln!(stream, "heard {turn}").unwrap();
            assert!(wait.join().unwrap().1.contains(r#""StatusCode":0"#));
            // It is here now: nothing is waited for.
            stream.set_nonblocking(true).unwrap();
            let mut piece = [0; 64];
            let read = stream.read(&mut piece).unwrap_or_default();
            String::from_utf8_lossy(&piece[..read]).into_owned()
        });
        assert!(
            heard.contains(&format!("heard {turn}")),
            "turn {turn}: {heard}"
        );
        host.docker(&["rm", "says"]).good();
    }
    // A client that takes nothing holds the end up for a moment only, and loses nothing.
    let script = "sleep 1; head -c 8000000 /dev/zero & sleep 2";
    let much = ["run", "-d", "--name", "much", "busybox", "sh", "-c", script];
    host.docker(&much).good();
    let mut deaf = attached(&host, "much", "");
    let begun = Instant::now();
    host.docker(&["wait", "much"]).good();
    assert!(begun.elapsed() < Duration::from_secs(20));
    let kept = rest(&mut deaf).len();
    let logged = host.docker(&["logs", "much"]).stdout.len();
    assert!(logged > 100_000 && kept > logged, "{kept} of {logged}");
}

#[test]
fn an_attachment_that_has_ended_does_not_cut_its_client_off() {
    let host = host!();
    host.docker(&["run", "-dit", "--name", "box", "busybox", "cat"])
        .good();
    let mut stream = attached(&host, "box", "&stdin=1");
    stream.write_all(&[16, 17]).unwrap();
    assert_eq!(rest(&mut stream), "");
    stream.write_all(b"more").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    stream.write_all(b"and more").unwrap();
}

#[test]
fn a_container_of_no_network_can_be_moved_to_one() {
    let host = host!();
    host.docker(&[
        "create",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    host.docker(&["network", "create", "place"]).good();
    host.docker(&["network", "disconnect", "none", "box"])
        .good();
    host.docker(&["network", "connect", "place", "box"]).good();
    host.docker(&["start", "box"]).good();
    let networks = host.field(
        "box",
        "range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end",
    );
    assert_eq!(networks.trim(), "place");
    let links = host.docker(&["exec", "box", "ip", "-o", "link"]).good();
    assert!(links.contains("eth0"), "{links}");
    assert_eq!(host.docker(&["exec", "box", "nslookup", "box"]).code, 0);
}

#[test]
fn what_ended_containers_and_lost_names_leave_in_answers() {
    let host = host!();
    host.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])
        .good();
    let json = "application/json";
    let exec = r#"{"Cmd":["true"],"AttachStdout":true}"#;
    let (_, made) = request(&host, "POST", "/containers/box/exec", json, exec);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let session = format!("/exec/{}/json", made["Id"].as_str().unwrap());
    host.docker(&["pause", "box"]).good();
    let refused = host.send("POST", "/containers/box/attach?logs=1&stdout=1", b"");
    assert!(refused.status == 409 && refused.body.contains("is paused"));
    host.docker(&["unpause", "box"]).good();
    assert_eq!(host.send("GET", &session, b"").status, 200);
    host.docker(&["kill", "box"]).good();
    assert_eq!(host.send("GET", &session, b"").status, 404);
    // The image has no name any more: another one has it.
    host.docker_with_input(&["import", "-", "busybox"], &"\0".repeat(1024))
        .good();
    let id = host.field("box", ".Image");
    let usage = |version: &str| -> serde_json::Value {
        let answer = host.send("GET", &format!("/v{version}/system/df"), b"");
        assert!(
            answer.head.contains("\r\nApi-Version: 1.51\r\n"),
            "{}",
            answer.head
        );
        serde_json::from_str(&answer.body).unwrap()
    };
    assert_eq!(usage("1.51")["Containers"][0]["Image"], id);
    let images = usage("1.39")["Images"].clone();
    let images = images.as_array().unwrap();
    let nameless = images.iter().find(|image| image["Id"] == id).unwrap();
    assert!(nameless["RepoTags"].is_null() && nameless["RepoDigests"].is_null());
}

#[test]
fn networks_that_are_named_count_before_the_mode() {
    let host = host!();
    let create = |network: &str| {
        let body = format!(
            r#"{{"Image":"busybox","Cmd":["sleep","1000"],"NetworkingConfig":{{"EndpointsConfig":{{"{network}":{{}}}}}}}}"#
        );
        let path = format!("/containers/create?name=on-{network}");
        let (status, said) = request(&host, "POST", &path, "application/json", &body);
        assert_eq!(status, 201, "{said}");
        host.send("POST", &format!("/containers/on-{network}/start"), b"")
    };
    assert_eq!(create("none").status, 204);
    let links = host.docker(&["exec", "on-none", "ip", "-o", "link"]).good();
    assert_eq!(links.lines().count(), 1, "{links}");
    let refused = create("host");
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(
        refused
            .body
            .contains("cannot connect container to host network")
    );
}

#[test]
fn ports_are_shown_where_they_can_be_reached() {
    let host = host!();
    host.docker(&["network", "create", "--internal", "inside"])
        .good();
    host.docker(&["network", "create", "outside"]).good();
    let shown = || {
        let inspected = host.field("box", "json .NetworkSettings.Ports");
        let listed = host.docker(&["ps", "--format", "{{.Ports}}"]).good();
        assert_eq!(inspected == "{}", listed.is_empty(), "{inspected} {listed}");
        inspected
    };
    for (network, ports) in [
        ("none", "{}"),
        ("host", "{}"),
        ("inside", "{}"),
        ("outside", r#"{"80/tcp":null}"#),
    ] {
        host.docker(&[
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            network,
            "--expose",
            "80",
            "busybox",
            "sleep",
            "1000",
        ])
        .good();
        assert_eq!(shown(), ports, "{network}");
        if network == "inside" {
            host.docker(&["network", "connect", "outside", "box"])
                .good();
            assert_eq!(shown(), r#"{"80/tcp":null}"#);
        }
        host.docker(&["rm", "-f", "box"]).good();
    }
}

#[test]
fn who_asks_for_no_stream_that_there_is_is_not_kept() {
    let host = host!();
    host.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])
        .good();
    for query in ["stream=1", "stream=1&logs=1", "stream=1&stdin=1"] {
        let path = format!("/containers/box/attach?{query}");
        let answer = host.send("POST", &path, b"");
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{query}");
    }
}
