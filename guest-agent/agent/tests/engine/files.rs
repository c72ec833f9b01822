//! cp.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use crate::support::tarball::Tarball;
use crate::support::{Host, host};

/// Runs docker with bytes on its standard input.
fn feed(host: &Host, args: &[&str], input: &[u8]) -> (i32, String) {
    use std::io::Write;
    let mut child = host
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), said)
}

/// What docker writes to its standard output.
pub(crate) fn bytes(host: &Host, args: &[&str]) -> Vec<u8> {
    let output = host.command(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    output.stdout
}

pub(crate) fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect()
}

/// A directory with everything that a copy has to keep.
fn make_tree(at: &Path) {
    fs::create_dir_all(at.join("sub/empty")).unwrap();
    fs::write(at.join("plain"), "text").unwrap();
    fs::write(at.join("sub/program"), "#!/bin/sh\necho ran\n").unwrap();
    std::os::unix::fs::chown(at.join("sub/program"), Some(33), Some(34)).unwrap();
    fs::set_permissions(at.join("sub/program"), fs::Permissions::from_mode(0o4751)).unwrap();
    symlink("../plain", at.join("sub/link")).unwrap();
    symlink("/etc/passwd", at.join("absolute")).unwrap();
    fs::hard_link(at.join("plain"), at.join("same")).unwrap();
    let sparse = fs::File::create(at.join("sparse")).unwrap();
    sparse.set_len(40 << 20).unwrap();
    fs::write(at.join("caf\u{e9} with spaces"), "name").unwrap();
}

