//! The house style where a machine can check it: which crate may know which, how files open, how
//! long and how named they are, where platforms may differ, a README in every folder.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may depend on whom (ARCHITECTURE.md, "Code map"). A crate that is missing here is an error.
const ARROWS: &[(&str, &[&str])] = &[
    ("agent", &["api", "engine", "link", "warden"]),
    ("api", &["engine"]),
    ("cli", &["client"]),
    ("client", &[]),
    ("engine", &["images", "network", "runtime", "warden"]),
    (
        "fuzz",
        &["api", "engine", "images", "link", "network", "warden"],
    ),
    ("hello", &[]),
    ("host-service", &["client", "link"]),
    ("images", &[]),
    ("link", &[]),
    ("network", &[]),
    ("runtime", &[]),
    ("slipway-desktop", &["client"]),
    ("tests", &["client"]),
    ("warden", &["runtime"]),
    ("xtask", &[]),
];

/// Crates that only ever run on Linux: the platform rule says nothing about them.
const LINUX_ONLY: &[&str] = &["guest-agent/", "tests/", "xtask/"];
/// Files that hold what differs between systems are named for the system.
const PLATFORMS: &[&str] = &["unix", "windows", "macos", "linux"];
/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "common", "helpers", "helper", "misc", "manager",
];
/// At most one file in twenty may be longer than this.
const LONG: usize = 600;
/// No file may be longer than this.
const TOO_LONG: usize = 900;
/// A README says what lives in a folder and what it may depend on, no more.
const README_LINES: usize = 25;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The files of the tree with one of these endings, tracked or about to be, but not ignored.
fn files(endings: &[&str]) -> Vec<String> {
    let output = Command::new("git")
        .current_dir(root())
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut files: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .split('\0')
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
        // A file may be deleted and not yet committed.
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    assert!(!files.is_empty(), "git lists no {endings:?} files");
    files
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn assert_none(what: &str, offenders: &[String]) {
    assert!(
        offenders.is_empty(),
        "{what}:\n  {}",
        offenders.join("\n  ")
    );
}

/// The workspace's packages: name, directory below the root, the workspace crates it depends on.
fn packages() -> Vec<(String, String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let root = root();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let directory = manifest.parent().unwrap().strip_prefix(&root).unwrap();
            let dependencies = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["path"].is_string())
                // Any crate's tests may say what they skip.
                .filter(|dependency| dependency["name"] != "tests" || dependency["kind"] != "dev")
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect();
            let name = package["name"].as_str().unwrap().to_owned();
            (name, directory.display().to_string(), dependencies)
        })
        .collect()
}

#[test]
fn arrows_point_down_only() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut offenders = Vec::new();
    for (name, _, dependencies) in packages() {
        match allowed.get(name.as_str()) {
            None => offenders.push(format!(
                "{name} is not in the table of this test: add it to ARCHITECTURE.md and here"
            )),
            Some(allowed) => offenders.extend(
                dependencies
                    .iter()
                    .filter(|dependency| !allowed.contains(&dependency.as_str()))
                    .map(|dependency| format!("{name} must not depend on {dependency}")),
            ),
        }
    }
    assert_none("arrows that ARCHITECTURE.md does not have", &offenders);
}

/// What a test prints is shown only when it fails, unless it goes another way.
#[test]
fn who_skips_says_so_aloud() {
    let word = concat!("\"SKIPPED", ":");
    let offenders: Vec<String> = files(&[".rs"])
        .into_iter()
        .filter(|path| !path.starts_with("xtask/") && path != "tests/src/steps.rs")
        .filter(|path| text(path).contains(word))
        .collect();
    assert_none("skips that nobody sees: use tests::steps", &offenders);
}

#[test]
fn every_rust_file_says_what_lives_in_it() {
    let offenders: Vec<String> = files(&[".rs"])
        .into_iter()
        .filter(|path| !text(path).starts_with("//!"))
        .collect();
    assert_none("files that do not open with `//!`", &offenders);
}

#[test]
fn files_are_short() {
    let lengths: Vec<(usize, String)> = files(&[".rs", ".ts", ".svelte"])
        .into_iter()
        .map(|path| (text(&path).lines().count(), path))
        .collect();
    let longer = |than: usize| -> Vec<String> {
        lengths
            .iter()
            .filter(|(lines, _)| *lines > than)
            .map(|(lines, path)| format!("{path}: {lines} lines"))
            .collect()
    };
    assert_none(
        &format!("files of more than {TOO_LONG} lines"),
        &longer(TOO_LONG),
    );
    let long = longer(LONG);
    assert!(
        long.len() * 20 <= lengths.len(),
        "more than one file in twenty has over {LONG} lines:\n  {}",
        long.join("\n  ")
    );
}

