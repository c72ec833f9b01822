//! commit: a container becomes an image like any other.

use serde_json::json;

use crate::support::{archive, host};

#[test]
fn a_committed_image_runs_and_travels() {
    let host = host!();
    let script = "echo made >/data/made; rm /data/seed; rm -r /var/www; mkdir /var/www; \
        ln /data/made /data/same; ln -s made /data/link; chmod 4711 /data/made; exec sleep 1000";
    host.docker(&[
        "run", "-d", "--name", "box", "-e", "A=1", "busybox", "sh", "-c", script,
    ])
    .good();
    host.until("the files are there", || {
        host.docker(&["exec", "box", "test", "-u", "/data/made"])
            .code
            == 0
    });
    let id = host
        .docker(&[
            "commit",
            "-a",
            "Ann <a@b>",
            "-m",
            "a remark",
            "-c",
            "CMD [\"cat\",\"/data/link\"]",
            "-c",
            "ENV B=2 C=$A",
            "box",
            "mine:1",
        ])
        .good();
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    assert_eq!(host.field("mine:1", ".Id"), id);
    assert_eq!(
        host.field("mine:1", ".Parent"),
        host.field("busybox", ".Id")
    );
    assert_eq!(host.field("mine:1", ".Author"), "Ann <a@b>");
    assert_eq!(host.field("mine:1", "len .RootFS.Layers"), "2");
    assert_eq!(host.field("mine:1", ".Config.Env"), "[A=1 B=2 C=1]");
    // It was paused for a moment only.
    assert_eq!(host.field("box", ".State.Status"), "running");
    assert_eq!(host.docker(&["run", "--rm", "mine:1"]).good(), "made");
    let look = "ls /data /var/www; stat -c '%a %h' /data/same";
    let looked = host
        .docker(&["run", "--rm", "mine:1", "sh", "-c", look])
        .good();
    assert_eq!(looked, "/data:\nlink\nmade\nsame\n\n/var/www:\n4711 2");
    // The places for what is mounted everywhere are not part of it.
    let history = [
        "history",
        "--format",
        "{{.CreatedBy}}|{{.Comment}}",
        "mine:1",
    ];
    let history = host.docker(&history).good();
    assert!(history.starts_with("sh -c echo made"), "{history}");
    assert!(
        history.lines().next().unwrap().ends_with("|a remark"),
        "{history}"
    );
    // Out and in again, byte for byte.
    host.docker(&["save", "-o", &host.path("mine.tar"), "mine:1"])
        .good();
    let conflict = host.docker(&["rmi", "busybox"]);
    assert_eq!(conflict.code, 1, "{conflict:?}");
    host.docker(&["rmi", "mine:1"]).good();
    host.docker(&["load", "-q", "-i", &host.path("mine.tar")])
        .good();
    assert_eq!(host.field("mine:1", ".Id"), id);
    assert_eq!(host.docker(&["run", "--rm", "mine:1"]).good(), "made");
    let events = [
        "--filter",
        "event=commit",
        "--format",
        "{{json .Actor.Attributes}}",
    ];
    let event: serde_json::Value = serde_json::from_str(&host.events(&events)).unwrap();
    assert_eq!(
        (event["imageID"].as_str(), event["imageRef"].as_str()),
        (Some(id.as_str()), Some("mine:1"))
    );
    assert_eq!(event["comment"], "a remark");
}

#[test]
fn descendants_are_what_was_made_from_an_image_here() {
    let host = host!();
    // The same layer, made elsewhere.
    let other = archive::image("elsewhere:1", &json!({ "Cmd": ["true"] })).unwrap();
    std::fs::write(host.dir.path().join("other.tar"), other).unwrap();
    host.docker(&["load", "-i", &host.path("other.tar")]).good();
    for (name, image, made) in [
        ("own", "busybox", "child"),
        ("near", "child", "grandchild"),
        ("deep", "grandchild", "last"),
        ("far", "elsewhere:1", "other"),
    ] {
        host.docker(&["create", "--name", name, image]).good();
        host.docker(&["commit", name, made]).good();
    }
    let descendants = |image: &str| {
        let filter = format!("ancestor={image}");
        let words = ["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"];
        host.docker(&words).good()
    };
    assert_eq!(descendants("busybox"), "deep\nnear\nown");
    assert_eq!(descendants("child"), "deep\nnear");
    assert_eq!(descendants("elsewhere:1"), "far");
}

