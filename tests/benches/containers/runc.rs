//! `runc run` on the same root: what Docker's own runtime takes without Docker.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::busybox::Image;
use tests::peers::Peer;

use crate::engine;
use tests::figure::{Figures, median, time};

/// A container's whole life against `runc run`. It has to be quicker, with all that it does more.
pub(crate) fn compare(
    figures: &Figures,
    ours: &Peer,
    dockerd: &Peer,
    image: &Image,
    rounds: usize,
) {
    let peers = PathBuf::from(std::env::var_os("SLIPWAY_PEERS").unwrap_or_default());
    let runc = Runc {
        daemon: dockerd.pid(),
        bundle: peers.join("root/bundle"),
    };
    runc.make_bundle(image);
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for round in 0..rounds * 4 {
        our.push(engine::whole_life(ours.socket(), "none").iter().sum());
        let id = format!("slipway-bench-{}-{round}", std::process::id());
        their.push(time(|| runc.run(&["run", "--bundle", "/root/bundle", &id])));
    }
    figures.report("run-against-runc", median(our), median(their), "ms", 1.0);
    let _ = std::fs::remove_dir_all(&runc.bundle);
}

/// runc of the daemon's packages, in the daemon's own tree.
struct Runc {
    daemon: u32,
    bundle: PathBuf,
}

impl Runc {
    fn run(&self, arguments: &[&str]) {
        let ran = Command::new("nsenter")
            .args(["--target", &self.daemon.to_string(), "--mount", "--net"])
            .arg("/usr/sbin/runc")
            .args(arguments)
            .env("PATH", "/usr/sbin:/usr/bin")
            .stdin(Stdio::null())
            .output()
            .expect("runc");
        assert!(ran.status.success(), "{ran:?}");
    }

    /// A bundle as `runc spec` makes it, with our program.
    fn make_bundle(&self, image: &Image) {
        let _ = std::fs::remove_dir_all(&self.bundle);
        std::fs::create_dir_all(&self.bundle).expect("a bundle");
        image.write_root(&self.bundle.join("rootfs"));
        self.run(&["spec", "--bundle", "/root/bundle"]);
        let path = self.bundle.join("config.json");
        let text = std::fs::read(&path).expect("a specification");
        let mut spec: Value = serde_json::from_slice(&text).expect("a specification");
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["/bin/true"]);
        std::fs::write(&path, spec.to_string()).expect("a specification");
    }
}
