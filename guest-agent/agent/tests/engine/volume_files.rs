//! A volume's files without a container: looked at, backed up, restored and cloned.

use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::support::tarball::Tarball;
use crate::support::{Host, host};

/// Where a volume's files are.
pub(crate) fn place(host: &Host, name: &str) -> PathBuf {
    Path::new(&host.path("root/volumes"))
        .join(name)
        .join("_data")
}

/// A line for all that is known of each path.
pub(crate) fn look(tree: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![tree.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = path.symlink_metadata().unwrap();
        let mut content = String::new();
        if meta.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            content = format!("{} {:x}", bytes.len(), hash(&bytes));
        } else if meta.is_symlink() {
            content = format!("{:?}", std::fs::read_link(&path).unwrap());
        }
        let mut note = [0; 32];
        let count = rustix::fs::lgetxattr(&path, "trusted.note", &mut note[..]).unwrap_or(0);
        lines.push(format!(
            "{:?} {:o} {}:{} {}.{} {} {} {content} {:?}",
            path.strip_prefix(tree).unwrap(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.rdev(),
            if meta.is_dir() { 0 } else { meta.nlink() },
            &note[..count],
        ));
        if meta.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    lines.sort();
    lines
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Files of every kind.
fn fill(data: &Path) {
    let at = |name: &str| data.join(name);
    std::fs::create_dir_all(at("db/base")).unwrap();
    std::fs::write(at("db/base/1"), vec![7; 300_000]).unwrap();
    std::fs::hard_link(at("db/base/1"), at("db/same")).unwrap();
    symlink("/etc/passwd", at("out")).unwrap();
    symlink("db/same", at("in")).unwrap();
    let sparse = std::fs::File::create(at("sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    sparse.write_all_at(b"far", 900 << 20).unwrap();
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    mknodat(
        CWD,
        at("null"),
        FileType::CharacterDevice,
        Mode::RUSR,
        makedev(1, 3),
    )
    .unwrap();
    std::os::unix::fs::chown(at("db"), Some(999), Some(999)).unwrap();
    std::os::unix::fs::chown(data, Some(70), Some(71)).unwrap();
    std::fs::set_permissions(at("db"), std::fs::Permissions::from_mode(0o2700)).unwrap();
    rustix::fs::setxattr(
        at("db"),
        "trusted.note",
        b"kept",
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
}

pub(crate) fn backup(host: &Host, name: &str) -> Vec<u8> {
    let (status, head, bytes) = host.bytes("GET", &format!("/slipway/volumes/{name}/backup"), b"");
    assert_eq!(status, 200, "{head}");
    bytes
}

pub(crate) fn restore(host: &Host, name: &str, query: &str, archive: &[u8]) -> (u16, String) {
    post(
        host,
        &format!("/slipway/volumes/{name}/restore?{query}"),
        archive,
    )
}

/// The status and the text of an answer.
pub(crate) fn post(host: &Host, path: &str, content: &[u8]) -> (u16, String) {
    let (status, _, body) = host.bytes("POST", path, content);
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[track_caller]
fn refused(host: &Host, name: &str, query: &str, archive: &[u8], status: u16, why: &str) {
    let (got, body) = restore(host, name, query, archive);
    assert_eq!(got, status, "{body}");
    assert!(body.contains(why), "{why:?} is not in {body}");
}

/// What is in the directory of all volumes.
pub(crate) fn volumes(host: &Host) -> Vec<String> {
    names(&host.path("root/volumes"))
}

/// What is in a directory.
pub(crate) fn names(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_becomes_the_same_files_again() {
    let host = host!();
    host.docker(&["volume", "create", "--label", "a=b", "data"])
        .good();
    fill(&place(&host, "data"));
    let wanted = look(&place(&host, "data"));
    let archive = backup(&host, "data");
    assert!(archive.len() < 100_000, "{}", archive.len());

    let (status, body) = restore(&host, "again", "", &archive);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"Created\":true"), "{body}");
    assert_eq!(look(&place(&host, "again")), wanted);
    let blocks = place(&host, "again")
        .join("sparse")
        .metadata()
        .unwrap()
        .blocks();
    assert!(blocks < 100, "the holes take room: {blocks}");

    // Over other files.
    std::fs::write(place(&host, "data").join("new"), "x").unwrap();
    refused(&host, "data", "", &archive, 409, "with --force");
    assert!(place(&host, "data").join("new").exists());
    let (status, body) = restore(&host, "data", "force=1", &archive);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"Created\":false"), "{body}");
    assert_eq!(look(&place(&host, "data")), wanted);
    assert!(body.contains("\"a\":\"b\""), "its labels stay: {body}");

    let (status, _, body) = host.bytes("POST", "/slipway/volumes/data/clone?to=copy", b"");
    let body = String::from_utf8(body).unwrap();
    assert_eq!(status, 201, "{body}");
    assert_eq!(look(&place(&host, "copy")), wanted);
    assert!(body.contains("\"Labels\":{\"a\":\"b\"}"), "{body}");
    let (status, _, body) = host.bytes("POST", "/slipway/volumes/data/clone?to=copy", b"");
    assert_eq!(status, 409, "{}", String::from_utf8_lossy(&body));
    assert_eq!(volumes(&host), ["again", "copy", "data"]);
    let script = "cat /v/db/base/1 | wc -c; cat /v/in | wc -c";
    let mount = "copy:/v";
    assert_eq!(
        host.docker(&["run", "--rm", "-v", mount, "busybox", "sh", "-c", script])
            .good(),
        "300000\n300000"
    );
}

#[test]
fn plain_and_gzip_archives_are_taken_and_bad_ones_change_nothing() {
    let host = host!();
    let plain = Tarball::default().file("a", b"new").end();
    let (status, body) = restore(&host, "plain", "", &plain);
    assert_eq!(status, 200, "{body}");
    let gzip = {
        use std::io::Write as _;
        let mut gzip = std::process::Command::new("gzip")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        gzip.stdin.take().unwrap().write_all(&plain).unwrap();
        gzip.wait_with_output().unwrap().stdout
    };
    let (status, body) = restore(&host, "gzip", "", &gzip);
    assert_eq!(status, 200, "{body}");
    for name in ["plain", "gzip"] {
        assert_eq!(std::fs::read(place(&host, name).join("a")).unwrap(), b"new");
    }

    let data = place(&host, "plain");
    std::fs::write(data.join("big"), vec![3; 200_000]).unwrap();
    let archive = backup(&host, "plain");
    let before = look(&data);
    let mut damaged = archive.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let outside = Tarball::default().file("../../evil", b"x").end();
    let link = Tarball::default()
        .entry(b'1', "link", "../volume.json", b"")
        .end();
    for (archive, why) in [
        (&archive[..archive.len() - 9], "cut off"),
        (&archive[..archive.len() / 2], "cut off"),
        (&plain[..600], "cut off"),
        (&gzip[..gzip.len() - 4], "cut off"),
        (&b""[..], "cut off"),
        (
            b"this is no archive, and long enough to be looked at as one",
            "cut off",
        ),
        (&damaged, "cannot be read"),
        (&outside, "is outside of"),
        (&link, "does not hold"),
    ] {
        refused(&host, "plain", "force=1", archive, 400, why);
        refused(&host, "none", "", archive, 400, why);
        assert_eq!(look(&data), before);
    }
    // The connection breaks in the middle.
    let mut stream = host
        .begin(
            "POST",
            "/slipway/volumes/plain/restore?force=1",
            archive.len(),
        )
        .unwrap();
    std::io::Write::write_all(&mut stream, &archive[..archive.len() / 2]).unwrap();
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    host.until("nothing is left of it", || {
        volumes(&host) == ["gzip", "plain"]
    });
    assert_eq!(look(&data), before);
    refused(&host, "-bad", "", &plain, 400, "invalid characters");
    assert!(!Path::new(&host.path("root/evil")).exists());
}

#[test]
fn files_that_are_used_are_not_replaced() {
    let host = host!();
    let archive = Tarball::default().file("new", b"new").end();
    host.docker(&[
        "run", "-d", "--name", "web", "-v", "data:/d", "busybox", "sleep", "1000",
    ])
    .good();
    refused(
        &host,
        "data",
        "",
        &archive,
        409,
        "used by containers that run: web",
    );
    let (status, body) = restore(&host, "data", "stop=1", &archive);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"Restarted\":[\"web\"]"), "{body}");
    assert_eq!(host.docker(&["exec", "web", "cat", "/d/new"]).good(), "new");
    assert_eq!(host.docker(&["exec", "web", "ls", "/d"]).good(), "new");

    host.docker(&[
        "run", "-d", "--rm", "--name", "gone", "-v", "data:/d", "busybox", "sleep", "1000",
    ])
    .good();
    refused(
        &host,
        "data",
        "stop=1&force=1",
        &archive,
        409,
        "was made with --rm",
    );
    assert_eq!(host.field("web", ".State.Status"), "running");
    host.docker(&["rm", "-f", "gone", "web"]).good();

    let (status, _, body) = host.bytes("GET", "/slipway/volumes/data/restore", b"");
    assert_eq!(status, 409, "{}", String::from_utf8_lossy(&body));
    let (status, ..) = host.bytes("GET", "/slipway/volumes/data/restore?force=1", b"");
    assert_eq!(status, 204);
}

#[test]
fn a_volume_is_looked_at_without_a_container() {
    let host = host!();
    host.docker(&["volume", "create", "data"]).good();
    fill(&place(&host, "data"));
    std::fs::write(host.path("secret"), "secret").unwrap();
    symlink(host.path("secret"), place(&host, "data").join("leak")).unwrap();
    symlink("../../../../../../../etc", place(&host, "data").join("up")).unwrap();
    let get = |what: &str, path: &str| {
        let path = format!("/slipway/volumes/data/{what}?path={path}");
        let (status, _, body) = host.bytes("GET", &path, b"");
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    let (status, tree) = get("tree", "");
    assert_eq!(status, 200, "{tree}");
    for part in [
        "\"Path\":\"/db\",\"Kind\":\"directory\",\"Size\":0,\"Mode\":1472,\"Uid\":999,\"Gid\":999",
        "\"Path\":\"/out\",\"Kind\":\"symlink\"",
        "\"Target\":\"/etc/passwd\"",
        "\"Kind\":\"character device\"",
        "\"More\":false",
    ] {
        assert!(tree.contains(part), "{part}: {tree}");
    }
    let (_, inner) = get("tree", "/db/../db/base");
    assert!(
        inner.contains("\"Path\":\"/db/base/1\",\"Kind\":\"file\",\"Size\":300000"),
        "{inner}"
    );
    let (status, content) = get("file", "in");
    assert_eq!((status, content.len()), (200, 300_000));
    for (path, status, why) in [
        ("nope", 404, "the volume data has no file /nope"),
        ("out", 404, "has no file /out"),
        ("leak", 404, "has no file"),
        ("up/passwd", 404, "has no file"),
        ("null", 400, "is no file but a character device"),
        ("fifo", 400, "is no file but a fifo"),
        ("db", 400, "is no file but a directory"),
    ] {
        let (got, body) = get("file", path);
        assert_eq!(got, status, "{path}: {body}");
        assert!(body.contains(why), "{body}");
    }
    let (status, _, _) = host.bytes("GET", "/slipway/volumes/nope/tree", b"");
    assert_eq!(status, 404);
}

#[test]
fn containers_are_paused_for_the_time_of_reading() {
    let host = host!();
    let script = "dd if=/dev/urandom of=/d/big bs=1M count=40 2>/dev/null; ln /d/big /d/same; while true; do date > /d/now; done";
    host.docker(&[
        "run", "-d", "--name", "writes", "-v", "data:/d", "busybox", "sh", "-c", script,
    ])
    .good();
    host.docker(&[
        "run",
        "-d",
        "--name",
        "reads",
        "-v",
        "data:/d:ro",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    host.docker(&["pause", "reads"]).good();
    host.until("it writes", || place(&host, "data").join("now").exists());
    let state = |name: &str| host.field(name, ".State.Status");

    // A client that reads a little and leaves.
    let mut stream = host
        .begin("GET", "/slipway/volumes/data/backup?pause=1", 0)
        .unwrap();
    let mut head = [0; 2000];
    stream.read_exact(&mut head).unwrap();
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(head.contains("\"Paused\":[\"writes\"]"), "{head}");
    assert_eq!(state("writes"), "paused");
    host.docker(&["volume", "rm", "data"])
        .bad(1, "it is being backed up");
    refused(
        &host,
        "data",
        "force=1&stop=1",
        b"",
        409,
        "is being backed up",
    );
    drop(stream);
    host.until("it goes on", || state("writes") == "running");
    assert_eq!(state("reads"), "paused", "somebody else has paused it");

    // A client that stays and takes nothing.
    let mut stream = host
        .begin("GET", "/slipway/volumes/data/backup?pause=1", 0)
        .unwrap();
    stream.read_exact(&mut [0; 2000]).unwrap();
    assert_eq!(state("writes"), "paused");
    host.until("the containers wait no longer", || {
        state("writes") == "running"
    });
    drop(stream);

    // An engine that dies in the middle.
    let mut stream = host
        .begin("GET", "/slipway/volumes/data/backup?pause=1", 0)
        .unwrap();
    stream.read_exact(&mut [0; 2000]).unwrap();
    assert_eq!(state("writes"), "paused");
    crate::survival::kill_agent(&host);
    host.until("it goes on", || {
        host.docker(&["ps"]).code == 0 && state("writes") == "running"
    });
    assert_eq!(state("reads"), "paused");
    let now = || std::fs::read(place(&host, "data").join("now")).unwrap();
    let then = now();
    host.until("it really runs", || now() != then);

    // To the end, at last, and without a pause.
    let (status, head, _) = host.bytes("GET", "/slipway/volumes/data/backup?pause=1", b"");
    assert_eq!(status, 200, "{head}");
    assert_eq!(state("writes"), "running");
    let df = ["system", "df", "-v", "--format", "{{json .Volumes}}"];
    let df = host.docker(&df).good();
    assert!(df.contains("\"Size\":\"41.94MB\""), "{df}");
    let (_, head, _) = host.bytes("GET", "/slipway/volumes/data/backup", b"");
    assert!(
        head.contains("\"Writers\":[\"reads\",\"writes\"]"),
        "{head}"
    );
    host.docker(&["rm", "-f", "reads", "writes"]).good();
}

/// Restores and clones while the engine is killed at any instant.
#[test]
fn an_engine_killed_at_any_instant_leaves_the_old_files_or_the_new() {
    let host = host!();
    let mut dice = crate::survival::Dice::new();
    host.docker(&["volume", "create", "one"]).good();
    host.docker(&["volume", "create", "two"]).good();
    for (name, byte) in [("one", 1), ("two", 2)] {
        let data = place(&host, name);
        for number in 0..300 {
            std::fs::write(data.join(format!("f{number}")), vec![byte; 20_000]).unwrap();
        }
    }
    let archives = [backup(&host, "one"), backup(&host, "two")];
    let looks = [look(&place(&host, "one")), look(&place(&host, "two"))];
    host.docker(&["volume", "create", "data"]).good();
    let (status, body) = restore(&host, "data", "", &archives[0]);
    assert_eq!(status, 200, "{body}");
    let mut finished = 0;
    for round in 0..12 {
        let archive = &archives[(round + 1) % 2];
        std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let restored = restore(&host, "data", "force=1", archive).0 == 200;
                let path = format!("/slipway/volumes/one/clone?to=copy{round}");
                let (cloned, ..) = host.bytes("POST", &path, b"");
                restored && cloned == 201
            });
            std::thread::sleep(std::time::Duration::from_millis(dice.below(250)));
            crate::survival::kill_agent(&host);
            finished += usize::from(work.join().unwrap());
        });
        host.until("the engine answers", || host.docker(&["ps"]).code == 0);
        let now = look(&place(&host, "data"));
        assert!(
            looks.contains(&now),
            "round {round}: neither the old files nor the new"
        );
        for name in volumes(&host) {
            assert!(!name.starts_with('.'), "{name} is left");
            if name.starts_with("copy") {
                assert_eq!(look(&place(&host, &name)), looks[0]);
            }
        }
    }
    assert!(finished < 12, "it was never killed in the middle");
}

