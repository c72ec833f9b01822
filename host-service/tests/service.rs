//! slipwayd from outside: one for each home, clear errors, and machines that don't start.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod home;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use client::wire::{Problem, StartRequest, State, StopRequest};
use client::{Client, Error};
use home::{DEADLINE, SLEEP, Service, eventually, runs};
use http_body_util::BodyExt;

async fn failed_start(client: &Client) -> Problem {
    let updates = client.start(StartRequest::default()).await.unwrap();
    let result = tokio::time::timeout(DEADLINE, updates.finish(|_| ()))
        .await
        .unwrap();
    let Err(Error::Machine(problem)) = result else {
        panic!("it started: {result:?}")
    };
    let status = client.status().await.unwrap();
    assert_eq!(status.machine.state, State::Failed);
    assert_eq!(status.machine.error.as_ref(), Some(&problem));
    assert_eq!(status.machine.pid, None);
    problem
}

#[test]
fn arguments() {
    let service = Service::new(SLEEP);
    let version = service.command().arg("--version").output().unwrap();
    assert_eq!(version.status.code(), Some(0));
    assert!(version.stdout.starts_with(b"slipwayd "));
    let wrong = service.command().arg("--wrong").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("--wrong"));
}

#[tokio::test]
async fn a_second_one_names_the_first() {
    let mut service = Service::new(SLEEP);
    service.start().await;
    let second = service.run();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        said.contains(&format!("already running (process {})", service.pid())),
        "{said}"
    );
    assert!(said.contains("hint: "), "{said}");
    // The first one still has the socket.
    client::Client::connect(&service.home()).await.unwrap();
    assert_eq!(service.terminate().await, Some(0));
    assert!(!service.home().docker_sock().exists());
}

#[tokio::test]
async fn the_socket_is_the_user_s_and_a_stale_one_is_replaced() {
    let mut service = Service::new(SLEEP);
    service.start().await;
    service.kill();
    let socket = service.home().docker_sock();
    assert!(socket.exists());
    service.start().await;
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let run = fs::metadata(service.home().run_dir()).unwrap();
    assert_eq!(run.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_path_too_long_makes_nothing() {
    let service = Service::new(SLEEP);
    let long = service.path().join("x".repeat(120));
    let run = service
        .command()
        .env("SLIPWAY_HOME", &long)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1));
    assert!(
        said.contains("socket path") && said.contains("SLIPWAY_HOME"),
        "{said}"
    );
    assert!(!long.exists());
}

#[tokio::test]
async fn clients_are_told_that_nothing_runs() {
    let mut service = Service::new(SLEEP);
    let client = service.start().await;
    let answer = client
        .request(http::Method::GET, "/_ping", None)
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("slipway machine start"),
        "{body}"
    );
    let missing = client
        .request(http::Method::GET, "/slipway/machine/x", None)
        .await
        .unwrap();
    assert_eq!(missing.status(), 404);
    let wrong = Some("{".into());
    let wrong = client
        .request(http::Method::POST, "/slipway/machine/start", wrong)
        .await
        .unwrap();
    assert_eq!(wrong.status(), 400);
}

#[tokio::test]
async fn no_qemu() {
    let mut service = Service::new(SLEEP);
    service.set("SLIPWAY_QEMU", "/nonexistent/qemu");
    let client = service.start().await;
    let problem = failed_start(&client).await;
    assert_eq!(problem.message, "QEMU was not found");
    assert!(problem.cause.unwrap().contains("/nonexistent/qemu"));
    assert!(problem.hint.is_some());
    assert!(
        client
            .diagnose()
            .await
            .unwrap()
            .contains("QEMU was not found")
    );
}

#[tokio::test]
async fn qemu_nowhere_in_the_path() {
    let mut service = Service::new(SLEEP);
    service.set("SLIPWAY_QEMU", "");
    let empty = service.path().join("image").to_str().unwrap().to_owned();
    service.set("PATH", &empty);
    let client = service.start().await;
    let problem = failed_start(&client).await;
    assert_eq!(problem.message, "QEMU is not installed");
    assert!(problem.hint.unwrap().contains("install"));
}

#[tokio::test]
async fn something_else_than_qemu() {
    let mut service = Service::new(SLEEP);
    service.set("SLIPWAY_QEMU", "/bin/true");
    let client = service.start().await;
    assert_eq!(failed_start(&client).await.message, "/bin/true is not QEMU");
}

