//! Wrong requests: Docker's status and message, and the engine lives.

use crate::support::{host, request};

fn message(text: &str) -> String {
    serde_json::json!({ "message": text }).to_string()
}

#[test]
fn requests_are_refused_with_dockers_words() {
    let host = host!();
    let json = "application/json";
    let create = "/v1.51/containers/create";
    let cases = [
        (
            "GET",
            "/v1.10/info",
            "",
            "",
            400,
            message(
                "client version 1.10 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
            ),
        ),
        (
            "GET",
            "/v1.99/info",
            "",
            "",
            400,
            message("client version 1.99 is too new. Maximum supported API version is 1.51"),
        ),
        ("GET", "/nonsense", "", "", 404, message("page not found")),
        ("PUT", "/info", "", "", 404, message("page not found")),
        ("HEAD", "/info", "", "", 404, String::new()),
        // One capability is a list of one.
        (
            "POST",
            create,
            "Application/JSON",
            r#"{"Image":"busybox","Cmd":"true","HostConfig":{"CapAdd":"NOPE"}}"#,
            400,
            message("invalid CapAdd: unknown capability: \"CAP_NOPE\""),
        ),
        ("OPTIONS", "/info", "", "", 200, String::new()),
        (
            "GET",
            "/containers/json?all=1&filters={\"name\":[\"<nobody>\"]}",
            "",
            "",
            200,
            "[]".to_owned(),
        ),
        (
            "POST",
            create,
            json,
            "",
            400,
            message("invalid JSON: got EOF while reading request body"),
        ),
        (
            "POST",
            create,
            json,
            "{}",
            400,
            message("config cannot be empty in order to create a container"),
        ),
        (
            "POST",
            create,
            "text/plain",
            "{\"Image\":\"busybox\"}",
            400,
            message("unsupported Content-Type header (text/plain): must be 'application/json'"),
        ),
        (
            "POST",
            create,
            json,
            "{\"Image\":\"nope\"}",
            404,
            message("No such image: nope:latest"),
        ),
        (
            "POST",
            "/containers/nope/start",
            "",
            "",
            404,
            message("No such container: nope"),
        ),
        (
            "GET",
            "/containers/json?filters=%5B%5D",
            "",
            "",
            400,
            message("invalid filter"),
        ),
        (
            "POST",
            "/containers/nope/wait?condition=never",
            "",
            "",
            400,
            message("invalid condition: \"never\""),
        ),
        (
            "GET",
            "/containers/nope/logs",
            "",
            "",
            400,
            message("Bad parameters: you must choose at least one stream"),
        ),
        (
            "POST",
            "/exec/nope/start",
            json,
            "{}",
            404,
            message("No such exec instance: nope"),
        ),
    ];
    for (method, path, kind, body, status, expected) in cases {
        let answer = request(&host, method, path, kind, body);
        assert_eq!(answer, (status, expected), "{method} {path} {body}");
    }
    for body in [
        "{",
        "[]",
        "{\"Image\":5}",
        "{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":\"much\"}}",
    ] {
        let (status, answer) = request(&host, "POST", create, json, body);
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer.contains("invalid JSON"), "{answer}");
    }
    let (status, answer) = request(&host, "POST", "/build", "", "");
    assert_eq!(
        (status, answer),
        (
            501,
            message("building images is not supported by Slipway 0.1.0 yet")
        )
    );
    // Keys in any case, a command as a string, nulls.
    let odd =
        "{\"image\":\"busybox\",\"CMD\":\"true\",\"Env\":null,\"hostconfig\":{\"BINDS\":null}}";
    assert_eq!(request(&host, "POST", create, json, odd).0, 201);
    assert_eq!(
        host.docker(&["run", "--rm", "busybox", "echo", "alive"])
            .good(),
        "alive"
    );
}

