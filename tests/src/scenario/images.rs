//! Loading, pulling, looking at, naming and removing images.

use crate::busybox::{self, Image};
use crate::registry::Registry;
use crate::{Machine, Steps};

pub(super) fn steps(machine: &Machine, registry: &Registry, steps: &mut Steps) {
    let image = Image::make().expect("busybox");
    let pushed = registry.push(&image, "busybox", "latest");
    let name = format!("{}/busybox:latest", registry.host);
    steps.step("load", || load(machine, &image));
    steps.step("load from standard input", || load_from_input(machine));
    steps.step("images", || list(machine, &image));
    steps.step("image inspect", || inspect(machine, &image));
    steps.step("tag and untag", || tag(machine));
    steps.step("missing image", || missing(machine));
    steps.step("pull", || pull(machine, &name, &pushed, &image));
    steps.step("pull of what isn't there", || {
        pull_missing(machine, &registry.host)
    });
    steps.step("run pulls", || run_pulls(machine, &name));
    steps.step("push", || push(machine, &registry.host));
    steps.step("history", || history(machine));
    steps.step("import", || import(machine));
    steps.step("save and load of several", || several(machine));
    steps.step("prune", || prune(machine));
}

/// At the end: it takes the test image away.
pub(super) fn removal(machine: &Machine, steps: &mut Steps) {
    steps.step("rmi of an image in use", || remove_used(machine));
    steps.step("rmi", || remove(machine));
}

fn load(machine: &Machine, image: &Image) {
    let loaded = machine.load_busybox().expect("busybox");
    assert_eq!(loaded.id(), image.id());
}

fn load_from_input(machine: &Machine) {
    let archive = std::fs::read(machine.home().join("busybox.tar")).expect("the archive");
    let said = machine
        .docker_command(&["load"])
        .input(archive)
        .run()
        .text();
    assert_eq!(said, format!("Loaded image: {}", busybox::NAME));
}

fn list(machine: &Machine, image: &Image) {
    let format = "{{.Repository}} {{.Tag}} {{.ID}}";
    let text = machine.docker(&["images", "--format", format]).ok();
    let short = &image.id()["sha256:".len()..][..12];
    let line = format!("slipway-test/busybox latest {short}");
    assert!(text.lines().any(|found| found == line), "{text}");
    let ids = machine
        .docker(&["images", "-q", "--no-trunc", "slipway-test/busybox"])
        .text();
    assert_eq!(ids, image.id());
    let table = machine.docker(&["images"]).ok();
    assert!(table.starts_with("REPOSITORY"), "{table}");
}

fn inspect(machine: &Machine, image: &Image) {
    let format = "{{.Id}} {{.Os}} {{json .Config.Cmd}} {{len .RootFS.Layers}} {{json .RepoTags}} {{.Config.Labels.test}}";
    let line = machine
        .docker(&["image", "inspect", "--format", format, busybox::NAME])
        .text();
    assert_eq!(
        line,
        format!(
            "{} linux [\"sh\"] 2 [\"{}\"] busybox",
            image.id(),
            busybox::NAME
        )
    );
    // A short id is as good as the name.
    let short = &image.id()["sha256:".len()..][..12];
    let id = machine
        .docker(&["inspect", "--format", "{{.Id}}", short])
        .text();
    assert_eq!(id, image.id());
}

fn tag(machine: &Machine) {
    machine.docker(&["tag", busybox::NAME, "other:one"]).ok();
    let text = machine
        .docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"])
        .ok();
    assert!(text.lines().any(|line| line == "other:one"), "{text}");
    assert_eq!(
        machine.docker(&["rmi", "other:one"]).text(),
        "Untagged: other:one"
    );
    machine.docker(&["image", "inspect", busybox::NAME]).ok();
    let _ = machine
        .docker(&["tag", "nowhere:1", "other:one"])
        .exits(1)
        .complains("No such image: nowhere:1");
    let _ = machine
        .docker(&["tag", busybox::NAME, "UPPER:one"])
        .exits(1)
        .complains("must be lowercase");
}

fn missing(machine: &Machine) {
    let _ = machine
        .docker(&["image", "inspect", "nowhere"])
        .exits(1)
        .complains("No such image: nowhere");
    let _ = machine
        .docker(&["rmi", "nowhere"])
        .exits(1)
        .complains("No such image: nowhere:latest");
}

fn pull(machine: &Machine, name: &str, digest: &str, image: &Image) {
    let text = machine.docker(&["pull", name]).ok();
    assert!(text.contains("latest: Pulling from busybox"), "{text}");
    assert!(text.contains(&format!("Digest: {digest}")), "{text}");
    assert!(
        text.contains(&format!("Status: Downloaded newer image for {name}")),
        "{text}"
    );
    assert_eq!(text.lines().last(), Some(name), "{text}");
    let line = machine
        .docker(&["inspect", "--format", "{{.Id}} {{json .RepoDigests}}", name])
        .text();
    let repository = name.trim_end_matches(":latest");
    assert_eq!(line, format!("{} [\"{repository}@{digest}\"]", image.id()));

    let again = machine.docker(&["pull", name]).ok();
    assert!(
        again.contains(&format!("Status: Image is up to date for {name}")),
        "{again}"
    );
    assert_eq!(machine.docker(&["pull", "-q", name]).text(), name);
    let by_digest = format!("{repository}@{digest}");
    machine.docker(&["pull", &by_digest]).ok();
    assert_eq!(
        machine
            .docker(&["run", "--rm", name, "echo", "pulled"])
            .text(),
        "pulled"
    );
}

