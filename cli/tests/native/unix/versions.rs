//! What docker has no words for: versions, a look into images, and the check of the store.

use serde_json::Value;

use super::engine::Engine;

pub(crate) fn run(engine: &Engine) {
    for words in [&["history", "busybox"][..], &["image", "ls", "-q"]] {
        super::same(engine, words);
    }
    versions(engine);
    look(engine);
    archives(engine);
    let report = engine.slipway(&["doctor", "store"]);
    assert!(report.stdout.ends_with(": sound\n"), "{report}");
    let settings = engine.slipway(&["image", "registries", "--mirror", "http://m:5000"]);
    let settings: Value = serde_json::from_str(&settings.stdout).unwrap();
    assert_eq!(settings["registry-mirrors"][0], "http://m:5000");
    engine.slipway(&["image", "registries", "--reset"]).exits(0);
}

/// A name that moves to another image, and back.
fn versions(engine: &Engine) {
    let id = |name: &str| {
        let said = engine.slipway(&["inspect", "-f", "{{.Id}}", name]);
        said.stdout.trim().to_owned()
    };
    engine.slipway(&["tag", "busybox", "moving:1"]).exits(0);
    let first = id("moving:1");
    engine
        .slipway(&[
            "run",
            "--name",
            "change",
            "busybox",
            "sh",
            "-c",
            "echo new >/new",
        ])
        .exits(0);
    engine.slipway(&["commit", "change", "moving:1"]).exits(0);
    engine.slipway(&["rm", "change"]).exits(0);
    let second = id("moving:1");
    assert_ne!(first, second);
    let log = engine.slipway(&["image", "log", "moving:1"]);
    let lines: Vec<&str> = log.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(
        lines[1].contains("commit") && lines[1].contains("current"),
        "{log}"
    );
    assert!(
        lines[2].contains("tag") && lines[2].contains("slipway "),
        "{log}"
    );
    let diff = engine.slipway(&["image", "diff", &first, "moving:1"]);
    assert!(diff.stdout.contains("\nA /new 4B (layer 1)\n"), "{diff}");
    assert!(
        diff.stdout.contains("1 shared, 0 removed, 1 added"),
        "{diff}"
    );

    let back = engine.slipway(&["image", "rollback", "moving:1"]);
    assert!(back.stdout.starts_with("moving:1 is "), "{back}");
    assert_eq!(id("moving:1"), first);
    let forth = engine.slipway(&["image", "rollback", "moving:1", &second[7..19]]);
    forth.exits(0);
    assert_eq!(id("moving:1"), second);
    let lost = engine.slipway(&["image", "rollback", "moving:1", "77"]);
    assert!(lost.stderr.contains("has no version 77"), "{lost}");
    let kept = engine.slipway(&["image", "retention", "--versions", "3"]);
    assert!(kept.stdout.contains("keeps 3 earlier versions"), "{kept}");
    engine
        .slipway(&["image", "retention", "--versions", "0"])
        .exits(0);
}

fn look(engine: &Engine) {
    let layers = engine.slipway(&["image", "layers", "moving:1"]);
    assert_eq!(layers.stdout.lines().count(), 3, "{layers}");
    let tree = engine.slipway(&["image", "tree", "--layer", "1", "moving:1"]);
    assert!(
        tree.stdout.contains("A -rw-r--r-- 0:0       4B /new\n"),
        "{tree}"
    );
    let all = engine.slipway(&["image", "tree", "--flat", "moving:1", "/"]);
    assert!(
        all.stdout.contains(" /bin\n") && all.stdout.contains(" /new\n"),
        "{all}"
    );
    let file = engine.slipway(&["image", "cat", "moving:1", "/new"]);
    assert_eq!(file.stdout, "new\n");
    let waste = engine.slipway(&["image", "waste", "moving:1"]);
    assert!(waste.stdout.contains("are carried for nothing"), "{waste}");
}

fn archives(engine: &Engine) {
    let path = engine.home().join("files.tar");
    let mut archive = tar::Builder::new(std::fs::File::create(&path).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "hello", &b"hi"[..])
        .unwrap();
    archive.finish().unwrap();
    let path = path.to_str().unwrap();
    let said = engine.slipway(&["import", "-c", "ENV A=b", path, "imported:1"]);
    assert!(said.stdout.starts_with("sha256:"), "{said}");
    let file = engine.slipway(&["image", "cat", "imported:1", "hello"]);
    assert_eq!(file.stdout, "hi");
    engine.slipway(&["rmi", "imported:1"]).exits(0);
    let pruned = engine.slipway(&["image", "prune", "-f"]);
    assert!(
        pruned.stdout.contains("Total reclaimed space: "),
        "{pruned}"
    );
}
