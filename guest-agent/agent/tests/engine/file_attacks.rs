//! Containers and archives that mean harm to whoever copies.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::tarball::Tarball;
use crate::support::{Host, host};

const PUT: &str = "/containers/box/archive?path=/tmp/dest";

/// A container with a directory to copy into, and a file on the machine that nothing may touch.
fn prepare(host: &Host) -> String {
    fs::create_dir(host.path("outside")).unwrap();
    fs::write(host.path("outside/secret"), "the machine's").unwrap();
    host.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])
        .good();
    host.docker(&["exec", "box", "mkdir", "/tmp/dest"]).good();
    host.path("outside")
}

fn untouched(host: &Host) {
    use std::os::unix::fs::MetadataExt;
    let secret = fs::metadata(host.path("outside/secret")).unwrap();
    assert_eq!(secret.nlink(), 1);
    assert_eq!(
        fs::read_to_string(host.path("outside/secret")).unwrap(),
        "the machine's"
    );
    assert_eq!(fs::read_dir(host.path("outside")).unwrap().count(), 1);
}

/// CVE-2018-15664: between looking and copying, a directory becomes a link to the machine's files.
#[test]
fn a_directory_that_becomes_a_link_leads_nowhere() {
    let host = host!();
    let outside = prepare(&host);
    let script = format!(
        "mkdir /real; echo inside >/real/secret; while :; do ln -s {outside} /swap; rm /swap; mkdir /swap; echo inside >/swap/secret; rm -r /swap; ln -s /real /swap; rm /swap; done"
    );
    host.docker(&["exec", "-d", "box", "sh", "-c", &script])
        .good();
    let new = Tarball::default()
        .file("secret", b"harm")
        .file("more", b"harm")
        .end();
    let (mut copied, mut placed) = (0, 0);
    let end = Instant::now() + Duration::from_secs(60);
    for _ in 0..400 {
        let got = host.send("GET", "/containers/box/archive?path=/swap/secret", b"");
        assert!(!got.body.contains("the machine's"), "{got:?}");
        copied += i32::from(got.status == 200);
        placed += i32::from(
            host.send("PUT", "/containers/box/archive?path=/swap", &new)
                .status
                == 200,
        );
        if (copied > 5 && placed > 5) || Instant::now() > end {
            break;
        }
    }
    assert!(
        copied > 0 && placed > 0,
        "the race never let a copy through: {copied} {placed}"
    );
    untouched(&host);
}