#[test]
fn images_of_images_and_images_of_nothing() {
    let host = host!();
    host.docker(&["create", "--name", "fresh", "busybox"])
        .good();
    // Nothing changed: a new configuration on the same layers.
    host.docker(&["commit", "fresh", "same"]).good();
    let layers = |name: &str| host.field(name, "json .RootFS.Layers");
    assert_eq!(layers("same"), layers("busybox"));
    let history = ["history", "-q", "same"];
    assert_eq!(host.docker(&history).good().lines().count(), 2);
    // A chain of three, then the middle goes with its last child.
    host.docker(&["rm", "fresh"]).good();
    host.docker(&["run", "--name", "first", "same", "touch", "/first"])
        .good();
    let first = host.docker(&["commit", "first", "first"]).good();
    host.docker(&["run", "--name", "second", "first", "touch", "/second"])
        .good();
    host.docker(&["commit", "second", "second"]).good();
    host.docker(&["rm", "first", "second"]).good();
    assert_eq!(
        host.docker(&["rmi", "first"]).good(),
        "Untagged: first:latest"
    );
    let ids = |words: &[&str]| host.docker(words).good().lines().count();
    assert_eq!(ids(&["images", "-q"]), 3);
    assert_eq!(ids(&["images", "-qa"]), 4);
    host.docker(&["rmi", "-f", &first])
        .bad(1, "(cannot be forced) - image has dependent child images");
    assert_eq!(
        host.docker(&["run", "--rm", "second", "ls", "/first", "/second"])
            .good(),
        "/first\n/second"
    );
    let removed = host.docker(&["rmi", "second"]).good();
    assert!(removed.contains(&format!("Deleted: {first}")), "{removed}");
    assert_eq!(
        host.docker(&["images", "-q", "--no-trunc"])
            .good()
            .lines()
            .count(),
        2
    );
}

#[test]
fn the_clients_configuration_and_bad_requests() {
    let host = host!();
    host.docker(&[
        "run", "--name", "box", "-e", "A=1", "-l", "k=v", "busybox", "true",
    ])
    .good();
    let commit = |query: &str, body: &str, kind: &str| {
        let path = format!("/v1.51/commit?container=box{query}");
        let (head, length) = (format!("Content-Type: {kind}"), body.len());
        host.send_with("POST", &path, &head, body.as_bytes(), length)
    };
    let json = "application/json";
    let made = commit(
        "&repo=own&tag=2",
        r#"{"Cmd":["echo","own"],"Env":["B=2"]}"#,
        json,
    );
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(host.field("own:2", ".Config.Env"), "[B=2 A=1]");
    assert_eq!(host.field("own:2", "index .Config.Labels \"k\""), "v");
    assert_eq!(host.docker(&["run", "--rm", "own:2"]).good(), "own");
    for body in ["", "{}", "null"] {
        assert_eq!(commit("&repo=plain", body, json).status, 201, "{body}");
        assert_eq!(host.field("plain", ".Config.Cmd"), "[true]");
    }
    for (query, body, kind, status, message) in [
        ("", "{", json, 400, "invalid JSON"),
        (
            "",
            "{}",
            "text/plain",
            400,
            "unsupported Content-Type header (text/plain): must be 'application/json'",
        ),
        (
            "&changes=SHELL+%5B%22x%22%5D",
            "",
            json,
            400,
            "SHELL is not a valid change command",
        ),
        (
            "&changes=STOPSIGNAL+NOPE",
            "",
            json,
            400,
            "invalid signal: NOPE",
        ),
        (
            "&repo=x%40sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "",
            json,
            400,
            "cannot import digest reference",
        ),
        ("&repo=x&tag=a/b", "", json, 400, "invalid"),
    ] {
        let answer = commit(query, body, kind);
        assert_eq!(answer.status, status, "{query} {body}: {answer:?}");
        assert!(answer.body.contains(message), "{query} {body}: {answer:?}");
    }
    // Nothing of what was refused is there.
    assert_eq!(host.docker(&["images", "-q", "x"]).good(), "");
}
