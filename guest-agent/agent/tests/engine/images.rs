//! load, images, tag, rmi, inspect, prune.

use crate::support::{archive, host};
use serde_json::json;

#[test]
fn an_image_is_loaded_named_listed_and_removed() {
    let host = host!();
    let other = archive::image("other/app:1", &json!({ "Cmd": ["true"] })).unwrap();
    std::fs::write(host.dir.path().join("app.tar"), other).unwrap();
    let loaded = host.docker(&["load", "-i", &host.path("app.tar")]).good();
    assert!(loaded.ends_with("Loaded image: other/app:1"), "{loaded}");
    let names = || {
        let mut names: Vec<String> = host
            .docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"])
            .good()
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(), "busybox:latest other/app:1");
    host.docker(&["tag", "other/app:1", "mine"]).good();
    assert_eq!(names(), "busybox:latest mine:latest other/app:1");
    assert_eq!(
        host.docker(&["rmi", "mine"]).good(),
        "Untagged: mine:latest"
    );
    let id = host
        .docker(&["inspect", "-f", "{{.Id}}", "other/app:1"])
        .good();
    host.docker(&["create", "--name", "user", "other/app:1"])
        .good();
    let container = host.field("user", ".Id");
    let error = format!(
        "conflict: unable to remove repository reference \"other/app:1\" (must force) - container {} is using its referenced image {}",
        &container[..12],
        &id["sha256:".len()..][..12],
    );
    host.docker(&["rmi", "other/app:1"]).bad(1, &error);
    host.docker(&["rm", "user"]).good();
    let removed = host.docker(&["rmi", "other/app:1"]).good();
    assert!(removed.starts_with("Untagged: other/app:1\n"), "{removed}");
    assert!(removed.contains(&format!("Deleted: {id}")), "{removed}");
    host.docker(&["rmi", "other/app:1"])
        .bad(1, "No such image: other/app:1");
    host.docker(&["inspect", "--type", "image", "nope"])
        .bad(1, "nope");
    let history = host
        .docker(&["history", "--format", "{{.CreatedBy}}", "busybox"])
        .good();
    assert_eq!(history, "busybox");
    assert_eq!(
        host.docker(&["image", "prune", "-f"]).good(),
        "Total reclaimed space: 0B"
    );
}

#[test]
fn a_saved_image_can_be_loaded_again() {
    let host = host!();
    host.docker(&["tag", "busybox", "copy:1"]).good();
    let file = host.path("saved.tar");
    host.docker(&["save", "-o", &file, "busybox:latest", "copy:1"])
        .good();
    let id = host.field("busybox", ".Id");
    host.docker(&["rmi", "busybox", "copy:1"]).good();
    let loaded = host.docker(&["load", "-q", "-i", &file]).good();
    assert!(loaded.contains("Loaded image: busybox:latest"), "{loaded}");
    assert!(loaded.contains("Loaded image: copy:1"), "{loaded}");
    assert_eq!(host.field("busybox", ".Id"), id);
    assert_eq!(
        host.docker(&["run", "--rm", "copy:1", "echo", "back"])
            .good(),
        "back"
    );
    host.docker(&["save", "-o", &file, "nope"])
        .bad(1, "No such image: nope");
}

#[test]
fn damaged_archives_change_nothing() {
    let host = host!();
    let whole = archive::image("half:1", &json!({})).unwrap();
    std::fs::write(host.dir.path().join("half.tar"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(host.dir.path().join("junk.tar"), b"this is no archive").unwrap();
    for name in ["half.tar", "junk.tar"] {
        let output = host.docker(&["load", "-i", &host.path(name)]);
        assert_eq!(output.code, 1, "{output:?}");
        assert!(!output.stderr.is_empty());
    }
    assert_eq!(host.docker(&["images", "-q"]).good().lines().count(), 1);
}
