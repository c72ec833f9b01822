//! Containers that can't be made or can't start: which of several faults is told, with which words, and
//! what is seen afterwards.

use serde_json::{Value, json};

use crate::support::{Host, host, request};

const JSON: &str = "application/json";

/// Makes a container of busybox, but for what `more` says.
fn make(host: &Host, name: &str, more: &Value) -> (u16, String) {
    let mut body = json!({ "Image": "busybox", "Cmd": ["sleep", "1000"] });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let path = format!("/containers/create?name={name}");
    request(host, "POST", &path, JSON, &body.to_string())
}

fn start(host: &Host, name: &str) -> (u16, String) {
    request(host, "POST", &format!("/containers/{name}/start"), "", "")
}

fn inspect(host: &Host, name: &str) -> Value {
    let path = format!("/containers/{name}/json");
    serde_json::from_str(&request(host, "GET", &path, "", "").1).unwrap()
}

#[test]
fn a_start_that_fails_leaves_what_docker_leaves() {
    let host = host!();
    host.docker(&["network", "create", "own"]).good();
    let own = json!({
        "Cmd": ["nosuch"],
        "HostConfig": { "NetworkMode": "own" },
        "NetworkingConfig": { "EndpointsConfig": { "own": { "Aliases": ["x"] } } },
    });
    // With the status, whether there is a log, and whether there are files of names.
    for (more, status, log, names) in [
        (json!({ "Cmd": ["nosuch"] }), 400, true, true),
        (own, 400, true, true),
        (json!({ "User": "nosuch" }), 500, false, true),
        (
            json!({ "Cmd": ["nosuch"], "NetworkDisabled": true }),
            400,
            true,
            false,
        ),
        (
            json!({ "HostConfig": { "NetworkMode": "nosuch" } }),
            404,
            true,
            true,
        ),
        (
            json!({ "HostConfig": { "NetworkMode": "container:nosuch" } }),
            500,
            false,
            false,
        ),
    ] {
        let made = make(&host, "failing", &more);
        assert_eq!(made.0, 201, "{}", made.1);
        let before = inspect(&host, "failing");
        assert_eq!(before["LogPath"], "");
        let refused = start(&host, "failing");
        assert_eq!(refused.0, status, "{}", refused.1);
        let after = inspect(&host, "failing");
        assert_eq!(
            before["NetworkSettings"], after["NetworkSettings"],
            "{more}"
        );
        let said = |key: &str| after[key] != "";
        assert_eq!(said("LogPath"), log, "{more}");
        for file in ["HostsPath", "HostnamePath", "ResolvConfPath"] {
            assert_eq!(said(file), names, "{file} of {more}");
        }
        host.docker(&["rm", "failing"]).good();
    }
    // What was asked for is not what it has.
    let address = json!({ "MacAddress": "02:42:0a:0b:0c:0d" });
    let own = json!({ "EndpointsConfig": { "own": &address } });
    let more = json!({ "NetworkingConfig": own, "HostConfig": { "NetworkMode": "own", "Tmpfs": { "/x": "foo" } } });
    assert_eq!(make(&host, "failing", &more).0, 201);
    for shown in ["02:42:0a:0b:0c:0d", ""] {
        let networks = inspect(&host, "failing")["NetworkSettings"]["Networks"].take();
        assert_eq!(networks["own"]["MacAddress"], shown);
        assert_eq!(start(&host, "failing").0, 500);
    }
    host.docker(&["rm", "failing"]).good();
    // But where there are no addresses nobody gives it another.
    let none = json!({ "EndpointsConfig": { "none": address } });
    let more = json!({ "NetworkingConfig": none, "HostConfig": { "NetworkMode": "none" } });
    assert_eq!(make(&host, "none", &more).0, 201);
    let shown = || host.field("none", ".NetworkSettings.Networks.none.MacAddress");
    assert_eq!(start(&host, "none").0, 204);
    assert_eq!(shown(), "02:42:0a:0b:0c:0d");
    host.docker(&["stop", "-t", "0", "none"]).good();
    assert_eq!(shown(), "");
    let only = ["--filter", "network=bridge", "--filter", "network=own"];
    let events = host.events(&[&only[..], &["--format", "{{.Action}}"]].concat());
    assert_eq!(events, format!("create{}", "\ndisconnect".repeat(5)));
    // One that starts has its networks first.
    host.docker(&["run", "--rm", "busybox", "true"]).good();
    let events = host.events(&["--format", "{{.Type}} {{.Action}}"]);
    assert!(
        events.contains("network connect\ncontainer start"),
        "{events}"
    );
}

