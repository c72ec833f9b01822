//! A test in namespaces of its own, so that the host's firewall, interfaces and files stay as they
//! are.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::places;
use crate::steps::{skip, unable};

const INSIDE: &str = "SLIPWAY_TEST_ISOLATED";

/// A name and its address that only [`own_hosts`] knows.
pub const OWN_NAME: (&str, &str) = ("only-here.slipway.test", "192.0.2.77");

/// One of the computer itself.
pub const OWN_LOOPBACK: (&str, &str) = ("shop.slipway.test", "127.0.0.1");

/// Whether this is the test in a mount and a network namespace of its own. If not, it is run again in
/// such, to its end.
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
    let mut command = Command::new(unshare);
    command.env("IP", ip);
    again(test, command.args(["--mount", "--net"]), script);
    false
}

/// Whether this is the test with a `/etc/hosts` of its own, or one that can't have it. If not, it is
/// run again with such, to its end.
///
/// # Panics
/// When it fails there.
#[must_use]
pub fn with_own_hosts(test: &str) -> bool {
    let inside = env::var_os(INSIDE).is_some();
    let unshare = places::in_path("unshare").filter(|_| rustix::process::geteuid().is_root());
    let (false, Some(unshare)) = (inside, unshare) else {
        return true;
    };
    let own: PathBuf = tempfile::NamedTempFile::new()
        .and_then(|file| Ok(file.keep()?.1))
        .expect("a file");
    let mut text = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    for (name, address) in [OWN_NAME, OWN_LOOPBACK] {
        text += &format!("\n{address} {name}\n");
    }
    std::fs::write(&own, text).expect("a file");
    let script = "mount --bind \"$HOSTS\" /etc/hosts && rm \"$HOSTS\" && \
                  exec \"$TEST\" --exact \"$NAME\" --nocapture";
    let mut command = Command::new(unshare);
    command.env("HOSTS", own);
    again(test, command.arg("--mount"), script);
    false
}

/// Whether [`OWN_NAME`] is known.
#[must_use]
pub fn has_own_hosts() -> bool {
    std::fs::read_to_string("/etc/hosts").is_ok_and(|text| text.contains(OWN_NAME.0))
}

fn again(test: &str, unshare: &mut Command, script: &str) {
    let status = unshare
        .args(["--propagation", "private", "sh", "-c", script])
        .env(INSIDE, "1")
        .env("TEST", env::current_exe().expect("this program"))
        .env("NAME", test)
        .status()
        .expect("unshare");
    assert!(status.success(), "the isolated test failed: see above");
}