#[test]
fn names_say_what_is_inside() {
    let offenders: Vec<String> = files(&[".rs", ".ts", ".svelte"])
        .into_iter()
        .filter(|path| {
            Path::new(path).with_extension("").iter().any(|part| {
                EMPTY_NAMES
                    .iter()
                    .any(|name| part.eq_ignore_ascii_case(name))
            })
        })
        .collect();
    assert_none("names that say nothing", &offenders);
}

#[test]
fn platforms_differ_in_their_own_files_only() {
    let mut offenders = Vec::new();
    for path in files(&[".rs"]) {
        let stem = Path::new(&path)
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let in_platform_folder = Path::new(&path)
            .iter()
            .any(|part| PLATFORMS.iter().any(|name| part == *name));
        if LINUX_ONLY.iter().any(|folder| path.starts_with(folder))
            || PLATFORMS.contains(&stem.as_str())
            || in_platform_folder
        {
            continue;
        }
        offenders.extend(
            platform_lines(&text(&path))
                .into_iter()
                // A test may be for one family of systems as a whole.
                .filter(|&line| {
                    !(path.contains("/tests/") && is_for_the_whole_file(&text(&path), line))
                })
                .map(|line| format!("{path}:{line}")),
        );
    }
    assert_none(
        "platform conditions outside foo/{unix,windows,macos,linux}.rs (only `mod` and `use` of those may carry one)",
        &offenders,
    );
}

/// Whether a line (counted from one) is an attribute of its file.
fn is_for_the_whole_file(text: &str, line: usize) -> bool {
    text.lines()
        .nth(line - 1)
        .is_some_and(|line| line.starts_with("#![cfg("))
}

/// The lines with a platform condition on something other than choosing a platform's module.
fn platform_lines(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_condition = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        (code.contains("cfg(") || code.contains("cfg!("))
            && ["target_os", "unix", "windows", "target_family"]
                .iter()
                .any(|word| code.contains(word))
    };
    let chooses = |from: usize| {
        lines[from + 1..]
            .iter()
            .find(|line| !line.starts_with("#[") && !line.starts_with("//"))
            .is_some_and(|line| {
                let line = line
                    .strip_prefix("pub(crate) ")
                    .or(line.strip_prefix("pub(super) "))
                    .or(line.strip_prefix("pub "))
                    .unwrap_or(line);
                line.starts_with("mod ") || line.starts_with("use ")
            })
    };
    (0..lines.len())
        .filter(|&at| is_condition(lines[at]) && !(lines[at].starts_with("#[cfg(") && chooses(at)))
        .map(|at| at + 1)
        .collect()
}

#[test]
fn platform_conditions_are_told_from_choices() {
    assert!(platform_lines("#[cfg(unix)]\nmod unix;\n#[cfg(windows)]\n#[path = \"x\"]\npub(crate) use windows::Pipe;\n").is_empty());
    assert_eq!(
        platform_lines("fn f() {\n    if cfg!(windows) {}\n}\n"),
        [2]
    );
    assert_eq!(
        platform_lines("#[cfg(target_os = \"macos\")]\nfn f() {}\n"),
        [1]
    );
}

#[test]
fn every_folder_has_a_short_readme() {
    let mut folders: Vec<String> = files(&[""])
        .iter()
        .filter_map(|path| Some(path.split_once('/')?.0.to_owned()))
        .filter(|folder| !folder.starts_with('.'))
        .collect();
    folders.extend(packages().into_iter().map(|(_, directory, _)| directory));
    folders.sort();
    folders.dedup();
    let mut offenders = Vec::new();
    for folder in folders {
        match fs::read_to_string(root().join(&folder).join("README.md")) {
            Err(error) => offenders.push(format!("{folder}/README.md: {error}")),
            Ok(text) if text.lines().count() >= README_LINES => {
                offenders.push(format!(
                    "{folder}/README.md has {} lines",
                    text.lines().count()
                ));
            }
            Ok(_) => {}
        }
    }
    assert_none(
        &format!("folders without a README of fewer than {README_LINES} lines"),
        &offenders,
    );
}

#[test]
fn no_test_is_switched_off() {
    // Spelled apart, so that this file does not find itself.
    let marks = [
        ["#[", "ignore"].concat(),
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        [".skip", "("].concat() + "'",
    ];
    let mut offenders = Vec::new();
    for path in files(&[".rs", ".ts", ".svelte"]) {
        for (at, line) in text(&path).lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                offenders.push(format!("{path}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    assert_none("skipped tests or unfinished code", &offenders);
}
