//! The log file.

use crate::support::{Warden, eventually};

#[test]
fn the_log_is_dockers_json_file() {
    let mut warden = Warden::start();
    let spec = warden.spec(
        "l",
        &["sh", "-c", "printf 'a\\n<b>'; echo e >&2; printf '\\tc'"],
    );
    assert_eq!(warden.run(spec).0, 0);
    let path = warden.dir.path().join("l/log");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert!(lines[0].starts_with(r#"{"log":"\u003cb\u003e\u0009c","stream":"stdout","time":"2"#));
    assert!(lines[1].starts_with(r#"{"log":"a\n","stream":"stdout","time":"2"#));
    assert!(lines[2].starts_with(r#"{"log":"e\n","stream":"stderr","time":"2"#));
    assert!(lines.iter().all(|line| line.ends_with("Z\"}")));
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn a_flood_rotates_and_is_all_there() {
    let mut warden = Warden::start();
    let mut spec = warden.spec("r", &["sh", "-c", "yes 0123456789 | head -n 5000"]);
    spec.log.max_size = Some(100_000);
    spec.log.max_files = 10;
    let (code, out, _) = warden.run(spec);
    assert_eq!((code, out.len()), (0, 5000 * 11));
    let dir = warden.dir.path().join("r");
    let lines: usize = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("log"))
        .map(|entry| {
            std::fs::read_to_string(entry.path())
                .unwrap()
                .lines()
                .count()
        })
        .sum();
    assert_eq!(lines, 5000);
    assert!(dir.join("log.3").exists());
}

#[test]
fn no_log_and_no_client_still_runs() {
    let mut warden = Warden::start();
    let mut spec = warden.spec("n", &["sh", "-c", "yes | head -c 1000000; touch /end"]);
    spec.log.path = None;
    let (target, client) = warden.launch(spec, false).unwrap();
    drop(client);
    assert_eq!(warden.wait(&target).code, 0);
    let end = warden.dir.path().join("n/upper/end");
    eventually("it ran to its end", || end.exists());
}
