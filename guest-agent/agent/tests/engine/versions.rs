//! What clients of older versions of the API get.

use crate::support::{answer, host, request};

const JSON: &str = "application/json";

#[test]
fn answers_follow_the_clients_version() {
    let host = host!();
    host.docker(&[
        "run",
        "--name",
        "old",
        "--annotation",
        "a=b",
        "busybox",
        "sh",
        "-c",
        "echo hello; exit 3",
    ]);
    let head = |path: &str| {
        let answer = answer(&host, "GET", path, "", "");
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        head.to_ascii_lowercase()
    };
    for (version, kind) in [
        ("1.41", "raw"),
        ("1.42", "multiplexed"),
        ("1.51", "multiplexed"),
    ] {
        let head = head(&format!("/v{version}/containers/old/logs?stdout=1"));
        let wanted = format!("content-type: application/vnd.docker.{kind}-stream");
        assert!(head.contains(&wanted), "{version}: {head}");
    }

    // The wait of old answers with a length, once it is over; it knows no conditions.
    let wait = answer(
        &host,
        "POST",
        "/v1.29/containers/old/wait?condition=x",
        "",
        "",
    );
    assert!(
        wait.to_ascii_lowercase().contains("content-length:"),
        "{wait}"
    );
    assert!(wait.ends_with("{\"StatusCode\":3}\n"), "{wait}");
    let (status, _) = request(
        &host,
        "POST",
        "/v1.30/containers/old/wait?condition=x",
        "",
        "",
    );
    assert_eq!(status, 400);

    let list = |version: &str| {
        let path = format!("/v{version}/containers/json?all=1");
        request(&host, "GET", &path, "", "").1
    };
    assert!(!list("1.45").contains("Annotations"));
    assert!(list("1.46").contains("\"Annotations\":{\"a\":\"b\"}"));
    // Zeros are left out of the sizes in a list, and told by inspect.
    assert!(!list("1.51").contains("SizeRw"));

    let body =
        r#"{"Image":"busybox","Healthcheck":{"Test":["CMD","true"],"StartInterval":5000000}}"#;
    for (version, kept) in [("1.43", false), ("1.44", true)] {
        let path = format!("/v{version}/containers/create?name=v{version}");
        let (status, _) = request(&host, "POST", &path, JSON, body);
        assert_eq!(status, 201);
        let check = host.field(&format!("v{version}"), "json .Config.Healthcheck");
        assert_eq!(check.contains("StartInterval"), kept, "{check}");
    }
}

