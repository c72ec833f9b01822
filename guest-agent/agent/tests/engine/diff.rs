//! diff and export: what became of a container's root.

use std::fs;

use crate::files::{bytes, names};
use crate::support::host;

#[test]
fn diff_tells_what_changed() {
    let host = host!();
    host.docker(&["run", "--name", "same", "busybox", "true"])
        .good();
    assert_eq!(host.docker(&["diff", "same"]).good(), "");
    assert_eq!(
        host.send("GET", "/containers/same/changes", b"").body,
        "null"
    );
    let script = "echo new >/data/new; rm /data/seed; mkdir -p /a/b; touch /a/b/c; \
        chmod 700 /root; rm -r /var/www; echo more >>/etc/passwd; rm /plain; mkdir /plain; touch /plain/x; \
        touch /gone; rm /gone";
    host.docker(&["run", "--name", "changed", "busybox", "sh", "-c", script])
        .good();
    let expected = "A /a\nA /a/b\nA /a/b/c\nC /data\nA /data/new\nD /data/seed\nC /etc\nC /etc/passwd\nC /plain\nA /plain/x\nC /root\nC /var\nD /var/www";
    assert_eq!(host.docker(&["diff", "changed"]).good(), expected);
    let answer = host.send("GET", "/containers/changed/changes", b"");
    let list: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(list[0], serde_json::json!({"Path": "/a", "Kind": 1}));
    assert_eq!(
        list[5],
        serde_json::json!({"Path": "/data/seed", "Kind": 2})
    );
    // A directory that was replaced hides what was in it.
    let script = "rm -r /data; mkdir /data; touch /data/other";
    host.docker(&["run", "--name", "opaque", "busybox", "sh", "-c", script])
        .good();
    assert_eq!(
        host.docker(&["diff", "opaque"]).good(),
        "C /data\nA /data/other\nD /data/seed"
    );
}

#[test]
fn export_is_the_whole_root_without_what_is_mounted() {
    let host = host!();
    fs::create_dir(host.path("bind")).unwrap();
    fs::write(host.path("bind/secret"), "not exported").unwrap();
    let bind = format!("{}:/bind", host.path("bind"));
    host.docker(&[
        "run", "-d", "--name", "box", "-v", &bind, "busybox", "sleep", "1000",
    ])
    .good();
    host.docker(&["exec", "box", "sh", "-c", "echo x >/data/x; rm /plain"])
        .good();
    for running in [true, false] {
        let names = names(&bytes(&host, &["export", "box"]));
        for name in [
            ".dockerenv",
            "bin/busybox",
            "bin/sh",
            "data/x",
            "data/seed",
            "etc/hosts",
            "proc/",
            "sys/",
            "dev/console",
            "bind/",
        ] {
            assert!(
                names.iter().any(|known| known == name),
                "{name} is not in {names:?}"
            );
        }
        assert!(
            !names.iter().any(|name| name == "plain"
                || name.starts_with("bind/s")
                || name.starts_with("proc/1")),
            "{names:?}"
        );
        if running {
            host.docker(&["stop", "-t", "0", "box"]).good();
        }
    }
    let events = host.events(&["--format", "{{.Action}}"]);
    assert_eq!(
        events.lines().filter(|action| *action == "export").count(),
        2
    );
    host.docker(&["cp", "box:/data/x", &host.path("x")]).good();
    host.docker(&["cp", &host.path("x"), "box:/data/y"]).good();
    let events = host.events(&["--format", "{{.Type}} {{.Action}}"]);
    assert!(
        events.ends_with("container archive-path\ncontainer extract-to-dir"),
        "{events}"
    );
}

#[test]
fn the_working_directory_is_there_before_the_first_start() {
    let host = host!();
    let create = |name: &str, path: &str| {
        host.docker(&["create", "--name", name, "-w", path, "busybox", "pwd"])
    };
    create("placed", "/made/here").good();
    assert_eq!(
        host.docker(&["diff", "placed"]).good(),
        "A /made\nA /made/here"
    );
    host.docker(&["cp", "/etc/passwd", "placed:/made/here/"])
        .good();
    assert_eq!(host.docker(&["start", "-a", "placed"]).good(), "/made/here");
    create("there", "/bin").good();
    assert_eq!(host.docker(&["diff", "there"]).good(), "");
    create("file", "/bin/busybox").bad(1, "Cannot mkdir: /bin/busybox is not a directory");
}