fn assert_same_tree(one: &Path, other: &Path) {
    let (a, b) = (
        fs::symlink_metadata(one).unwrap(),
        fs::symlink_metadata(other).unwrap(),
    );
    assert_eq!(
        (a.mode(), a.size() * u64::from(a.is_file())),
        (b.mode(), b.size() * u64::from(b.is_file())),
        "{}",
        one.display()
    );
    if a.is_symlink() {
        assert_eq!(fs::read_link(one).unwrap(), fs::read_link(other).unwrap());
    } else if a.is_dir() {
        let list = |at: &Path| {
            let mut names: Vec<_> = fs::read_dir(at)
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(list(one), list(other));
        for name in list(one) {
            assert_same_tree(&one.join(&name), &other.join(&name));
        }
    } else {
        assert_eq!(a.mtime(), b.mtime(), "{}", one.display());
        assert!(
            fs::read(one).unwrap() == fs::read(other).unwrap(),
            "{}",
            one.display()
        );
    }
}

#[test]
fn a_tree_goes_in_and_comes_back() {
    let host = host!();
    let tree = host.dir.path().join("tree");
    make_tree(&tree);
    host.docker(&["create", "--name", "made", "busybox", "sleep", "1000"])
        .good();
    host.docker(&["run", "-d", "--name", "runs", "busybox", "sleep", "1000"])
        .good();
    host.docker(&["run", "--name", "ended", "busybox", "true"])
        .good();
    for name in ["made", "runs", "ended"] {
        host.docker(&[
            "cp",
            "-a",
            &host.path("tree"),
            &format!("{name}:/data/copy"),
        ])
        .good();
        let back = format!("back-{name}");
        host.docker(&["cp", &format!("{name}:/data/copy"), &host.path(&back)])
            .good();
        assert_same_tree(&tree, &host.dir.path().join(back));
    }
    let stat = [
        "exec",
        "runs",
        "stat",
        "-c",
        "%a %u %g",
        "/data/copy/sub/program",
    ];
    assert_eq!(host.docker(&stat).good(), "4751 33 34");
    let links = ["exec", "runs", "stat", "-c", "%h", "/data/copy/same"];
    assert_eq!(host.docker(&links).good(), "2");
    assert_eq!(
        host.docker(&["exec", "runs", "/data/copy/sub/program"])
            .good(),
        "ran"
    );
    // What was copied is there when the container starts.
    host.docker(&["start", "made"]).good();
    assert_eq!(
        host.docker(&["exec", "made", "cat", "/data/copy/sub/link"])
            .good(),
        "text"
    );
    // Into a directory that is there, and a file under another name.
    host.docker(&["cp", &host.path("tree/plain"), "runs:/tmp"])
        .good();
    host.docker(&["cp", &host.path("tree/plain"), "runs:/tmp/other"])
        .good();
    host.docker(&[
        "cp",
        &format!("{}/.", host.path("tree/sub/empty")),
        "runs:/tmp",
    ])
    .good();
    assert_eq!(
        host.docker(&["exec", "runs", "ls", "/tmp"]).good(),
        "other\nplain"
    );
    // As with Docker, a link that leads out of the destination is refused.
    host.docker(&["cp", &format!("{}/.", host.path("tree/sub")), "runs:/tmp"])
        .bad(1, "invalid symlink \"/tmp/link\" -> \"../plain\"");
}

#[test]
fn links_are_followed_as_docker_does() {
    let host = host!();
    let script = "mkdir /real && echo there >/real/file && ln -s /real /way && ln -s real/file /tofile && ln -s gone/x /broken && exec sleep 1000";
    host.docker(&[
        "run", "-d", "--name", "box", "--init", "busybox", "sh", "-c", script,
    ])
    .good();
    host.until("the links are there", || {
        host.docker(&["exec", "box", "test", "-L", "/broken"]).code == 0
    });
    let stat = |path: &str| {
        let answer = host.send("HEAD", &format!("/containers/box/archive?path={path}"), b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        let header = answer.header("x-docker-container-path-stat").unwrap();
        let text = bytes_of(header);
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()
    };
    for (path, name, target) in [
        ("/way", "way", "/real"),
        ("/way/", "way", ""),
        ("/tofile", "tofile", "/real/file"),
        ("/broken", "broken", "/gone/x"),
        ("way/../..", "..", ""),
    ] {
        let stat = stat(path);
        assert_eq!(
            (&stat["name"], &stat["linkTarget"]),
            (&name.into(), &target.into()),
            "{path}"
        );
    }
    assert_eq!(stat("/real")["mode"], 0x8000_01ed_u32);
    assert_eq!(stat("/tmp")["mode"], 0x8010_01ff_u32);
    assert_eq!(stat("/way")["mode"], 0x0800_01ff_u32);
    assert_eq!(stat("/real/file")["size"], 6);
    // As a link, and followed.
    host.docker(&["cp", "box:/tofile", &host.path("link")])
        .good();
    assert!(
        fs::symlink_metadata(host.path("link"))
            .unwrap()
            .is_symlink()
    );
    host.docker(&["cp", "-L", "box:/tofile", &host.path("followed")])
        .good();
    assert_eq!(
        fs::read_to_string(host.path("followed")).unwrap(),
        "there\n"
    );
    assert_eq!(
        names(&bytes(&host, &["cp", "box:/way/", "-"])),
        ["way/", "way/file"]
    );
    // A destination that is a link to a directory, with a link in the path.
    fs::write(host.path("new"), "new").unwrap();
    host.docker(&["cp", &host.path("new"), "box:/way/"]).good();
    assert_eq!(
        host.docker(&["exec", "box", "cat", "/real/new"]).good(),
        "new"
    );
}

/// Base64, as few lines as it takes.
fn bytes_of(base64: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0_u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for letter in base64.bytes().filter(|letter| *letter != b'=') {
        let value = LETTERS.iter().position(|known| *known == letter).unwrap();
        bits = (bits << 6) | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[test]
fn volumes_binds_and_tmpfs_are_part_of_the_files() {
    let host = host!();
    for name in ["shared", "frozen"] {
        fs::create_dir(host.path(name)).unwrap();
        fs::write(host.path(&format!("{name}/here")), name).unwrap();
    }
    fs::write(host.path("new"), "new").unwrap();
    let (shared, frozen) = (
        format!("{}:/shared:rshared", host.path("shared")),
        format!("{}:/shared/frozen:ro", host.path("frozen")),
    );
    host.docker(&[
        "run", "-d", "--name", "box", "-v", &shared, "-v", &frozen, "-v", "/data", "--tmpfs", "/t",
        "busybox", "sleep", "1000",
    ])
    .good();
    for running in [true, false] {
        for to in ["/shared", "/data", "/etc"] {
            host.docker(&["cp", &host.path("new"), &format!("box:{to}")])
                .good();
        }
        assert_eq!(fs::read_to_string(host.path("shared/new")).unwrap(), "new");
        fs::remove_file(host.path("shared/new")).unwrap();
        assert_eq!(
            names(&bytes(&host, &["cp", "box:/data", "-"])),
            ["data/", "data/new", "data/seed"]
        );
        assert_eq!(
            names(&bytes(&host, &["cp", "box:/shared/frozen/here", "-"])),
            ["here"]
        );
        host.docker(&["cp", &host.path("new"), "box:/shared/frozen/"])
            .bad(
                1,
                "Error response from daemon: mounted volume is marked read-only",
            );
        if running {
            host.docker(&["cp", &host.path("new"), "box:/t"]).good();
            assert_eq!(host.docker(&["exec", "box", "cat", "/t/new"]).good(), "new");
            // A mount point is not replaced, neither here nor in the container.
            host.docker(&["cp", &host.path("new"), "box:/etc/hosts"])
                .bad(1, "unlinkat /etc/hosts: device or resource busy");
            let archive = Tarball::default().file("data", b"no volume").end();
            let answer = host.send("PUT", "/containers/box/archive?path=/", &archive);
            assert_eq!(answer.status, 500, "{answer:?}");
            assert!(
                answer
                    .body
                    .contains("unlinkat /data: device or resource busy"),
                "{answer:?}"
            );
            assert_eq!(
                host.docker(&["exec", "box", "cat", "/data/new"]).good(),
                "new"
            );
            host.docker(&["exec", "box", "grep", "-q", "localhost", "/etc/hosts"])
                .good();
            host.docker(&["stop", "-t", "0", "box"]).good();
        }
    }
    // Nothing of ours is mounted in the bind's source.
    assert_eq!(fs::read_dir(host.path("shared/frozen")).unwrap().count(), 0);
}

#[test]
fn read_only_roots_are_not_written() {
    let host = host!();
    fs::write(host.path("new"), "new").unwrap();
    host.docker(&[
        "run",
        "-d",
        "--name",
        "box",
        "--read-only",
        "-v",
        "/data",
        "--tmpfs",
        "/t",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    let refused = "Error response from daemon: container rootfs is marked read-only";
    for running in [true, false] {
        host.docker(&["cp", &host.path("new"), "box:/etc/"])
            .bad(1, refused);
        host.docker(&["cp", &host.path("new"), "box:/etc/new"])
            .bad(1, refused);
        host.docker(&["cp", &host.path("new"), "box:/data/"]).good();
        host.docker(&["cp", "box:/etc/passwd", &host.path("passwd")])
            .good();
        if running {
            host.docker(&["cp", &host.path("new"), "box:/t/"]).good();
            host.docker(&["stop", "-t", "0", "box"]).good();
        } else {
            host.docker(&["cp", &host.path("new"), "box:/t/"])
                .bad(1, refused);
        }
    }
}

#[test]
fn what_is_wrong_is_said_in_dockers_words() {
    let host = host!();
    fs::write(host.path("new"), "new").unwrap();
    host.docker(&["create", "--name", "box", "busybox"]).good();
    let error = |text: &str| format!("Error response from daemon: {text}");
    host.docker(&["cp", "box:/nope", "-"])
        .bad(1, &error("Could not find the file /nope in container box"));
    host.docker(&["cp", "nope:/etc", "-"])
        .bad(1, &error("No such container: nope"));
    host.docker(&["cp", "box:/etc/passwd/", "-"])
        .bad(1, &error("lstat /etc/passwd/: not a directory"));
    host.docker(&["cp", &host.path("new"), "box:/no/where"])
        .bad(1, &error("Could not find the file /no in container box"));
    host.docker(&["cp", &host.path("new"), "nope:/x"])
        .bad(1, &error("No such container: nope"));
    for (method, path, status, message) in [
        (
            "GET",
            "/containers/box/archive",
            400,
            "bad parameter: pathcannot be empty",
        ),
        ("HEAD", "/containers/nope/archive?path=/", 404, ""),
        (
            "PUT",
            "/containers/box/archive?path=/etc/passwd",
            400,
            "extraction point is not a directory",
        ),
        (
            "PUT",
            "/containers/box/archive?path=/none",
            404,
            "Could not find the file /none in container box",
        ),
        (
            "PUT",
            "/containers/none/archive?path=/",
            404,
            "No such container: none",
        ),
        (
            "GET",
            "/containers/none/export",
            404,
            "No such container: none",
        ),
        (
            "GET",
            "/containers/none/changes",
            404,
            "No such container: none",
        ),
        (
            "POST",
            "/commit?container=none",
            404,
            "No such container: none",
        ),
        (
            "POST",
            "/commit?container=box&repo=Big",
            400,
            "invalid reference format: repository name (library/Big) must be lowercase",
        ),
    ] {
        let answer = host.send(method, path, b"");
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(answer.body.contains(message), "{method} {path}: {answer:?}");
    }
}

#[test]
fn archives_come_from_and_go_to_pipes() {
    let host = host!();
    host.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])
        .good();
    let archive = Tarball::default()
        .file("one", b"1")
        .entry(b'5', "dir/", "", b"")
        .file("dir/two", b"22")
        .end();
    assert_eq!(
        feed(&host, &["cp", "-", "box:/tmp"], &archive),
        (0, String::new())
    );
    assert_eq!(
        host.docker(&["exec", "box", "cat", "/tmp/one", "/tmp/dir/two"])
            .good(),
        "122"
    );
    let (code, said) = feed(&host, &["cp", "-", "box:/tmp/one"], &archive);
    assert_eq!(
        (code, said.trim()),
        (1, "destination \"box:/tmp/one\" must be a directory")
    );
    assert_eq!(
        names(&bytes(&host, &["cp", "box:/tmp", "-"])),
        ["tmp/", "tmp/dir/", "tmp/dir/two", "tmp/one"]
    );
    assert_eq!(
        names(&bytes(&host, &["cp", "box:/tmp/.", "-"])),
        ["./", "./dir/", "./dir/two", "./one"]
    );
    let (code, said) = feed(
        &host,
        &["cp", "-", "box:/tmp"],
        b"no archive, but longer than a block would be if there was one",
    );
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("Error response from daemon: "), "{said}");
    // Kinds are kept: docker never replaces a directory by a file.
    let (code, said) = feed(
        &host,
        &["cp", "-", "box:/tmp"],
        &Tarball::default().file("dir", b"x").end(),
    );
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("cannot overwrite directory \"/tmp/dir\" with non-directory \"/tmp\""),
        "{said}"
    );
    // To the container's user.
    host.docker(&[
        "run", "-d", "--name", "www", "-u", "www", "busybox", "sleep", "1000",
    ])
    .good();
    let put = "/containers/www/archive?path=/tmp&copyUIDGID=1";
    assert_eq!(host.send("PUT", put, &archive).status, 200);
    assert_eq!(
        host.docker(&["exec", "www", "stat", "-c", "%u:%g", "/tmp/one"])
            .good(),
        "33:33"
    );
}

#[test]
fn a_copy_in_progress_holds_up_neither_the_container_nor_another_copy() {
    let host = host!();
    host.docker(&["create", "--name", "box", "busybox", "sleep", "1000"])
        .good();
    let big = fs::File::create(host.path("big")).unwrap();
    big.set_len(64 << 20).unwrap();
    host.docker(&["cp", &host.path("big"), "box:/big"]).good();
    // Somebody who reads nothing for now.
    let mut slow = host
        .command(&["cp", "box:/big", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    host.docker(&["cp", "box:/etc/passwd", &host.path("passwd")])
        .good();
    assert_eq!(host.docker(&["diff", "box"]).good(), "A /big");
    assert_eq!(host.field("box", ".State.Status"), "created");
    // A start waits until the layers are nobody's, and then goes on.
    let start = host
        .command(&["start", "box"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(slow.stdout.take());
    let _ = slow.wait();
    let started = start.wait_with_output().unwrap();
    assert!(started.status.success(), "{started:?}");
    assert_eq!(host.field("box", ".State.Status"), "running");
    // A running container may be stopped and removed while its files are read.
    let mut slow = host
        .command(&["cp", "box:/big", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    host.docker(&["stop", "-t", "0", "box"]).good();
    let remove = host
        .command(&["rm", "box"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(slow.stdout.take());
    let _ = slow.wait();
    assert!(remove.wait_with_output().unwrap().status.success());
    let agent = host.agent().unwrap();
    host.until("nothing stays mounted", || {
        let mounts = fs::read_to_string(format!("/proc/{agent}/mounts")).unwrap();
        let threads = fs::read_dir(format!("/proc/{agent}/task")).unwrap();
        let files = threads.filter_map(Result::ok).any(|thread| {
            fs::read_to_string(thread.path().join("comm"))
                .is_ok_and(|name| name.trim() == "container-files")
        });
        !mounts.contains("overlay") && !files
    });
}