#[test]
fn the_first_fault_is_the_one_that_docker_finds_first() {
    let host = host!();
    host.docker(&["create", "--name", "taken", "busybox"])
        .good();
    let bad_network = json!({ "EndpointsConfig": { "bridge": { "Aliases": ["x"] } } });
    let bad_log = json!({ "LogConfig": { "Type": "nosuch" }, "SecurityOpt": ["x"] });
    for (name, more, status, message) in [
        (
            "new",
            json!({ "WorkingDir": "x", "HostConfig": { "Isolation": "x" } }),
            400,
            "invalid isolation",
        ),
        (
            "new",
            json!({ "WorkingDir": "x", "StopSignal": "x", "Image": "nosuch" }),
            400,
            "the working directory 'x' is invalid",
        ),
        (
            "new",
            json!({ "Image": "nosuch", "NetworkingConfig": bad_network }),
            404,
            "No such image: nosuch:latest",
        ),
        (
            "new",
            json!({ "NetworkDisabled": true, "NetworkingConfig": bad_network }),
            400,
            "network-scoped alias is supported only",
        ),
        (
            "new",
            json!({ "NetworkingConfig": bad_network, "HostConfig": bad_log }),
            400,
            "network-scoped alias is supported only",
        ),
        (
            "taken",
            json!({ "HostConfig": bad_log }),
            400,
            "error looking up logging plugin nosuch",
        ),
        (
            "taken",
            json!({ "HostConfig": { "SecurityOpt": ["x"] } }),
            409,
            "is already in use by container",
        ),
        (
            "new",
            json!({ "HostConfig": { "SecurityOpt": ["x"], "Binds": ["/a:/b:nosuch"] } }),
            500,
            "invalid --security-opt 1",
        ),
        (
            "new",
            json!({ "HostConfig": {
                "Mounts": [{ "Type": "nosuch", "Target": "/x" }],
                "RestartPolicy": { "Name": "nosuch" },
            } }),
            400,
            "mount type unknown",
        ),
    ] {
        let refused = make(&host, name, &more);
        assert_eq!(refused.0, status, "{more}: {}", refused.1);
        assert!(refused.1.contains(message), "{more}: {}", refused.1);
    }
    // A name of something that could not be made is free again.
    assert_eq!(make(&host, "new", &json!({})).0, 201);
}