#[test]
fn wrong_options_are_refused_with_dockers_words() {
    let host = host!();
    let cases: &[(&[&str], &str)] = &[
        (&["--memory", "1m"], "Minimum memory limit allowed is 6MB"),
        // Which of the two it is depends on what the kernel can limit.
        (&["--cpus", "1000"], "CPUs"),
        (
            &["--network", "nope"],
            "failed to set up container networking: network nope not found",
        ),
        (
            &["--name", "no/pe"],
            "Invalid container name (no/pe), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            &["--cap-add", "NOPE"],
            "invalid CapAdd: unknown capability: \"CAP_NOPE\"",
        ),
        (
            &["-w", "nope"],
            "the working directory 'nope' is invalid, it needs to be an absolute path",
        ),
        (&["--stop-signal", "NOPE"], "invalid signal: NOPE"),
        (
            &["--log-driver", "nope"],
            "error looking up logging plugin nope: plugin \"nope\" not found",
        ),
        (
            &["--mount", "type=bind,src=/nope/nope,dst=/x"],
            "bind source path does not exist: /nope/nope",
        ),
        (&["--network", "container:nope"], "No such container: nope"),
        (
            &["-v", "/tmp:/x", "-v", "/etc:/x"],
            "Duplicate mount point: /x",
        ),
        (
            &["-v", "a/b:/x"],
            "includes invalid characters for a local volume name",
        ),
    ];
    for (options, expected) in cases {
        let mut args = vec!["run", "--rm"];
        args.extend_from_slice(options);
        args.extend(["busybox", "true"]);
        host.docker(&args).bad(125, expected);
    }
    host.docker(&["run", "-d", "--name", "taken", "busybox", "sleep", "1000"])
        .good();
    let id = host.field("taken", ".Id");
    let conflict = format!(
        "Conflict. The container name \"/taken\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    );
    host.docker(&["run", "--name", "taken", "busybox"])
        .bad(125, &conflict);
    let unknown = "Error response from daemon: unable to find user nobody-here: no matching entries in passwd file";
    host.docker(&["run", "--rm", "-u", "nobody-here", "busybox", "true"])
        .bad(125, unknown);
    host.docker(&["exec", "-u", "nobody-here", "taken", "true"])
        .bad(1, unknown);
}

#[test]
fn networks_volumes_and_images_are_refused_with_dockers_words() {
    let host = host!();
    let network = "/networks/create";
    let swarm = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";
    let cases = [
        (
            "POST",
            network,
            r#"{"Name":"bridge"}"#,
            403,
            "operation is not permitted on predefined bridge network ",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","Driver":"foo"}"#,
            404,
            "plugin \"foo\" not found",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","Driver":"overlay"}"#,
            403,
            swarm,
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","Scope":"swarm"}"#,
            403,
            "cannot create a swarm scoped network when swarm is not active",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","Ingress":true}"#,
            403,
            "Ingress network can only be global scope network",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","ConfigFrom":{"Network":"x"}}"#,
            404,
            "configuration network \"x\" does not exist",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","IPAM":{"Driver":"null"}}"#,
            400,
            "ipv4 pool is empty",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","IPAM":{"Config":[{}]}}"#,
            400,
            "invalid network config:\ninvalid subnet : invalid CIDR block notation",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","Options":{"com.docker.network.bridge.inhibit_ipv4":"x"}}"#,
            400,
            "failed to parse com.docker.network.bridge.inhibit_ipv4 value: x (strconv.ParseBool: parsing \"x\": invalid syntax)",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","Options":{"com.docker.network.driver.mtu":"-1"}}"#,
            400,
            "invalid MTU number: -1",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","Options":{"com.docker.network.enable_ipv4":"false"}}"#,
            400,
            "IPv4 or IPv6 must be enabled",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","Options":{"com.docker.network.bridge.gateway_mode_ipv4":"isolated"}}"#,
            500,
            "gateway mode 'isolated' can only be used for an internal network",
        ),
        (
            "POST",
            network,
            r#"{"Name":"n","Driver":"macvlan","Options":{"parent":"nope0"}}"#,
            500,
            "invalid subinterface vlan name nope0, example formatting is eth0.10",
        ),
        (
            "POST",
            "/networks/nope/disconnect",
            r#"{"Container":"nope","Force":true}"#,
            404,
            "network nope not found",
        ),
        (
            "POST",
            "/networks/bridge/disconnect",
            r#"{"Container":"nope","Force":true}"#,
            404,
            "endpoint nope not found",
        ),
        (
            "GET",
            "/networks?filters=%7B%22type%22%3A%5B%22x%22%5D%7D",
            "",
            500,
            "invalid filter: 'type'='x'",
        ),
        (
            "POST",
            "/volumes/create",
            r#"{"Name":"x","Driver":"foo"}"#,
            404,
            "create x: error looking up volume plugin foo: plugin \"foo\" not found",
        ),
        (
            "POST",
            "/volumes/create",
            r#"{"Name":"vol","ClusterVolumeSpec":{}}"#,
            503,
            swarm,
        ),
        (
            "PUT",
            "/volumes/vol?version=1",
            "{}",
            503,
            "volume update only valid for cluster volumes, but swarm is unavailable",
        ),
        (
            "POST",
            "/volumes/prune?filters=%7B%22all%22%3A%5B%22x%22%5D%7D",
            "",
            400,
            "invalid filter 'all': strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
        (
            "POST",
            "/images/create?fromImage=",
            "",
            500,
            "Get \"http:\": http: no Host in request URL",
        ),
        (
            "POST",
            "/images/create?fromImage=x&platform=foo",
            "",
            400,
            "\"foo\": unknown operating system or architecture: invalid argument",
        ),
        (
            "POST",
            "/images/busybox/tag?repo=UP",
            "",
            400,
            "invalid reference format: repository name (library/UP) must be lowercase",
        ),
        (
            "POST",
            "/images/UP/tag?repo=x",
            "",
            404,
            "invalid reference format: repository name (library/UP) must be lowercase",
        ),
        (
            "GET",
            "/images/UP/get",
            "",
            500,
            "invalid reference format: repository name (library/UP) must be lowercase",
        ),
        (
            "GET",
            "/images/json?filters=%7B%22reference%22%3A%5B%22%5B%22%5D%7D",
            "",
            500,
            "syntax error in pattern",
        ),
        (
            "GET",
            "/system/df?type=foo",
            "",
            400,
            "unknown object type: foo",
        ),
        ("GET", "/swarm", "", 503, swarm),
        (
            "POST",
            "/swarm/leave",
            "",
            503,
            "This node is not part of a swarm",
        ),
    ];
    for (method, path, body, status, expected) in cases {
        let kind = if body.is_empty() {
            ""
        } else {
            "application/json"
        };
        let answer = request(&host, method, path, kind, body);
        assert_eq!(
            answer,
            (status, message(expected)),
            "{method} {path} {body}"
        );
    }
    assert_eq!(request(&host, "POST", "/images/busybox/tag", "", "").0, 200);
    assert_eq!(host.docker(&["volume", "ls", "-q"]).good(), "");
}

#[test]
fn a_forms_fields_are_parameters() {
    let host = host!();
    host.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])
        .good();
    let form = "application/x-www-form-urlencoded";
    let kill = "/containers/box/kill";
    // The body wins.
    let path = format!("{kill}?signal=KILL");
    assert_eq!(request(&host, "POST", &path, form, "signal=WINCH").0, 204);
    assert_eq!(host.field("box", ".State.Running"), "true");
    let refused = request(&host, "POST", kill, form, "signal=NOPE");
    let words = "cannot kill container: box: invalid signal: NOPE";
    assert_eq!(refused, (400, message(words)));
    let (status, answer) = request(&host, "POST", "/containers/create", form, "{}");
    let unsupported = message(&format!(
        "unsupported Content-Type header ({form}): must be 'application/json'"
    ));
    assert_eq!((status, answer), (400, unsupported));
    let (status, _) = request(&host, "POST", "/containers/box/rename", form, "name=other");
    assert_eq!(
        (status, host.field("other", ".Name")),
        (204, "/other".into())
    );
}

#[test]
fn nulls_in_lists_and_maps_are_empty() {
    let host = host!();
    let json = "application/json";
    let body = r#"{"Image":"busybox","Labels":{"a":null},"HostConfig":{"Tmpfs":{"/t":null}}}"#;
    let path = "/containers/create?name=box";
    assert_eq!(request(&host, "POST", path, json, body).0, 201);
    assert_eq!(host.field("box", "json .Config.Labels"), r#"{"a":""}"#);
    assert_eq!(host.field("box", "json .HostConfig.Tmpfs"), r#"{"/t":""}"#);
    let body = r#"{"Name":"v","Labels":{"a":null},"DriverOpts":{"o":null}}"#;
    let (status, answer) = request(&host, "POST", "/volumes/create", json, body);
    assert!(status == 201 || !answer.contains("unmarshal"), "{answer}");
    let body = r#"{"Name":"n","Labels":{"a":null}}"#;
    assert_eq!(
        request(&host, "POST", "/networks/create", json, body).0,
        201
    );
    assert_eq!(host.field("n", "json .Labels"), r#"{"a":""}"#);
}
