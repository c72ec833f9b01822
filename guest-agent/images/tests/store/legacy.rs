//! Archives that `docker save` wrote before version 1.10.

use images::Digest;
use serde_json::{Value, json};

use crate::fixture::{Place, Tar};

/// A folder of such an archive: its name, the folder below, the remark and the layer.
type Folder<'a> = (&'a str, &'a str, &'a str, Vec<u8>);

fn archive(folders: &[Folder<'_>], repositories: &Value) -> Vec<u8> {
    let mut archive = Tar::new();
    for (name, parent, remark, layer) in folders {
        let mut description = json!({
            "id": name, "comment": remark, "created": "2015-06-13T14:03:50.821769-07:00",
            "container_config": { "Cmd": ["/bin/sh", "-c", "#(nop) ADD <file> in /"] },
            "docker_version": "1.9.1", "config": { "Env": ["A=<1>"], "Cmd": ["/bin/sh"] },
            "architecture": "amd64", "os": "linux", "Size": 5,
        });
        if !parent.is_empty() {
            description["parent"] = json!(parent);
        }
        archive = archive
            .directory(name, 0o755)
            .bytes(&format!("{name}/VERSION"), 0o644, b"1.0")
            .bytes(
                &format!("{name}/json"),
                0o644,
                description.to_string().as_bytes(),
            )
            .bytes(&format!("{name}/layer.tar"), 0o644, layer);
    }
    let repositories = repositories.to_string();
    archive
        .bytes("repositories", 0o644, repositories.as_bytes())
        .end()
}

fn layer(text: &str) -> Vec<u8> {
    Tar::new().bytes("file", 0o644, text.as_bytes()).end()
}

#[tokio::test]
async fn old_archives_become_images_of_today() {
    let place = Place::new();
    let (low, high) = (layer("low"), layer("high"));
    let nothing = Tar::new().end();
    // The one above comes first, and one layer changes nothing.
    let folders = [
        ("c3", "b2", "top", high.clone()),
        ("b2", "a1", "", nothing.clone()),
        ("a1", "", "", low.clone()),
    ];
    let tags = json!({ "old/app": { "1": "c3", "latest": "c3" }, "base": { "x": "a1" } });
    let loaded = place.load(&archive(&folders, &tags)).await.unwrap();
    let lines: Vec<String> = loaded.iter().map(ToString::to_string).collect();
    let expected = ["base:x", "old/app:1", "old/app:latest"];
    assert_eq!(lines, expected.map(|name| format!("Loaded image: {name}")));

    let image = place.store.resolve("old/app").unwrap();
    assert_eq!(place.read(&image, "file"), b"high");
    assert_eq!(
        image.layers,
        [&low, &nothing, &high].map(|bytes| Digest::of(bytes))
    );
    assert_eq!(image.config.history().len(), 3);
    assert_eq!(image.config.history()[2].comment, "top");
    let middle = place.store.get(&image.parent.unwrap()).unwrap();
    assert!(middle.repo_tags.is_empty());
    let base = place.store.resolve("base:x").unwrap();
    assert_eq!(middle.parent, Some(base.id));
    assert_eq!(base.parent, None);
    // To the byte what dockerd makes of it.
    let config = format!(
        r##"{{"architecture":"amd64","comment":"","config":{{"Env":["A=\u003c1\u003e"],"Cmd":["/bin/sh"]}},"container_config":{{"Cmd":["/bin/sh","-c","#(nop) ADD \u003cfile\u003e in /"]}},"created":"2015-06-13T14:03:50.821769-07:00","docker_version":"1.9.1","history":[{{"created":"2015-06-13T14:03:50.821769-07:00","created_by":"/bin/sh -c #(nop) ADD \u003cfile\u003e in /"}}],"os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"##,
        Digest::of(&low)
    );
    assert_eq!(base.id, Digest::of(config.as_bytes()));
    assert!(place.store.check(true).unwrap().findings.is_empty());
}

#[tokio::test]
async fn damaged_old_archives_are_told_and_leave_nothing() {
    let tags = json!({ "x": { "1": "a1" } });
    let circle = [("a1", "b2", "", layer("a")), ("b2", "a1", "", layer("b"))];
    let orphan = [("a1", "b2", "", layer("a"))];
    let good = [("a1", "", "", layer("a"))];
    let text = [("a1", "", "", b"no archive".to_vec())];
    for (archive, words) in [
        (archive(&circle, &tags), "image a1 is below itself"),
        (
            archive(&orphan, &tags),
            r#"names "b2/json" but does not hold it"#,
        ),
        (archive(&text, &tags), "not a valid tar archive"),
        (
            archive(&good, &json!({ "x": { "1": "c3" } })),
            "invalid target ID: c3",
        ),
        (
            archive(&good, &json!({ "X": { "1": "a1" } })),
            "must be lowercase",
        ),
        (archive(&good, &json!([])), "invalid archive: repositories"),
    ] {
        Place::refuses(&archive, words).await;
    }
}