#[test]
fn what_came_later_is_left_out_or_refused() {
    let host = host!();
    let bind = |source: &str, options: &str| {
        format!(
            r#"{{"Mounts":[{{"Type":"bind","Source":"{source}","Target":"/a","BindOptions":{{{options}}}}}]}}"#
        )
    };
    let missing = "/nowhere/at/all";
    let absent = r#"{"message":"invalid mount config for type \"bind\": bind source path does not exist: /nowhere/at/all"}"#;
    let kernel = r#""Warnings":["Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded."]"#;
    let martians = r#"{"Sysctls":{"net.ipv4.conf.eth0.log_martians":"1"}}"#;
    let cases = [
        ("1.41", bind(missing, r#""CreateMountpoint":true"#), 400, absent),
        ("1.41", r#"{"KernelMemory":8388608}"#.into(), 201, kernel),
        ("1.42", r#"{"KernelMemory":8388608}"#.into(), 201, r#""Warnings":[]"#),
        (
            "1.43",
            bind("/tmp", r#""ReadOnlyForceRecursive":true"#),
            400,
            r#"{"message":"BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer"}"#,
        ),
        (
            "1.44",
            r#"{"Mounts":[{"Type":"volume","Source":"v","Target":"/a","VolumeOptions":{"Subpath":"x"}}]}"#
                .into(),
            400,
            r#"{"message":"VolumeOptions.Subpath needs API v1.45 or newer"}"#,
        ),
        (
            "1.47",
            r#"{"Mounts":[{"Type":"image","Source":"busybox","Target":"/a"}]}"#.into(),
            400,
            r#"{"message":"Mount type \"Image\" needs API v1.48 or newer"}"#,
        ),
        (
            "1.47",
            martians.into(),
            201,
            r#"Migrated sysctl \"net.ipv4.conf.eth0.log_martians\" to DriverOpts{\"com.docker.network.endpoint.sysctls\":\"net.ipv4.conf.IFNAME.log_martians=1\"}."#,
        ),
        (
            "1.48",
            martians.into(),
            500,
            r#"{"message":"interface specific sysctl setting \"net.ipv4.conf.eth0.log_martians\" must be supplied using driver option 'com.docker.network.endpoint.sysctls'"}"#,
        ),
    ];
    for (version, options, status, expected) in cases {
        let path = format!("/v{version}/containers/create");
        let body = format!(r#"{{"Image":"busybox","HostConfig":{options}}}"#);
        let (code, answer) = request(&host, "POST", &path, JSON, &body);
        assert_eq!(code, status, "{version} {options} {answer}");
        assert!(answer.contains(expected), "{version} {options} {answer}");
    }

    // The interface's setting reaches it.
    let body = r#"{"Image":"busybox","Cmd":["cat","/proc/sys/net/ipv4/conf/eth0/log_martians"],"HostConfig":{"Sysctls":{"net.ipv4.conf.eth0.log_martians":"1"}}}"#;
    let path = "/v1.45/containers/create?name=martians";
    assert_eq!(request(&host, "POST", path, JSON, body).0, 201);
    assert_eq!(host.docker(&["start", "-a", "martians"]).good(), "1");
}

#[test]
fn read_only_binds_of_old_spare_what_is_mounted_below() {
    let host = host!();
    let data = host.path("data");
    std::fs::create_dir_all(host.path("data/below")).unwrap();
    // Where the engine sees it, and nobody else.
    let mounted = std::process::Command::new("nsenter")
        .args(["--mount", "--target", &host.warden_pid().to_string(), "--"])
        .args(["mount", "-t", "tmpfs", "below", &host.path("data/below")])
        .status();
    assert!(mounted.unwrap().success());
    let body = format!(
        r#"{{"Image":"busybox","Cmd":["touch","/data/below/made"],"HostConfig":{{"Binds":["{data}:/data:ro"]}}}}"#
    );
    for (version, writable) in [("1.43", true), ("1.44", false)] {
        let name = format!("ro{version}");
        let path = format!("/v{version}/containers/create?name={name}");
        let (status, answer) = request(&host, "POST", &path, JSON, &body);
        assert_eq!(status, 201, "{answer}");
        let output = host.docker(&["start", "-a", &name]);
        assert_eq!(output.code == 0, writable, "{version} {output:?}");
        let refused = output.stderr.contains("Read-only file system");
        assert_eq!(refused, !writable, "{version} {output:?}");
    }
}

#[test]
fn inspect_and_sizes_of_old_tell_more_or_less() {
    let host = host!();
    host.docker(&["network", "create", "own"]).good();
    host.docker(&[
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "own",
        "--network-alias",
        "alias",
        "-h",
        "named",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    let get = |path: &str| -> serde_json::Value {
        serde_json::from_str(&request(&host, "GET", path, "", "").1).unwrap()
    };
    let id = host.field("box", ".Id");
    let short = &id[..12];
    for (version, expected) in [
        ("1.44", serde_json::json!(["alias", short, "named"])),
        ("1.45", serde_json::json!(["alias"])),
    ] {
        let found = get(&format!("/v{version}/containers/box/json"));
        let networks = &found["NetworkSettings"]["Networks"];
        assert_eq!(networks["own"]["Aliases"], expected, "{version}");
    }
    for version in ["1.41", "1.51"] {
        let found = get(&format!("/v{version}/system/df"));
        assert_eq!(found["Images"][0]["Containers"], 1, "{version} {found}");
    }
    let listed = get("/v1.50/images/json");
    assert_eq!(listed[0]["Containers"], -1);
}
