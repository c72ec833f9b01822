//! In a machine: a container's whole life over the API, the way through the link included, against
//! `crun run` on the same root in the same machine.

use std::process::Command;

use serde_json::{Value, json};
use tests::{Driver, Machine};

use crate::engine;
use tests::figure::{Figures, median, time};

/// How many containers one of crun's rounds runs.
const RUNS: u32 = 10;

/// A container's whole life against `crun run`.
pub(crate) fn compare(figures: &Figures, rounds: usize) {
    let machine = match Machine::started(Driver::Qemu) {
        Ok(machine) => machine,
        Err(why) => {
            println!("SKIPPED what is measured in a machine: {why}");
            return;
        }
    };
    machine.load_busybox().expect("busybox");
    let crun = Crun::new(&machine);
    let (mut our, mut their) = (Vec::new(), Vec::new());
    engine::whole_life(&machine.socket(), "none");
    for _ in 0..rounds {
        their.push(crun.run());
        let life = || {
            engine::whole_life(&machine.socket(), "none")
                .iter()
                .sum::<f64>()
        };
        let lives = (0..RUNS).map(|_| life());
        our.push(lives.sum::<f64>() / f64::from(RUNS));
    }
    figures.report("run-in-machine", median(our), median(their), "ms", 1.3);
}

/// A privileged container with crun in it.
struct Crun<'a>(&'a Machine);

impl<'a> Crun<'a> {
    fn new(machine: &'a Machine) -> Self {
        let root = std::env::var_os("SLIPWAY_CRUN").expect("SLIPWAY_CRUN");
        let archive = machine.home().join("crun.tar");
        let packed = Command::new("tar")
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(&root)
            .arg(".")
            .status();
        assert!(packed.is_ok_and(|status| status.success()), "packing crun");
        let archive = archive.to_str().expect("a path");
        machine.docker(&["import", archive, "crun"]).ok();
        // The bundle is on a file system that takes an overlay, as the images are.
        let options = ["--name", "crun", "--privileged", "-v", "/bundle"];
        let arguments = [
            &["run", "-d"],
            &options[..],
            &["crun", "busybox", "sleep", "100000"],
        ];
        machine.docker(&arguments.concat()).ok();
        let crun = Self(machine);
        crun.sh("mkdir -p /bundle/rootfs/bin && cp /usr/bin/busybox /bundle/rootfs/bin/true");
        crun.sh("cd /bundle && crun spec");
        let spec = machine.docker(&["exec", "crun", "busybox", "cat", "/bundle/config.json"]);
        let mut spec: Value = serde_json::from_str(&spec.ok()).expect("a specification");
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["/bin/true"]);
        crun.sh(&format!("cat >/bundle/config.json <<'END'\n{spec}\nEND"));
        crun
    }

    fn sh(&self, script: &str) {
        self.0
            .docker(&["exec", "crun", "busybox", "sh", "-ec", script])
            .ok();
    }

    /// How long one `crun run` takes: the way into the container is subtracted.
    fn run(&self) -> f64 {
        let script = |runs: u32| {
            format!(
                "i=0; while [ $i -lt {runs} ]; do crun run --bundle /bundle x$i; i=$((i+1)); done"
            )
        };
        let (once, more) = (script(1), script(RUNS + 1));
        let few = time(|| self.sh(&once));
        let many = time(|| self.sh(&more));
        ((many - few) / f64::from(RUNS)).max(0.1)
    }
}
