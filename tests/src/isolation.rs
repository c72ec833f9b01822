//! A test in namespaces of its own, so that the host's firewall, interfaces and files stay as they
//! are.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::places;
use crate::steps::{skip, unable};

const INSIDE: &str = "SLIPWAY_TEST_ISOLATED";

/// A name and its address that only the `/etc/hosts` of [`with_own_names`] knows.
pub const OWN_NAME: (&str, &str) = ("only-here.slipway.test", "192.0.2.77");

/// One of the computer itself.
pub const OWN_LOOPBACK: (&str, &str) = ("shop.slipway.test", "127.0.0.1");

/// What the name server of [`has_own_server`] knows, and nobody else.
const ZONE: &[&str] = &[
    "--host-record=web.zone.test,192.0.2.80,2001:db8::80",
    "--cname=www.zone.test,web.zone.test",
    "--txt-record=web.zone.test,kept in the zone",
    "--mx-host=zone.test,web.zone.test,10",
    "--ptr-record=80.2.0.192.in-addr.arpa,web.zone.test",
    // All else in these is nobody's.
    "--local=/test/",
    "--local=/123/",
    "--local=/2.0.192.in-addr.arpa/",
];

/// Where that server listens.
const SERVER: &str = "127.77.0.53";

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
    let mut command = Command::new(unshare);
    command.env("IP", ip);
    again(
        test,
        command.args(["--mount", "--net"]),
        "\"$IP\" link set lo up",
    );
    false
}

/// Whether this is the test with a `/etc/hosts` and a name server of its own, or one that can't have
/// them. If not, it is run again with such, to its end.
///
/// # Panics
/// When it fails there.
#[must_use]
pub fn with_own_names(test: &str) -> bool {
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
    let mut command = Command::new(unshare);
    command.env("HOSTS", own);
    let hosts = "mount --bind \"$HOSTS\" /etc/hosts && rm \"$HOSTS\"";
    again(test, command.arg("--mount"), hosts);
    false
}

/// Whether [`OWN_NAME`] is known.
#[must_use]
pub fn has_own_hosts() -> bool {
    std::fs::read_to_string("/etc/hosts").is_ok_and(|text| text.contains(OWN_NAME.0))
}

/// Whether the computer's name server is the test's own.
#[must_use]
pub fn has_own_server() -> bool {
    std::fs::read_to_string("/etc/resolv.conf").is_ok_and(|text| text.contains(SERVER))
}

/// Runs the test again in new namespaces, prepared by a script and with a name server of its own.
fn again(test: &str, unshare: &mut Command, prepare: &str) {
    const SERVED: &str = "\
        \"$SERVER\" --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
            --bind-interfaces --listen-address=\"$ADDRESS\" --user= --pid-file= \"$@\" & served=$!
        trap 'kill $served' EXIT
        own=$(mktemp) && echo \"nameserver $ADDRESS\" > \"$own\" &&
            mount --bind \"$own\" /etc/resolv.conf && rm \"$own\"";
    let server = places::in_path("dnsmasq");
    let served = if server.is_some() { SERVED } else { ":" };
    let script = format!("{prepare} && {{ {served}; }} && \"$TEST\" --exact \"$NAME\" --nocapture");
    let status = unshare
        .args(["--propagation", "private", "sh", "-c", &script, "sh"])
        .args(ZONE)
        .env(INSIDE, "1")
        .env("ADDRESS", SERVER)
        .env("SERVER", server.unwrap_or_default())
        .env("TEST", env::current_exe().expect("this program"))
        .env("NAME", test)
        .status()
        .expect("unshare");
    assert!(status.success(), "the isolated test failed: see above");
}
