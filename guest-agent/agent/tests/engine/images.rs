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
fn an_archive_of_an_old_docker_is_loaded() {
    let host = host!();
    let old = archive::legacy("old/box", "1").unwrap();
    std::fs::write(host.dir.path().join("old.tar"), old).unwrap();
    let loaded = host.docker(&["load", "-i", &host.path("old.tar")]).good();
    assert!(loaded.ends_with("Loaded image: old/box:1"), "{loaded}");
    let words = ["run", "--rm", "old/box:1", "sh", "-c", "echo $FROM"];
    assert_eq!(host.docker(&words).good(), "long ago");
    let history = host
        .docker(&["history", "--format", "{{.CreatedBy}}", "old/box:1"])
        .good();
    assert_eq!(history, "/bin/sh -c #(nop) ENV FROM\n/bin/sh -c #(nop) ADD");
    // What it was made from has no name, and goes with it.
    let all = || host.docker(&["images", "-aq"]).good().lines().count();
    assert_eq!(all(), 3);
    host.docker(&["rmi", "old/box:1"]).good();
    assert_eq!(all(), 1);
}

#[test]
fn pruning_leaves_a_used_image_the_names_that_it_is_used_by() {
    let host = host!();
    let prune = || {
        let pruned = host.docker(&["image", "prune", "-af"]).good();
        let gone = pruned
            .lines()
            .filter_map(|line| line.strip_prefix("untagged: "));
        let gone: Vec<String> = gone.map(str::to_owned).collect();
        (gone.join(" "), pruned.contains("deleted: "))
    };
    let tag = |names: &[&str]| {
        for name in names {
            host.docker(&["tag", "busybox", name]).good();
        }
    };
    tag(&["far.example/box", "mine:1", "mine:2", "also"]);
    host.docker(&["create", "--name", "one", "mine:2"]).good();
    let mount = "type=image,source=also,target=/also";
    let create = ["create", "--name", "two", "--mount", mount, "busybox"];
    host.docker(&create).good();
    let (gone, deleted) = prune();
    assert_eq!(gone, "mine:1 far.example/box:latest");
    assert!(!deleted);
    let left = host.field("busybox", "json .RepoTags");
    assert_eq!(left, r#"["also:latest","busybox:latest","mine:2"]"#);

    // One name stays when there are only containers that were made with the id.
    host.docker(&["rm", "one", "two"]).good();
    let id = host.field("busybox", ".Id");
    let short = &id["sha256:".len()..][..12];
    host.docker(&["create", "--name", "three", short]).good();
    assert_eq!(prune().0, "also:latest busybox:latest");
    assert_eq!(host.field(&id, "json .RepoTags"), r#"["mine:2"]"#);
    host.docker(&["rm", "three"]).good();
    let (gone, deleted) = prune();
    assert_eq!(gone, "mine:2");
    assert!(deleted);
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
