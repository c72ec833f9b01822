//! Two thousand containers come and go; what the first ones did not leave, the last ones don't
//! leave either.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Host, host, request};

/// Started and removed, eight at a time.
const CONTAINERS: u32 = 2000;
const AT_A_TIME: usize = 8;

#[test]
fn two_thousand_containers_leave_nothing() {
    let host = host!();
    // The first ones open what the engine keeps.
    come_and_go(&host, 50);
    let before = at_rest(&host);
    let ids = come_and_go(&host, CONTAINERS);
    assert_eq!(ids.len(), CONTAINERS as usize);
    assert_eq!(cgroups(&ids), [] as [&String; 0]);
    assert_eq!(at_rest(&host), before);
}

/// What is there once nothing changes any more: the kernel takes its time over namespaces.
fn at_rest(host: &Host) -> BTreeMap<&'static str, usize> {
    let before = Cell::new(everything(host));
    host.until("the engine comes to rest", || {
        std::thread::sleep(Duration::from_secs(1));
        let now = everything(host);
        before.replace(now.clone()) == now
    });
    before.into_inner()
}

/// Starts and removes containers; which they were.
fn come_and_go(host: &Host, count: u32) -> Vec<String> {
    let left = AtomicU32::new(count);
    let ids = Mutex::new(Vec::new());
    let another = |left: u32| left.checked_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                let order = Ordering::SeqCst;
                while left.fetch_update(order, order, another).is_ok() {
                    let id = one(host);
                    ids.lock().unwrap().push(id);
                }
            });
        }
    });
    ids.into_inner().unwrap()
}

/// One container's whole life.
fn one(host: &Host) -> String {
    let kind = "application/json";
    let config = json!({
        "Image": "busybox",
        "Cmd": ["sh", "-c", "echo out; exit 3"],
        "Volumes": {"/data": {}},
    });
    let (status, answer) = request(
        host,
        "POST",
        "/containers/create",
        kind,
        &config.to_string(),
    );
    assert_eq!(status, 201, "{answer}");
    let created: Value = serde_json::from_str(&answer).unwrap();
    let id = created["Id"].as_str().unwrap().to_owned();
    let ask = |method: &str, rest: &str, expected: u16| {
        let (status, answer) = request(host, method, &format!("/containers/{id}{rest}"), "", "");
        assert_eq!(status, expected, "{method} {rest}: {answer}");
        answer
    };
    ask("POST", "/start", 204);
    // In chunks: the head comes at once.
    let waited = ask("POST", "/wait", 200);
    assert!(waited.contains(r#""StatusCode":3"#), "{waited}");
    ask("DELETE", "?v=1", 204);
    id
}

/// All that a container could leave behind, counted.
fn everything(host: &Host) -> BTreeMap<&'static str, usize> {
    let warden = host.warden_pid();
    let agent = host.agent().unwrap();
    let inside = |words: &[&str]| {
        let output = Command::new("nsenter")
            .args(["-t", &warden.to_string(), "-m", "-n"])
            .args(words)
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = |path: String| std::fs::read_to_string(path).unwrap();
    let mounts = text(format!("/proc/{warden}/mountinfo"));
    let children = text(format!("/proc/{warden}/task/{warden}/children"));
    BTreeMap::from([
        ("mounts", mounts.lines().count()),
        ("interfaces", inside(&["ip", "-o", "link"]).lines().count()),
        ("rules", inside(&["nft", "list", "ruleset"]).lines().count()),
        (
            "files of the warden",
            entries(&format!("/proc/{warden}/fd")),
        ),
        ("files of the engine", entries(&format!("/proc/{agent}/fd"))),
        ("processes", children.split_whitespace().count()),
        (
            "directories of the state",
            directories(Path::new(&host.path("root"))),
        ),
        (
            "files at run time",
            directories(Path::new(&host.path("run"))),
        ),
    ])
}

fn entries(path: &str) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

/// The containers' control groups that are still there. Those of other tests' engines are in the
/// same directory.
fn cgroups(ids: &[String]) -> Vec<&String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let all = mounts
        .lines()
        .find(|line| line.contains(" - cgroup2 "))
        .and_then(|line| line.split(' ').nth(4))
        .map(|mount| Path::new(mount).join("slipway"))
        .expect("a cgroup v2 hierarchy");
    assert!(all.is_dir(), "{} is not there", all.display());
    ids.iter().filter(|id| all.join(id).exists()).collect()
}

/// Directories and files below a path, links not followed.
fn directories(path: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => 1 + directories(&entry.path()),
            _ => 1,
        })
        .sum()
}