#[tokio::test]
async fn a_qemu_too_old() {
    let mut service = Service::new(SLEEP);
    let program = service.path().join("old");
    fs::write(&program, "#!/bin/sh\necho 'QEMU emulator version 6.2.0'\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    service.set("SLIPWAY_QEMU", program.to_str().unwrap());
    let client = service.start().await;
    assert_eq!(failed_start(&client).await.message, "QEMU 6.2 is too old");
}

#[tokio::test]
async fn qemu_that_ends_at_once() {
    let mut service = Service::new("echo 'qemu: no room for the guest' >&2; exit 1");
    let client = service.start().await;
    let problem = failed_start(&client).await;
    assert_eq!(
        problem.cause.as_deref(),
        Some("qemu: no room for the guest")
    );
    assert!(!service.record().exists());
    // And again: nothing of the first attempt is in the way.
    failed_start(&client).await;
}

#[tokio::test]
async fn a_guest_that_ends_at_once_is_tried_again() {
    let mut service = Service::new("echo start >> \"${0%/*}/starts\"; exit 0");
    let client = service.start().await;
    let problem = failed_start(&client).await;
    assert!(problem.message.contains("3 attempts"), "{problem:?}");
    let starts = fs::read_to_string(service.path().join("starts")).unwrap();
    assert_eq!(starts.lines().count(), 3);
}

#[tokio::test]
async fn a_guest_that_never_says_anything() {
    let mut service = Service::new(SLEEP);
    service.set("SLIPWAY_BOOT_STALL_S", "1");
    let client = service.start().await;
    let began = Instant::now();
    let problem = failed_start(&client).await;
    assert!(problem.message.contains("no sign of life"), "{problem:?}");
    assert!(problem.hint.is_some());
    assert!(began.elapsed() < DEADLINE);
}

#[tokio::test]
async fn a_guest_that_gives_up_says_why() {
    let mut service = Service::new(
        "file=${SLIPWAY_HOME}/logs/console.log; \
         printf 'slipway: step linux 10\\nslipway: failed no data disk\\n' > \"$file\"; sleep 1000",
    );
    let client = service.start().await;
    let problem = failed_start(&client).await;
    assert_eq!(problem.cause.as_deref(), Some("no data disk"));
    assert_eq!(
        problem.console.last().unwrap(),
        "slipway: failed no data disk"
    );
    let mut lines = client.logs(Some(1), false).await.unwrap();
    assert_eq!(
        lines.next().await.unwrap().unwrap(),
        "slipway: failed no data disk"
    );
    assert!(lines.next().await.is_none());
}

#[tokio::test]
async fn a_start_can_be_stopped() {
    let mut service = Service::new(SLEEP);
    let client = service.start().await;
    let mut updates = client.start(StartRequest::default()).await.unwrap();
    let mut pid = None;
    while pid.is_none() {
        let update = tokio::time::timeout(DEADLINE, updates.next())
            .await
            .unwrap();
        if let client::wire::Update::Status { status } = update.unwrap().unwrap() {
            pid = status.machine.pid;
        }
    }
    client
        .stop(StopRequest::default())
        .await
        .unwrap()
        .finish(|_| ())
        .await
        .unwrap();
    assert!(matches!(
        updates.finish(|_| ()).await,
        Err(Error::Machine(_))
    ));
    assert!(!runs(pid.unwrap()));
    assert_eq!(client.status().await.unwrap().machine.state, State::Stopped);
}

/// With a real QEMU, which the set-up of the tests brings.
#[tokio::test]
async fn a_kernel_that_is_none() {
    let path = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&path).map(|dir| dir.join("qemu-system-x86_64"));
    let qemu = found.find(|program| program.is_file()).expect("QEMU");
    let mut service = Service::new(SLEEP);
    service.set("SLIPWAY_QEMU", qemu.to_str().unwrap());
    let client = service.start().await;
    fs::write(service.path().join("image/vmlinux"), vec![0x5a; 1 << 20]).unwrap();
    let problem = failed_start(&client).await;
    assert!(problem.cause.is_some(), "{problem:?}");
}

#[tokio::test]
async fn settings_and_disk_of_a_new_home() {
    let mut service = Service::new("exit 1");
    let client = service.start().await;
    assert_eq!(client.status().await.unwrap().machine.state, State::Absent);
    failed_start(&client).await;
    let disk = fs::metadata(service.home().data_disk()).unwrap();
    assert_eq!(disk.len(), 64 << 30);
    assert_eq!(disk.permissions().mode() & 0o777, 0o600);
    assert_eq!(service.terminate().await, Some(0));
    let client = service.start().await;
    assert_eq!(client.status().await.unwrap().machine.state, State::Stopped);
    eventually("the log is there", async || {
        service.home().service_log().exists()
    })
    .await;
}
