//! The Dev Containers command: a folder's container is made, started, entered and found again, from
//! an image and from a Compose project.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Host, host};

const IMAGE: &str = r#"{
    "image": "busybox",
    "mounts": ["source=kept,target=/kept,type=volume"],
    "containerEnv": {"OF": "container"},
    "remoteEnv": {"ALSO": "sessions"},
    "runArgs": ["--init", "--cap-add=SYS_PTRACE"],
    "postCreateCommand": "echo once >>/kept/created"
}"#;

const PROJECT: &str = r#"{
    "dockerComposeFile": "compose.yaml",
    "service": "app",
    "workspaceFolder": "/workspace",
    "postStartCommand": "cat /proc/sys/kernel/hostname"
}"#;

const COMPOSE: &str = r#"
services:
  app:
    image: busybox
    command: sleep infinity
    volumes: ["..:/workspace"]
    depends_on: {db: {condition: service_healthy}}
  db:
    image: busybox
    command: sh -c "touch /ready; sleep infinity"
    stop_grace_period: 0s
    healthcheck: {test: ["CMD", "test", "-e", "/ready"], interval: 1s}
"#;

/// The command on a folder; the last line of what it says.
fn devcontainer(host: &Host, folder: &Path, verb: &str, rest: &[&str]) -> String {
    let tools = host.tools();
    let program = tools.join("../devcontainers/node_modules/@devcontainers/cli/devcontainer.js");
    let compose = tools.join("usr/libexec/docker/cli-plugins/docker-compose");
    let output = Command::new("timeout")
        .args(["--kill-after=5", "120", "node"])
        .arg(program)
        .arg(verb)
        .arg("--docker-path")
        .arg(tools.join("usr/bin/docker"))
        .arg("--docker-compose-path")
        .arg(compose)
        .arg("--workspace-folder")
        .arg(folder)
        .args(rest)
        .env("DOCKER_HOST", format!("unix://{}", host.socket()))
        .env("DOCKER_CONFIG", host.path("docker-config"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{verb}: {text}\n{errors}");
    text.trim_end().lines().last().unwrap_or_default().into()
}

fn container(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer["outcome"], "success", "{answer}");
    answer["containerId"].as_str().unwrap().into()
}

#[test]
fn a_folder_has_its_container() {
    let host = host!();
    if !host.tools().join("../devcontainers/packages").exists() {
        return tests::steps::skip("the Dev Containers command is not set up: cargo xtask setup");
    }
    let folder = |name: &str, files: &[(&str, &str)]| {
        let folder = PathBuf::from(host.path(name));
        let config = folder.join(".devcontainer");
        std::fs::create_dir_all(&config).unwrap();
        for (file, content) in files {
            std::fs::write(config.join(file), content).unwrap();
        }
        std::fs::write(folder.join("file"), "of the folder").unwrap();
        folder
    };
    let one = folder("one", &[("devcontainer.json", IMAGE)]);
    let made = container(&devcontainer(&host, &one, "up", &[]));
    let enter = |script| devcontainer(&host, &one, "exec", &["sh", "-c", script]);
    assert_eq!(
        enter("cat file; echo; echo $OF $ALSO"),
        "container sessions"
    );
    assert_eq!(enter("pwd; cat file"), "of the folder");
    host.docker(&["stop", "-t", "0", &made]).good();
    assert_eq!(container(&devcontainer(&host, &one, "up", &[])), made);
    assert_eq!(enter("cat /kept/created | wc -l"), "1");

    let files = [("devcontainer.json", PROJECT), ("compose.yaml", COMPOSE)];
    let project = folder("project", &files);
    let made = container(&devcontainer(&host, &project, "up", &[]));
    let script = "nslookup -type=a db >/dev/null && cat file";
    let found = devcontainer(&host, &project, "exec", &["sh", "-c", script]);
    assert_eq!(found, "of the folder");
    assert_eq!(container(&devcontainer(&host, &project, "up", &[])), made);
}