#[test]
fn what_docker_finds_out_with_the_start_is_found_out_then() {
    let host = host!();
    let publish = |port: &str, bindings: Value| {
        let (exposed, bound) = (json!({ port: {} }), json!({ port: bindings }));
        json!({ "ExposedPorts": exposed, "HostConfig": { "PortBindings": bound } })
    };
    for (more, message) in [
        (
            json!({ "HostConfig": { "Privileged": true, "PidMode": "container:nosuch" } }),
            "failed to join PID namespace: No such container: nosuch",
        ),
        (
            json!({ "HostConfig": { "Dns": ["1.1.1.1", ""] } }),
            "bad nameserver address : ParseAddr(\\\"\\\"): unable to parse IP",
        ),
        (
            json!({ "HostConfig": { "Dns": ["1.2.3"], "NetworkMode": "none" } }),
            "bad nameserver address 1.2.3: ParseAddr(\\\"1.2.3\\\"): IPv4 address too short",
        ),
        (
            json!({ "Volumes": { "/": {} } }),
            "to rootfs at \\\"/\\\": create mountpoint for / mount",
        ),
        (
            json!({ "HostConfig": { "Tmpfs": { "/x": "ro," } } }),
            "invalid tmpfs option \\\"\\\"",
        ),
        (
            json!({ "HostConfig": { "Tmpfs": { "/x": "remount" } } }),
            "invalid argument",
        ),
        (
            json!({ "HostConfig": { "Tmpfs": { "/x": "foo" }, "NetworkMode": "nosuch" } }),
            "invalid tmpfs option \\\"foo\\\"",
        ),
        (publish("80/foo", json!([{}])), "): unknown protocol"),
    ] {
        let made = make(&host, "late", &more);
        assert_eq!(made.0, 201, "{more}: {}", made.1);
        let refused = start(&host, "late");
        assert_eq!(refused.0, 500, "{more}: {}", refused.1);
        assert!(refused.1.contains(message), "{more}: {}", refused.1);
        host.docker(&["rm", "-v", "late"]).good();
    }
    // Docker would publish it at all addresses.
    let narrow = publish(
        "80/tcp",
        json!([{ "HostIp": "127.0.0.x", "HostPort": "8077" }]),
    );
    assert_eq!(make(&host, "late", &narrow).0, 201);
    let refused = start(&host, "late");
    assert!(refused.1.contains("127.0.0.x"), "{refused:?}");
    assert_eq!(refused.0, 400);
    host.docker(&["rm", "late"]).good();
    // A port is what can be read of it.
    let all = json!([{ "HostIp": "0.0.0.0", "HostPort": "8077" }, { "HostIp": "::", "HostPort": "8077" }]);
    for (port, shown, binding) in [
        (
            "80/TCP",
            "80/tcp",
            json!({ "HostIp": " ", "HostPort": "8077" }),
        ),
        ("0", "0/tcp", json!({ "HostPort": "8077/udp" })),
    ] {
        let made = make(&host, "late", &publish(port, json!([binding])));
        assert_eq!(made.0, 201, "{}", made.1);
        assert_eq!(start(&host, "late"), (204, String::new()));
        let ports = inspect(&host, "late")["NetworkSettings"]["Ports"].take();
        assert_eq!(ports, json!({ shown: all }));
        host.docker(&["rm", "-f", "late"]).good();
    }
    for port in ["65536/tcp", "80-82/tcp", "x"] {
        let refused = make(&host, "late", &publish(port, json!([])));
        assert_eq!(refused.0, 400, "{port}: {}", refused.1);
    }
}

#[test]
fn a_signal_that_does_not_exist_ends_nothing_and_holds_nothing_up() {
    let host = host!();
    for signal in ["x", "0"] {
        let refused = make(&host, "stopped", &json!({ "StopSignal": signal }));
        assert_eq!(refused.0, 400, "{}", refused.1);
    }
    let made = make(&host, "stopped", &json!({ "StopSignal": "99" }));
    assert_eq!(made.0, 201, "{}", made.1);
    assert_eq!(start(&host, "stopped").0, 204);
    host.docker(&["stop", "stopped"]).good();
    assert_eq!(host.field("stopped", ".State.ExitCode"), "137");
    let kills = ["--filter", "event=kill", "--format"];
    let format = "{{.Actor.Attributes.signal}}";
    assert_eq!(host.events(&[&kills[..], &[format]].concat()), "9");
}

#[test]
fn mounts_that_fit_nothing_are_refused_in_dockers_words() {
    let host = host!();
    let bind = |text: &str| json!({ "HostConfig": { "Binds": [text] } });
    for (text, status, message) in [
        (
            "/dev/null/x:/x",
            500,
            "error while creating mount source path '/dev/null/x': mkdir /dev/null: not a directory",
        ),
        (
            "/dev/null:/tmp",
            400,
            "not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?",
        ),
    ] {
        assert_eq!(make(&host, "late", &bind(text)).0, 201);
        let refused = start(&host, "late");
        assert_eq!(refused.0, status, "{text}: {}", refused.1);
        assert!(refused.1.contains(message), "{text}: {}", refused.1);
        host.docker(&["rm", "late"]).good();
    }
    let (status, message) = make(&host, "late", &bind("x"));
    assert_eq!(status, 500, "{message}");
    assert!(
        message.contains("'x' mount path must be absolute"),
        "{message}"
    );
}

#[test]
fn who_can_not_attach_is_told_in_plain_text() {
    let host = host!();
    let answer = host.send("POST", "/containers/nosuch/attach?stream=1&stdout=1", b"");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (404, "No such container: nosuch")
    );
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/vnd.docker.raw-stream"));
}