/// Else a part would be taken for the person's own files, and never be completed.
#[test]
fn a_volume_is_filled_whole_or_not_at_all() {
    let host = host!();
    let mut dice = crate::survival::Dice::new();
    let script = "mkdir /many; for n in $(seq 600); do head -c 20000 /dev/zero > /many/$n; done";
    host.docker(&["run", "--name", "step", "busybox", "sh", "-c", script])
        .good();
    host.docker(&["commit", "step", "many"]).good();
    let mut counts = Vec::new();
    for round in 0..12 {
        let mount = format!("fill{round}:/many");
        std::thread::scope(|scope| {
            scope.spawn(|| host.docker(&["create", "-v", &mount, "many"]));
            std::thread::sleep(std::time::Duration::from_millis(dice.below(250)));
            crate::survival::kill_agent(&host);
        });
        host.until("the engine answers", || host.docker(&["ps"]).code == 0);
        if volumes(&host).contains(&format!("fill{round}")) {
            let data = place(&host, &format!("fill{round}"));
            counts.push(std::fs::read_dir(data).unwrap().count());
        }
        // Tried again it is whole.
        let args = ["run", "--rm", "-v", &mount, "many", "sh", "-c"];
        let list = host.docker(&[&args[..], &["ls /many | wc -l"]].concat());
        assert_eq!(list.good(), "600", "round {round}");
    }
    assert!(
        counts.iter().all(|count| [0, 600].contains(count)),
        "{counts:?}"
    );
}
