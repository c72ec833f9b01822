//! Python's clients: docker-py and Testcontainers. The scripts are in `tests/python`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Host, host};

fn run(host: &Host, script: &str) {
    let packages: PathBuf = host.tools().join("../python");
    if !packages.join("docker").exists() {
        eprintln!("SKIPPED: docker-py is not set up: cargo xtask setup");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python")
        .join(script);
    let output = Command::new("timeout")
        .args(["--kill-after=5", "180", "python3"])
        .arg(&script)
        .env("PYTHONPATH", &packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("DOCKER_HOST", format!("unix://{}", host.socket()))
        .env("DOCKER_CONFIG", host.path("docker-config"))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}: {}\n{}{}",
        script.display(),
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn docker_py_drives_containers_and_exec_sessions() {
    let host = host!();
    run(&host, "containers.py");
}

#[test]
fn testcontainers_start_and_are_reaped() {
    let host = host!();
    run(&host, "reaper.py");
}
