//! Backups, restores and clones of volumes that are mounts of something else.

use std::fs;

use crate::support::{Host, host};
use crate::volume_files::{names, post, restore};

fn create(host: &Host, name: &str, kind: &str, device: &str, o: &str) {
    let (kind, device, o) = (
        format!("type={kind}"),
        format!("device={device}"),
        format!("o={o}"),
    );
    let words = [
        "volume", "create", "-o", &kind, "-o", &device, "-o", &o, name,
    ];
    host.docker(&words).good();
}

#[test]
fn a_directory_elsewhere_is_restored_in_its_place() {
    let host = host!();
    let given = host.path("given");
    fs::create_dir(&given).unwrap();
    create(&host, "bound", "none", &given, "bind");
    host.docker(&["volume", "create", "plain"]).good();
    let script =
        "echo new > /d/new; mkdir -p /d/sub; echo x > /d/sub/x; chown 7:8 /d/new; chmod 700 /d";
    host.docker(&[
        "run", "--rm", "-v", "plain:/d", "busybox", "sh", "-c", script,
    ])
    .good();
    let (_, _, archive) = host.bytes("GET", "/slipway/volumes/plain/backup", b"");

    // Into an empty one, and the directory itself is the same as before.
    let (status, body) = restore(&host, "bound", "", &archive);
    assert_eq!(status, 200, "{body}");
    assert_eq!(names(&given), ["new", "sub"]);
    let text = host.docker(&[
        "run",
        "--rm",
        "-v",
        "bound:/d",
        "busybox",
        "sh",
        "-c",
        "cat /d/new /d/sub/x; stat -c %u:%g /d/new; stat -c %a /d",
    ]);
    assert_eq!(text.good(), "new\nx\n7:8\n700");

    // Over files only by force, and at once or not at all.
    fs::remove_file(format!("{given}/new")).unwrap();
    fs::write(format!("{given}/old"), "old").unwrap();
    let (status, body) = restore(&host, "bound", "", &archive);
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("with --force"), "{body}");
    let cut = &archive[..archive.len() - 20];
    let (status, body) = restore(&host, "bound", "force=1", cut);
    assert_eq!(status, 400, "{body}");
    assert_eq!(names(&given), ["old", "sub"]);
    let (status, body) = restore(&host, "bound", "force=1", &archive);
    assert_eq!(status, 200, "{body}");
    assert_eq!(names(&given), ["new", "sub"]);

    // Not under a program's feet.
    host.docker(&[
        "run", "-d", "--name", "web", "-v", "bound:/d", "busybox", "sleep", "1000",
    ])
    .good();
    let (status, body) = restore(&host, "bound", "force=1", &archive);
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("web"), "{body}");
    let (status, body) = restore(&host, "bound", "force=1&stop=1", &archive);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"Restarted\":[\"web\"]"), "{body}");
    assert_eq!(host.docker(&["exec", "web", "cat", "/d/new"]).good(), "new");
    host.docker(&["rm", "-f", "web"]).good();

    // Out of one: backups and clones are of what is in it.
    let (_, _, archive) = host.bytes("GET", "/slipway/volumes/bound/backup", b"");
    let (status, body) = restore(&host, "unbound", "", &archive);
    assert_eq!(status, 200, "{body}");
    let (status, body) = post(&host, "/slipway/volumes/bound/clone?to=copy", b"");
    assert!((200..300).contains(&status), "{body}");
    for name in ["unbound", "copy"] {
        let data = host.path(&format!("root/volumes/{name}/_data"));
        assert_eq!(names(&data), ["new", "sub"], "{name}");
    }
    let options = host.docker(&["volume", "inspect", "-f", "{{json .Options}}", "copy"]);
    assert_eq!(options.good(), "null");

    // What nobody can write, or is not there.
    create(&host, "fixed", "none", &given, "bind,ro");
    let (status, body) = restore(&host, "fixed", "force=1", &archive);
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("read-only"), "{body}");
    create(&host, "missing", "none", &host.path("nowhere"), "bind");
    let (status, body) = restore(&host, "missing", "", &archive);
    assert!(
        status >= 400 && body.contains("failed to mount local volume"),
        "{body}"
    );
    create(
        &host,
        "far",
        "nfs",
        ":/share",
        "addr=192.0.2.1,soft,timeo=5,retrans=1",
    );
    let (status, body) = restore(&host, "far", "", &archive);
    assert!(
        status >= 400 && body.contains("failed to mount local volume"),
        "{body}"
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&given), "{mounts}");
}

#[test]
fn a_volume_in_memory_is_copied_only_while_it_holds_something() {
    let host = host!();
    create(&host, "memory", "tmpfs", "tmpfs", "size=1m");
    let clone = |to: &str| {
        post(
            &host,
            &format!("/slipway/volumes/memory/clone?to={to}"),
            b"",
        )
    };
    let (status, body) = clone("early");
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("it holds nothing"), "{body}");
    let script = "echo here > /d/f; sleep 1000";
    host.docker(&[
        "run",
        "-d",
        "--name",
        "user",
        "-v",
        "memory:/d",
        "busybox",
        "sh",
        "-c",
        script,
    ])
    .good();
    let data = host.path("root/volumes/copy/_data");
    host.until("the file is there", || {
        host.docker(&["exec", "user", "cat", "/d/f"]).code == 0
    });
    let (status, body) = clone("copy");
    assert!((200..300).contains(&status), "{body}");
    assert_eq!(names(&data), ["f"]);
    let (_, _, archive) = host.bytes("GET", "/slipway/volumes/copy/backup", b"");
    for query in ["force=1", "force=1&stop=1"] {
        let (status, body) = restore(&host, "memory", query, &archive);
        assert_eq!(status, 409, "{body}");
        assert!(body.contains("is in memory"), "{body}");
    }
    assert_eq!(host.docker(&["exec", "user", "cat", "/d/f"]).good(), "here");
}
