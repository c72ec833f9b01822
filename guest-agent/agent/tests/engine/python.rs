//! Python's clients: docker-py and Testcontainers, driven by the scripts in `tests/python`, and
//! docker-py's own tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::registry::{Guard, Registry};
use crate::support::{Host, host, request};

/// docker-py's own tests that are not about images, builds or swarms.
const SUITE: [&str; 12] = [
    "api_client_test.py",
    "api_container_test.py",
    "api_exec_test.py",
    "api_healthcheck_test.py",
    "api_network_test.py",
    "api_volume_test.py",
    "client_test.py",
    "errors_test.py",
    "models_containers_test.py",
    "models_networks_test.py",
    "models_volumes_test.py",
    "regression_test.py",
];

/// Those of them that can't pass, and why.
const LEFT_OUT: [(&str, &str); 10] = [
    (
        "api_network_test.py::TestNetworks::test_create_network_ipv6_enabled",
        "asks for a subnet in a form that an older daemon took",
    ),
    (
        "api_network_test.py::TestNetworks::test_create_check_duplicate",
        "expects that an older daemon takes a name twice",
    ),
    (
        "api_network_test.py::TestNetworks::test_create_inspect_network_with_scope",
        "needs a swarm",
    ),
    (
        "api_network_test.py::TestNetworks::test_create_network_attachable",
        "needs a swarm",
    ),
    (
        "api_network_test.py::TestNetworks::test_create_network_ingress",
        "needs a swarm",
    ),
    (
        "api_container_test.py::CreateContainerTest::test_create_with_restart_policy",
        "expects the words of an older daemon",
    ),
    (
        "errors_test.py::ErrorsTest::test_api_error_parses_json",
        "expects the words of an older daemon",
    ),
    (
        "models_containers_test.py::ContainerTest::test_exec_run_failed",
        "expects the exit code of an older daemon",
    ),
    (
        "api_container_test.py::AttachContainerTest::test_run_container_reading_socket_ws",
        "docker-py has no WebSockets over a Unix socket",
    ),
    (
        "models_containers_test.py::ContainerCollectionTest::test_run_with_image_that_does_not_exist",
        "asks a registry on the internet",
    ),
];

/// Those that need limits which a host without cgroup v2 controllers does not have.
const NEED_LIMITS: [&str; 4] = [
    "api_container_test.py::ContainerUpdateTest::test_update_container",
    "api_container_test.py::ContainerCPUTest::test_container_cpu_shares",
    "api_container_test.py::ContainerCPUTest::test_container_cpuset",
    "models_containers_test.py::ContainerTest::test_update",
];

/// docker-py's own tests that are about images.
const IMAGES: [&str; 2] = ["api_image_test.py", "models_images_test.py"];

/// Those of them that can't pass here: builds, words of older daemons, and the internet.
const IMAGES_LEFT_OUT: [&str; 8] = [
    "api_image_test.py::CommitTest::test_commit",
    "api_image_test.py::CommitTest::test_commit_with_changes",
    "api_image_test.py::PruneImagesTest::test_prune_images",
    "models_images_test.py::ImageCollectionTest::test_build",
    "models_images_test.py::ImageCollectionTest::test_build_with_error",
    "models_images_test.py::ImageCollectionTest::test_build_with_multiple_success",
    "models_images_test.py::ImageCollectionTest::test_build_with_success_build_output",
    "models_images_test.py::ImageCollectionTest::test_pull_with_sha",
];

#[test]
fn docker_pys_own_tests_of_images_pass() {
    let host = host!();
    let registry = Registry::start(&host, 5006, Guard::default());
    for name in [
        "hello-world:latest",
        "busybox:latest",
        "alpine:latest",
        "alpine:3.10",
    ] {
        let full = format!("{}/library/{name}", registry.address);
        host.docker(&["tag", "busybox", &full]).good();
        host.docker(&["push", "-q", &full]).good();
        host.docker(&["rmi", &full]).good();
    }
    for name in ["alpine:latest", "alpine:3.10"] {
        host.docker(&["tag", "busybox", name]).good();
    }
    // What they ask Docker Hub for is here.
    let settings = format!(r#"{{"registry-mirrors":["http://{}"]}}"#, registry.address);
    let path = "/slipway/images/registries";
    let (status, body) = request(&host, "PUT", path, "application/json", &settings);
    assert_eq!(status, 200, "{body}");
    suite(&host, &IMAGES, &IMAGES_LEFT_OUT);
}

#[test]
fn docker_pys_own_tests_pass() {
    let host = host!();
    // What they expect of the image `alpine`.
    let changes = "echo postgres:x:70:70::/:/bin/sh >>/etc/passwd && mkdir -p /var/opt";
    host.docker(&["run", "--name", "alpine", "busybox", "sh", "-c", changes])
        .good();
    host.docker(&["commit", "alpine", "alpine:3.10"]).good();
    host.docker(&["tag", "alpine:3.10", "alpine:latest"]).good();
    host.docker(&["rm", "alpine"]).good();
    let mut left_out: Vec<&str> = LEFT_OUT.iter().map(|(name, _)| *name).collect();
    if host.docker(&["info", "-f", "{{.CPUShares}}"]).good() == "false" {
        eprintln!("left out on a host without limits: {NEED_LIMITS:?}");
        left_out.extend(NEED_LIMITS);
    }
    suite(&host, &SUITE, &left_out);
}

/// Runs files of docker-py's own tests but for those that are left out.
fn suite(host: &Host, files: &[&str], left_out: &[&str]) {
    let suite = host.tools().join("../docker-py");
    let suite = suite.as_path();
    if !suite.join("packages").exists() {
        return tests::steps::skip("docker-py's own tests are not set up: cargo xtask setup");
    }
    let mut pytest = Command::new("timeout");
    pytest
        .args(["--kill-after=5", "600", "python3", "-m", "pytest"])
        .args(["-q", "-p", "no:cacheprovider", "--timeout", "60"])
        .args(files.iter().map(|file| format!("tests/integration/{file}")))
        .args(
            left_out
                .iter()
                .map(|name| format!("--deselect=tests/integration/{name}")),
        );
    // A name of a test that is not there would leave out nothing, unnoticed.
    for name in left_out {
        let (file, test) = name.split_once("::").unwrap();
        let text = std::fs::read_to_string(suite.join("tests/integration").join(file)).unwrap();
        let test = test.rsplit("::").next().unwrap();
        assert!(text.contains(&format!("def {test}(")), "no test {name}");
    }
    let output = client(host, &mut pytest, &suite.join("needs"))
        .current_dir(suite)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    eprintln!("{}", text.trim_end().lines().last().unwrap_or_default());
}

/// Points a Python program at the engine.
fn client<'a>(host: &Host, command: &'a mut Command, packages: &Path) -> &'a mut Command {
    command
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("DOCKER_HOST", format!("unix://{}", host.socket()))
        .env("DOCKER_CONFIG", host.path("docker-config"))
}

fn run(host: &Host, script: &str) {
    let packages: PathBuf = host.tools().join("../python");
    if !packages.join("docker").exists() {
        return tests::steps::skip("docker-py is not set up: cargo xtask setup");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python")
        .join(script);
    let mut python = Command::new("timeout");
    python
        .args(["--kill-after=5", "180", "python3"])
        .arg(&script);
    let output = client(host, &mut python, &packages).output().unwrap();
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
