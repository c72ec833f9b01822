//! The command line without an engine: help, usage errors and their exit codes, and the commands
//! that start nothing.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::process::{Command, Output};

/// Runs `slipway` with an empty home and no service to start.
fn slipway(home: &std::path::Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(words)
        .env("SLIPWAY_HOME", home)
        .env("SLIPWAY_SLIPWAYD", home.join("no-slipwayd"))
        .env("SLIPWAY_PIPE", r"\\.\pipe\slipway-test-nobody")
        .env_remove("SLIPWAY_HOST")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}

#[test]
fn usage_errors_end_with_2() {
    let home = tempfile::tempdir().unwrap();
    for words in [
        &["nonsense"][..],
        &[],
        &["ps", "--nonsense"],
        &["rm"],
        &["run"],
        &["exec", "only-a-container"],
        &["machine", "start", "--driver", "nonsense"],
        &["ps", "--filter", "nonsense"],
        &["ps", "--format", "{{range .Names}}"],
        &["completions", "tcsh"],
        &["--host", "tcp://1.2.3.4", "ps"],
        &["logs", "--since", "yesterday", "x"],
        &["volume"],
        &["volume", "backup"],
        &["volume", "restore", "data"],
        &["volume", "clone", "only-one"],
        &["network", "connect", "only-one"],
    ] {
        let out = slipway(home.path(), words);
        assert_eq!(
            out.status.code(),
            Some(2),
            "{words:?}: {}",
            text(&out.stderr)
        );
        assert!(!out.stderr.is_empty(), "{words:?}");
        assert!(out.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn bad_flags_of_run_end_with_125() {
    let home = tempfile::tempdir().unwrap();
    for (words, error) in [
        (&["run", "--nonsense", "x"][..], "unexpected argument"),
        (&["create", "--nonsense", "x"], "unexpected argument"),
        (&["run", "-m", "5x", "x"], "invalid suffix: 'x'"),
        (
            &["run", "-e", "=1", "x"],
            "invalid environment variable: =1",
        ),
        (&["run", "--mount", "type=bind", "x"], "target is required"),
        (
            &["run", "--ulimit", "nope=1", "x"],
            "invalid ulimit type: nope",
        ),
        (&["run", "-p", "x:y", "x"], "invalid containerPort: y"),
        (
            &["run", "-v", "/a::/b", "x"],
            "empty section between colons",
        ),
        (
            &["run", "--env-file", "/no/such/file", "x"],
            "open /no/such/file: no such file or directory",
        ),
        (
            &["run", "--rm", "--restart=always", "x"],
            "conflicting options: cannot specify both --restart and --rm",
        ),
        (
            &["run", "-d", "-a", "stdout", "x"],
            "conflicting options: cannot specify both --attach and --detach",
        ),
    ] {
        let out = slipway(home.path(), words);
        let stderr = text(&out.stderr);
        assert_eq!(out.status.code(), Some(125), "{words:?}: {stderr}");
        assert!(stderr.starts_with("error: "), "{words:?}: {stderr}");
        assert!(stderr.contains(error), "{words:?}: {stderr}");
    }
}

#[test]
fn every_verb_has_help() {
    let home = tempfile::tempdir().unwrap();
    let all = slipway(home.path(), &["--help"]);
    let all = text(&all.stdout);
    assert!(
        all.contains("Examples:\n  slipway run --rm slipway/hello"),
        "{all}"
    );
    let verbs = all
        .split("Commands:\n")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .unwrap()
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help");
    let mut count = 0;
    for verb in verbs {
        let out = slipway(home.path(), &[verb, "--help"]);
        assert_eq!(out.status.code(), Some(0), "{verb}: {}", text(&out.stderr));
        let help = text(&out.stdout);
        assert!(help.contains(&format!("Usage: slipway {verb}")), "{help}");
        count += 1;
    }
    assert!(count >= 30, "only {count} verbs in:\n{all}");
}

#[test]
fn status_starts_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().join("new home");
    let out = slipway(&home, &["status", "--json"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(status["machine"]["state"], "absent");
    assert_eq!(status["machine"]["driver"], "qemu");
    assert!(status["api"]["endpoint"].is_string());
    assert!(status["version"].is_string());
    let stop = slipway(&home, &["machine", "stop"]);
    assert_eq!(stop.status.code(), Some(0));
    assert_eq!(text(&stop.stdout), "The machine does not run.\n");
    let report = slipway(&home, &["diagnose"]);
    assert_eq!(report.status.code(), Some(0));
    assert!(text(&report.stdout).contains("slipwayd does not answer"));
    assert!(!home.exists(), "asking has made the home");
}

#[test]
fn a_missing_service_is_said_with_a_hint() {
    let home = tempfile::tempdir().unwrap();
    let out = slipway(home.path(), &["ps"]);
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr.starts_with("error: the program slipwayd was not found"),
        "{stderr}"
    );
    assert!(stderr.contains("\n  hint: "), "{stderr}");
    let host = slipway(home.path(), &["--host", "unix:///no/such/socket", "ps"]);
    let stderr = text(&host.stderr);
    assert!(
        stderr.starts_with("error: cannot connect to an Engine API at "),
        "{stderr}"
    );
    let run = slipway(home.path(), &["run", "busybox"]);
    assert_eq!(run.status.code(), Some(125));
}

#[test]
fn completions_for_each_shell() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let out = slipway(home.path(), &["completions", shell]);
        assert_eq!(out.status.code(), Some(0), "{shell}");
        assert!(text(&out.stdout).contains("slipway"), "{shell}");
    }
}

#[test]
fn env_prints_the_endpoint() {
    let home = tempfile::tempdir().unwrap();
    let out = slipway(home.path(), &["env", "--json"]);
    let env: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let status = slipway(home.path(), &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(env["DOCKER_HOST"], status["api"]["endpoint"]);
    let out = slipway(home.path(), &["env", "--shell", "sh"]);
    assert!(text(&out.stdout).starts_with("export DOCKER_HOST='"));
}
