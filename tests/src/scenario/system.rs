//! Version, info, and what clients of other ages hear.

use crate::steps::skip;
use crate::{Driver, Machine, Steps, places};

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    steps.step("version", || version(machine));
    steps.step("info", || info(machine));
    steps.step("negotiation", || negotiation(machine));
    steps.step("unknown paths", || unknown_paths(machine));
    if machine.driver() == Driver::Docker {
        return;
    }
    let bundled = std::env::var_os("SLIPWAY_BUNDLED_IMAGES").is_some()
        || places::binaries().join("images").is_dir();
    if machine.driver() == Driver::Native && !bundled {
        skip("there are no bundled images beside slipway-agent");
        return;
    }
    steps.step("bundled image runs without a network", || hello(machine));
}

fn version(machine: &Machine) {
    let text = machine.docker(&["version"]).ok();
    assert!(text.contains("Server:"), "{text}");
    let format = "{{.Server.APIVersion}} {{.Server.MinAPIVersion}} {{.Server.Os}}";
    let line = machine.docker(&["version", "--format", format]).text();
    assert_eq!(line, "1.51 1.24 linux");
}

fn info(machine: &Machine) {
    let format = "{{.OSType}} {{.Driver}} {{.CgroupVersion}} {{.DefaultRuntime}}";
    let line = machine.docker(&["info", "--format", format]).text();
    assert!(line.starts_with("linux overlay"), "{line}");
    machine.docker(&["info"]).says("Server Version:").ok();
}

fn negotiation(machine: &Machine) {
    let ping = machine.api("GET", "/_ping", b"");
    assert_eq!((ping.status, ping.text().as_str()), (200, "OK"));
    assert_eq!(ping.header("api-version"), Some("1.51"));
    assert_eq!(ping.header("ostype"), Some("linux"));
    let head = machine.api("HEAD", "/_ping", b"");
    assert_eq!(head.status, 200);

    let old = machine
        .docker_command(&["ps", "-q"])
        .env("DOCKER_API_VERSION", "1.24");
    old.run().ok();
    // Clients of that age don't read JSON errors.
    let too_old = machine.api("GET", "/v1.23/version", b"");
    assert_eq!(too_old.status, 400);
    let wanted = "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version";
    assert!(too_old.text().contains(wanted), "{}", too_old.text());
    let too_new = machine.api("GET", "/v1.99/version", b"");
    assert_eq!(too_new.status, 400);
    assert_eq!(
        too_new.json()["message"],
        "client version 1.99 is too new. Maximum supported API version is 1.51"
    );
}

fn unknown_paths(machine: &Machine) {
    let answer = machine.api("GET", "/v1.51/nowhere", b"");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["message"], "page not found");
}

fn hello(machine: &Machine) {
    let text = machine.docker(&["run", "--rm", "slipway/hello"]).text();
    assert!(text.to_lowercase().contains("slipway"), "{text}");
}
