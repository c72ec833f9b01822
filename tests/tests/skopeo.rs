//! Images to and from skopeo, by archive and by registry, in every form that it writes.
//! `cargo xtask test --all` unpacks it.
#![allow(clippy::expect_used, reason = "a test that can't go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::busybox::{self, Image};
use tests::registry::Registry;
use tests::steps::{skip, unable};
use tests::{Driver, Machine, Steps, isolation};

#[test]
fn images_travel_to_and_from_skopeo() {
    let Some(root) = std::env::var_os("SLIPWAY_SKOPEO").map(PathBuf::from) else {
        return unable("SLIPWAY_SKOPEO does not name the folder with skopeo");
    };
    if !isolation::is_inside("images_travel_to_and_from_skopeo") {
        return;
    }
    let registry = match Registry::start() {
        Ok(registry) => registry,
        Err(why) => return skip(&why),
    };
    let machine = match Machine::started(Driver::Native) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    let image = machine.load_busybox().expect("busybox");
    let skopeo = Skopeo { root };
    let mut steps = Steps::begin();
    steps.step("what we save, in its archives", || {
        archives(&machine, &skopeo, &image)
    });
    steps.step("what we push", || pushed(&machine, &skopeo, &registry));
    for compression in ["gzip", "zstd", "zstd:chunked"] {
        for format in ["oci", "v2s2"] {
            // Docker's own format knows no zstd.
            if format == "v2s2" && compression != "gzip" {
                continue;
            }
            steps.step(
                &format!("what it pushes, {format} with {compression}"),
                || {
                    pulled(&machine, &skopeo, &registry, format, compression);
                },
            );
        }
    }
    steps.end();
}

struct Skopeo {
    root: PathBuf,
}

impl Skopeo {
    /// Runs it in its own tree; what it says.
    fn run(&self, arguments: &[&str]) -> String {
        let ran = Command::new("chroot")
            .arg(&self.root)
            .args(["/usr/bin/skopeo", "--insecure-policy", "--tmpdir", "/tmp"])
            .args(arguments)
            .output()
            .expect("chroot");
        assert!(ran.status.success(), "skopeo {arguments:?}: {ran:?}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// A file in its tree: its path for us and for it.
    fn file(&self, name: &str) -> (PathBuf, String) {
        let path = self.root.join("tmp").join(name);
        let _ = std::fs::remove_file(&path);
        (path, format!("/tmp/{name}"))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

fn archives(machine: &Machine, skopeo: &Skopeo, image: &Image) {
    let (saved, theirs) = skopeo.file("saved.tar");
    machine
        .docker(&["save", "-o", text(&saved), busybox::NAME])
        .ok();
    for form in ["docker-archive", "oci-archive"] {
        let (copied, copy) = skopeo.file("copied.tar");
        let reference = "localhost/from-skopeo:v1";
        skopeo.run(&[
            "copy",
            &format!("docker-archive:{theirs}"),
            &format!("{form}:{copy}:{reference}"),
        ]);
        machine.docker(&["load", "-i", text(&copied)]).ok();
        let id = machine.docker(&["image", "inspect", "-f", "{{.Id}}", reference]);
        // An OCI configuration has fewer fields: another id.
        let same = id.text() == image.id();
        assert_eq!(same, form == "docker-archive", "{form}");
        assert_eq!(says(machine, reference), "it runs", "{form}");
        machine.docker(&["rmi", reference]).ok();
    }
}

fn pushed(machine: &Machine, skopeo: &Skopeo, registry: &Registry) {
    let name = format!("{}/ours:v1", registry.host);
    machine.docker(&["tag", busybox::NAME, &name]).ok();
    machine.docker(&["push", &name]).ok();
    let source = format!("docker://{name}");
    let digest = skopeo.run(&[
        "inspect",
        "--tls-verify=false",
        "-f",
        "{{.Digest}}",
        &source,
    ]);
    let ours = machine.docker(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", &name]);
    assert!(ours.ok().contains(digest.trim()), "{digest}");
    // It checks every layer against its digest.
    let (_, copy) = skopeo.file("ours.tar");
    let target = format!("oci-archive:{copy}");
    skopeo.run(&["copy", "--src-tls-verify=false", &source, &target]);
    machine.docker(&["rmi", &name]).ok();
}

fn pulled(
    machine: &Machine,
    skopeo: &Skopeo,
    registry: &Registry,
    format: &str,
    compression: &str,
) {
    let (saved, theirs) = skopeo.file("saved.tar");
    machine
        .docker(&["save", "-o", text(&saved), busybox::NAME])
        .ok();
    let tag = compression.replace(':', "-");
    let name = format!("{}/theirs:{format}-{tag}", registry.host);
    skopeo.run(&[
        "copy",
        "--dest-tls-verify=false",
        "--format",
        format,
        "--dest-compress-format",
        compression,
        &format!("docker-archive:{theirs}"),
        &format!("docker://{name}"),
    ]);
    // Layers that are here already would not be fetched.
    machine.docker(&["rmi", "-f", busybox::NAME]).ok();
    machine.docker(&["pull", &name]).ok();
    assert_eq!(says(machine, &name), "it runs");
    machine.docker(&["tag", &name, busybox::NAME]).ok();
    machine.docker(&["rmi", &name]).ok();
}

fn says(machine: &Machine, image: &str) -> String {
    machine
        .docker(&["run", "--rm", image, "echo", "it runs"])
        .text()
}
