//! `runc run` on the same root: what Docker's own runtime takes without Docker.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::peers::Peer;

use crate::engine;
use crate::figure::{Figures, median, time};

/// A container's whole life against `runc run`. It has to be quicker, with all that it does more.
pub(crate) fn compare(figures: &Figures, ours: &Peer, root: &Path, rounds: usize) {
    let bundle = bundle(root);
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for round in 0..rounds * 4 {
        our.push(time(|| engine::whole_life(ours, "none")));
        their.push(time(|| {
            let ran = runc()
                .args(["run", "--bundle"])
                .arg(&bundle)
                .arg(format!("slipway-bench-{}-{round}", std::process::id()))
                .output()
                .expect("runc");
            assert!(ran.status.success(), "{ran:?}");
        }));
    }
    figures.report("run-against-runc", median(our), median(their), "ms", 1.0);
}

/// runc of the daemon's packages, which is linked against libraries from there.
fn runc() -> Command {
    let peers = PathBuf::from(std::env::var_os("SLIPWAY_PEERS").unwrap_or_default());
    let mut command = Command::new(peers.join("usr/lib64/ld-linux-x86-64.so.2"));
    command
        .arg("--library-path")
        .arg(peers.join("usr/lib/x86_64-linux-gnu"))
        .arg(peers.join("usr/sbin/runc"));
    command
}

/// A bundle as `runc spec` makes it, with our program, and no cgroup.
fn bundle(root: &Path) -> PathBuf {
    let bundle = root.with_extension("bundle");
    std::fs::create_dir_all(&bundle).expect("a bundle");
    let path = bundle.join("config.json");
    let _ = std::fs::remove_file(&path);
    let made = runc()
        .arg("spec")
        .current_dir(&bundle)
        .output()
        .expect("runc");
    assert!(made.status.success(), "{made:?}");
    let text = std::fs::read(&path).expect("a specification");
    let mut spec: Value = serde_json::from_slice(&text).expect("a specification");
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["/bin/true"]);
    spec["root"]["path"] = json!(root);
    std::fs::write(&path, spec.to_string()).expect("a specification");
    bundle
}
