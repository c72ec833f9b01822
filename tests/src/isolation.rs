//! A test in a mount and a network namespace of its own, so that the host's firewall and interfaces
//! stay as they are.

use std::env;
use std::process::Command;

use crate::places;
use crate::steps::{skip, unable};

const INSIDE: &str = "SLIPWAY_TEST_ISOLATED";

/// Whether this is the test in its own namespaces. If not, it is run again in such, to its end.
///
/// # Panics
/// When it fails there.
#[must_use]
pub fn is_inside(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    if !rustix::process::geteuid().is_root() {
        unable("the native engine needs root");
        return false;
    }
    let (Some(unshare), Some(ip)) = (places::in_path("unshare"), places::in_path("ip")) else {
        skip("unshare or ip (packages util-linux, iproute2) is not installed");
        return false;
    };
    let script = "\"$IP\" link set lo up && exec \"$TEST\" --exact \"$NAME\" --nocapture";
    let namespaces = ["--mount", "--net", "--propagation", "private"];
    let status = Command::new(unshare)
        .args(namespaces)
        .args(["sh", "-c", script])
        .env(INSIDE, "1")
        .env("IP", ip)
        .env("TEST", env::current_exe().expect("this program"))
        .env("NAME", test)
        .status()
        .expect("unshare");
    assert!(status.success(), "the isolated test failed: see above");
    false
}
