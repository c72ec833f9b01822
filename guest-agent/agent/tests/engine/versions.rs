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