fn pull_missing(machine: &Machine, host: &str) {
    let tag = format!("{host}/busybox:none");
    let _ = machine
        .docker(&["pull", &tag])
        .exits(1)
        .complains(&format!("manifest for {tag} not found"));
    let repository = format!("{host}/nowhere:latest");
    let _ = machine
        .docker(&["pull", &repository])
        .exits(1)
        .complains("not found");
    let _ = machine
        .docker(&["pull", "Not:A:Name"])
        .exits(1)
        .complains("invalid reference format");
}

fn run_pulls(machine: &Machine, name: &str) {
    machine.docker(&["rmi", name]).ok();
    let ran = machine
        .docker(&["run", "--rm", name, "echo", "hi"])
        .exits(0);
    assert_eq!(ran.stdout, "hi\n");
    let _ = ran.complains(&format!("Unable to find image '{name}' locally"));
    machine.docker(&["rmi", name]).ok();
}

fn push(machine: &Machine, host: &str) {
    let name = format!("{host}/pushed/box:1");
    machine.docker(&["tag", busybox::NAME, &name]).ok();
    let said = machine.docker(&["push", &name]).ok();
    let heading = format!("The push refers to repository [{host}/pushed/box]\n");
    assert!(said.starts_with(&heading), "{said}");
    let last = said.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("1: digest: sha256:"), "{said}");
    let again = machine.docker(&["push", &name]).ok();
    assert!(again.contains(": Layer already exists\n"), "{again}");
    assert!(again.ends_with(&format!("{last}\n")), "{again}");
    let id = machine
        .docker(&["inspect", "-f", "{{.Id}}", busybox::NAME])
        .text();
    machine.docker(&["rmi", &name]).ok();
    machine.docker(&["pull", "-q", &name]).ok();
    let pulled = machine.docker(&["inspect", "-f", "{{.Id}}", &name]).text();
    assert_eq!(pulled, id);
    machine.docker(&["rmi", &name]).ok();
    let _ = machine
        .docker(&["push", &name])
        .exits(1)
        .complains("An image does not exist locally with the tag");
}

fn history(machine: &Machine) {
    let format = "{{.CreatedBy}} {{.Size}}";
    let text = machine
        .docker(&["history", "--format", format, busybox::NAME])
        .ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "second layer 7B", "{text}");
    assert!(lines[1].starts_with("busybox "), "{text}");
}

fn import(machine: &Machine) {
    let exported = machine.home().join("files.tar");
    let exported = exported.to_str().expect("a path");
    machine
        .docker(&["create", "--name", "files", busybox::NAME])
        .ok();
    machine.docker(&["export", "-o", exported, "files"]).ok();
    machine.docker(&["rm", "files"]).ok();
    let words = [
        "import",
        "-c",
        "ENV FROM=import",
        "-m",
        "a remark",
        exported,
        "imported:1",
    ];
    let id = machine.docker(&words).text();
    assert!(id.starts_with("sha256:"), "{id}");
    let format = "{{.Id}} {{json .Config.Env}} {{.Comment}} {{len .RootFS.Layers}}";
    let found = machine
        .docker(&["inspect", "-f", format, "imported:1"])
        .text();
    assert_eq!(found, format!("{id} [\"FROM=import\"] a remark 1"));
    let ran = machine.docker(&["run", "--rm", "imported:1", "/bin/busybox", "echo", "hi"]);
    assert_eq!(ran.text(), "hi");
    machine.docker(&["rmi", "imported:1"]).ok();
}

fn several(machine: &Machine) {
    let archive = machine.home().join("several.tar");
    let archive = archive.to_str().expect("a path");
    machine.docker(&["tag", busybox::NAME, "several:1"]).ok();
    machine.docker(&["tag", busybox::NAME, "several:2"]).ok();
    machine
        .docker(&["save", "-o", archive, "several", busybox::NAME])
        .ok();
    machine.docker(&["rmi", "several:1", "several:2"]).ok();
    let said = machine.docker(&["load", "-i", archive]).ok();
    for name in ["several:1", "several:2", busybox::NAME] {
        assert!(said.contains(&format!("Loaded image: {name}\n")), "{said}");
    }
    machine.docker(&["rmi", "several:1", "several:2"]).ok();
}

/// What goes is told to the byte.
fn prune(machine: &Machine) {
    let words = ["run", "--name", "more", busybox::NAME, "sh", "-c"];
    let write = "head -c 1000000 /dev/zero >/zeros && head -c 234567 /dev/zero >/more";
    machine.docker(&[&words[..], &[write]].concat()).ok();
    machine.docker(&["commit", "more"]).ok();
    machine.docker(&["rm", "more"]).ok();
    let text = machine.docker(&["image", "prune", "-f"]).ok();
    assert!(text.ends_with("Total reclaimed space: 1.235MB\n"), "{text}");
}

fn remove_used(machine: &Machine) {
    let id = machine.run_detached(&["--name", "user"], &["sleep", "1000"]);
    let refused = machine.docker(&["rmi", busybox::NAME]).exits(1);
    let _ = refused.complains(&format!("conflict: unable to remove repository reference \"{}\" (must force) - container {} is using its referenced image", busybox::NAME, &id[..12]));
    assert_eq!(machine.docker(&["rm", "-f", "user"]).text(), "user");
}

fn remove(machine: &Machine) {
    let text = machine.docker(&["rmi", busybox::NAME]).ok();
    assert!(
        text.starts_with(&format!("Untagged: {}\n", busybox::NAME)),
        "{text}"
    );
    assert!(text.contains("Deleted: sha256:"), "{text}");
    let left = machine
        .docker(&["images", "-q", "slipway-test/busybox"])
        .text();
    assert_eq!(left, "");
}