/// CVE-2019-14271: what looks up names or users must not load libraries of the container.
#[test]
fn nothing_of_the_container_is_loaded_or_run() {
    let host = host!();
    prepare(&host);
    let script = "mkdir -p /lib /lib64 /usr/lib /etc; for f in libnss_files.so.2 libnss_dns.so.2 libc.so.6 libgcc_s.so.1; do cp /bin/busybox /lib/$f; cp /bin/busybox /usr/lib/$f; done; echo /lib/libnss_files.so.2 >/etc/ld.so.preload; head -c 9000000 /dev/zero >/big; touch /ready";
    host.docker(&["exec", "box", "sh", "-c", script]).good();
    // In the middle of a copy, with a user to look up in another.
    let mut slow = host
        .command(&["cp", "box:/big", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let archive = Tarball::default().file("file", b"x").end();
    let put = format!("{PUT}&copyUIDGID=1");
    assert_eq!(host.send("PUT", &put, &archive).status, 200);
    let agent = host.agent().unwrap();
    let maps = fs::read_to_string(format!("/proc/{agent}/maps")).unwrap();
    let loaded: Vec<&str> = maps
        .lines()
        .filter(|line| line.contains("libnss") || line.contains("/containers/"))
        .collect();
    assert!(loaded.is_empty(), "{loaded:?}");
    let root = fs::read_link(format!("/proc/{agent}/root")).unwrap();
    assert_eq!(root.to_str(), Some("/"));
    drop(slow.stdout.take());
    let _ = slow.wait();
    untouched(&host);
}

#[test]
fn archives_that_lead_out_are_refused_or_stay_in() {
    let host = host!();
    let outside = prepare(&host);
    let up = format!("../../../../../../..{outside}/secret");
    let refused = [
        Tarball::default().file("../escaped", b"harm"),
        Tarball::default().file("a/../../escaped", b"harm"),
        Tarball::default().entry(b'2', "link", "../../../etc", b""),
        Tarball::default().entry(b'1', "hard", &up, b""),
        Tarball::default().entry(b'1', "hard", "../../etc/passwd", b""),
        Tarball::default().entry(b'1', "hard", &format!("{outside}/secret"), b""),
        Tarball::default()
            .entry(b'2', "way", &outside, b"")
            .entry(b'1', "hard", "way/secret", b""),
        Tarball::default()
            .entry(b'2', "loop", "loop", b"")
            .file("loop/file", b"harm"),
    ];
    for (at, archive) in refused.into_iter().enumerate() {
        let answer = host.send("PUT", PUT, &archive.end());
        assert_eq!(answer.status, 500, "{at}: {answer:?}");
        untouched(&host);
    }
    // Through a link of the archive's own: it leads to the container's files at most.
    let archive = Tarball::default()
        .entry(b'2', "abs", &outside, b"")
        .file("abs/secret", b"harm")
        .end();
    let _ = host.send("PUT", PUT, &archive);
    untouched(&host);
    // Links that the container has laid out before.
    let script = format!(
        "mkdir -p {outside}; ln -s {outside} /tmp/dest/old; ln -s ../../../../../../../../{outside} /tmp/dest/far; ln -s {outside}/secret /tmp/dest/last"
    );
    host.docker(&["exec", "box", "sh", "-c", &script]).good();
    for name in ["old/secret", "far/secret", "last"] {
        let archive = Tarball::default().file(name, b"harm").end();
        assert_eq!(host.send("PUT", PUT, &archive).status, 200, "{name}");
        untouched(&host);
    }
    let path = "/containers/box/archive?path=/tmp/dest/old/secret";
    assert!(!host.send("GET", path, b"").body.contains("the machine's"));
    for path in [
        "/../../../../../../etc/shadow",
        "/proc/1/root/etc/passwd",
        "/tmp/dest/../../../..",
    ] {
        let answer = host.send("GET", &format!("/containers/box/archive?path={path}"), b"");
        assert!(matches!(answer.status, 200 | 404), "{path}: {answer:?}");
        assert!(!answer.body.contains("the machine's"));
    }
}

#[test]
fn sizes_and_ends_that_lie() {
    let host = host!();
    prepare(&host);
    for size in [
        "-1",
        "-9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775807",
        "1e9",
        "",
    ] {
        let archive = Tarball::default()
            .pax("size", size)
            .file("lies", b"short")
            .end();
        let answer = host.send("PUT", PUT, &archive);
        assert_eq!(answer.status, 500, "{size}: {answer:?}");
    }
    for (key, value) in [
        ("uid", "-1"),
        ("gid", "4294967295"),
        ("path", "a\0b"),
        ("mtime", "never"),
    ] {
        let archive = Tarball::default()
            .pax(key, value)
            .file("lies", b"short")
            .end();
        let answer = host.send("PUT", PUT, &archive);
        assert!(matches!(answer.status, 200 | 500), "{key}: {answer:?}");
    }
    let whole = Tarball::default().file("whole", &[7; 5000]).end();
    for cut in [1, 511, 512, 513, 3000] {
        // An archive that ends too early, and a body that does.
        assert_eq!(host.send("PUT", PUT, &whole[..cut]).status, 500, "{cut}");
        let answer = host.send_cut("PUT", PUT, &whole[..cut], whole.len());
        assert!(matches!(answer.status, 0 | 400 | 500), "{cut}: {answer:?}");
    }
    assert_eq!(host.send("PUT", PUT, b"").status, 200);
    assert_eq!(host.send("PUT", PUT, &[0; 4096]).status, 200);
    assert_eq!(host.send("PUT", PUT, &whole).status, 200);
    let sum = host
        .docker(&["exec", "box", "wc", "-c", "/tmp/dest/whole"])
        .good();
    assert_eq!(sum, "5000 /tmp/dest/whole");
}

#[test]
fn devices_are_made_but_open_nothing() {
    let host = host!();
    prepare(&host);
    // A 0/0 character device is how overlayfs hides a file: the kernel refuses it.
    let archive = Tarball::default().entry(b'3', "whiteout", "", b"").end();
    assert_eq!(host.send("PUT", PUT, &archive).status, 500);
    host.docker(&[
        "run",
        "-d",
        "--name",
        "maker",
        "--privileged",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    host.docker(&[
        "exec",
        "maker",
        "sh",
        "-c",
        "mkdir /d; mknod /d/mem c 1 1; mknod /d/pipe p",
    ])
    .good();
    // Neither a device nor a fifo is opened: this would hang or read the machine's memory.
    let answer = host.send("GET", "/containers/maker/archive?path=/d", b"");
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() < 16 << 10, "{}", answer.body.len());
    let opened = host.docker(&[
        "exec",
        "box",
        "sh",
        "-c",
        "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem",
    ]);
    assert_ne!(opened.code, 0, "{opened:?}");
}

#[test]
fn names_that_look_like_whiteouts() {
    let host = host!();
    prepare(&host);
    let archive = Tarball::default()
        .file(".wh.plain", b"a")
        .file(".wh..wh..opq", b"b")
        .end();
    assert_eq!(host.send("PUT", PUT, &archive).status, 200);
    let list = host
        .docker(&["exec", "box", "ls", "-A", "/tmp/dest"])
        .good();
    assert_eq!(list, ".wh..wh..opq\n.wh.plain");
    assert_eq!(host.docker(&["exec", "box", "cat", "/plain"]).code, 0);
    let got = host.send(
        "GET",
        "/containers/box/archive?path=/tmp/dest/.wh.plain",
        b"",
    );
    assert!(got.body.contains(".wh.plain"), "{got:?}");
    // An image cannot hold them: there they would remove files.
    host.docker(&["commit", "box", "harmed"])
        .bad(1, "the container has a file /tmp/dest/.wh.");
    assert_eq!(host.docker(&["images", "-q", "harmed"]).good(), "");
    assert_eq!(host.field("box", ".State.Status"), "running");
}
