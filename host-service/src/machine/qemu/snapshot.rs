//! The snapshot: the state of a machine whose kernel and drivers are up and whose warden waits, from
//! which later machines start in place of booting. It is taken of a machine without a data disk,
//! beside the one that runs, and holds nothing of anybody's. A machine that does not start from it
//! is booted.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use client::Home;
use client::wire::Problem;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::accelerator::EMULATION;
use super::arguments::{Channels, From, Plan, arguments};
use super::boot::setting;
use super::monitor;
use crate::logs;
use crate::machine::channel::Address;
use crate::machine::console::{Console, Said, parse};
use crate::machine::process::Process;
use crate::machine::{disk, host};
use crate::problem::{Explain, file, problem};
use crate::settings::replace;

/// What the guest says when it waits.
const READY: &str = "slipway: ready for a snapshot";

/// Where QEMU writes its state to: a name in its environment, since a path may hold anything.
const TARGET: &str = "SLIPWAY_SNAPSHOT";

/// A machine that has just started is left alone for a while.
const DELAY: Duration = Duration::from_secs(5);

/// How long taking one may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often things are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A snapshot that failed so often is not taken again.
const FAILURES: u32 = 2;

/// One is taken at a time.
static TAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What is known of the snapshot, beside it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// All that it depends on.
    key: String,
    /// How often it could not be taken or did not start, and why it did not the last time.
    failures: u32,
    reason: Option<String>,
}

/// The snapshot for this plan, if there is one.
pub(super) fn find(home: &Home, plan: &Plan) -> Option<File> {
    if !wanted() || load(home)?.key != key(plan) {
        return None;
    }
    File::open(state(home)).ok()
}

/// It did not start: it is removed, and taken again later.
pub(super) fn distrust(home: &Home, plan: &Plan, why: &Problem) {
    tracing::warn!(?why, "the machine did not start from its snapshot");
    failed(home, plan, why);
}

/// Takes the snapshot for this plan in the background, unless there is one.
pub(super) fn keep(home: Arc<Home>, plan: Plan) {
    if !wanted() {
        return;
    }
    tokio::spawn(async move {
        let Ok(_one) = TAKING.try_lock() else { return };
        let known = load(&home).filter(|known| known.key == key(&plan));
        let there = state(&home).exists();
        if known.is_some_and(|known| there || known.failures >= FAILURES) {
            return;
        }
        tokio::time::sleep(setting("SLIPWAY_SNAPSHOT_DELAY_S", DELAY)).await;
        let began = Instant::now();
        match take(&home, &plan).await {
            Ok(()) => tracing::info!(took = ?began.elapsed(), "the snapshot is taken"),
            Err(why) => {
                tracing::warn!(?why, "the snapshot is not taken");
                failed(&home, &plan, &why);
            }
        }
    });
}

/// In words, for people who help.
pub(super) fn describe(home: &Home) -> String {
    match (wanted(), load(home)) {
        (false, _) => "turned off".to_owned(),
        (true, None) => "not taken yet".to_owned(),
        (true, Some(known)) => match known.reason {
            Some(reason) => format!("failed {} times, last: {reason}", known.failures),
            None => "there".to_owned(),
        },
    }
}

/// `SLIPWAY_SNAPSHOT=off` does without.
fn wanted() -> bool {
    host::SNAPSHOTS && std::env::var("SLIPWAY_SNAPSHOT").as_deref() != Ok("off")
}

async fn take(home: &Home, plan: &Plan) -> Result<(), Problem> {
    let channels = Channels::new(home, plan, From::ForSnapshot)?;
    let run = home.run_dir();
    let (console, errors) = (run.join("snapshot.console"), run.join("snapshot.stderr"));
    let target = state(home).with_extension("partial");
    // An earlier slipwayd may have left them.
    for left in [&console, &target] {
        let _ = fs::remove_file(left);
    }
    // It tells what the machine's random numbers were.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    disk::private(&mut options);
    options
        .open(&target)
        .map_err(|error| file("create", &target, &error))?;
    let stderr = File::create(&errors).map_err(|error| file("create", &errors, &error))?;
    let mut command = Command::new(&plan.program.path);
    command
        .args(arguments(
            home,
            plan,
            &channels,
            "00000000-0000-0000-0000-000000000000",
            &console,
            From::ForSnapshot,
        ))
        .current_dir(home.root())
        .env(TARGET, &target)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    let process = Process::spawn(command).map_err(|error| {
        problem(format!("cannot start {}", plan.program.path.display())).because(error)
    })?;
    let result = tokio::time::timeout(PATIENCE, taken(&process, &console, &channels.monitor)).await;
    process.kill().await;
    let result = result.unwrap_or_else(|_| Err(problem("taking the snapshot took too long")));
    let result = result.map_err(|mut failed| {
        let said = logs::tail(&errors, 3).unwrap_or_default().join("; ");
        if !said.is_empty() {
            failed.cause = Some(said);
        }
        failed
    });
    let addresses = [&channels.monitor, &channels.link, &channels.ports].into_iter();
    for address in addresses.chain(&channels.start) {
        address.remove();
    }
    for left in [&console, &errors] {
        let _ = fs::remove_file(left);
    }
    result?;
    let failed = |error: std::io::Error| file("keep", &target, &error);
    File::open(&target)
        .and_then(|written| written.sync_all())
        .map_err(failed)?;
    fs::rename(&target, state(home)).map_err(failed)?;
    save(
        home,
        &Memory {
            key: key(plan),
            ..Memory::default()
        },
    )
}

async fn taken(process: &Process, console: &Path, monitor: &Address) -> Result<(), Problem> {
    let mut said = Console::new(console);
    loop {
        let ended = process.has_ended();
        let (lines, _) = said.read().map_err(|error| file("read", console, &error))?;
        for line in lines {
            if line.contains(READY) {
                return monitor::save(monitor, &format!("exec:exec cat > \"${TARGET}\""))
                    .await
                    .map_err(|error| problem("QEMU did not save the machine").because(error));
            }
            match parse(&line) {
                Some(Said::Failed(why) | Said::Panicked(why)) => {
                    return Err(problem("the machine for the snapshot gave up").because(why));
                }
                Some(Said::Step(_)) | None => {}
            }
        }
        if let Some(exit) = ended {
            return Err(problem("the machine for the snapshot ended").because(exit));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// All that a snapshot depends on, in words.
fn key(plan: &Plan) -> String {
    let nowhere = || Address::Unix(PathBuf::new());
    let link = || {
        if plan.vsock {
            Address::Vsock {
                cid: 0,
                port: 0,
                key: String::new(),
            }
        } else {
            nowhere()
        }
    };
    let channels = Channels {
        monitor: nowhere(),
        link: link(),
        ports: link(),
        start: Some(nowhere()),
    };
    let home = Home::at("");
    let arguments = arguments(&home, plan, &channels, "", Path::new(""), From::ForSnapshot);
    let image = &plan.image;
    let stamps = [&image.kernel, &image.root, &image.initramfs].map(|path| stamp(path));
    // A processor of the host may be another one after a restart.
    let host = if plan.choice.name == EMULATION {
        String::new()
    } else {
        host::boot_id().unwrap_or_default()
    };
    format!("{:?} {stamps:?} {host} {arguments:?}", plan.program)
}

/// Length and time of a file.
fn stamp(path: &Path) -> Option<(u64, Duration)> {
    let metadata = fs::metadata(path).ok()?;
    let time = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((metadata.len(), time))
}

fn state(home: &Home) -> PathBuf {
    home.machine_dir().join("snapshot.state")
}

fn path(home: &Home) -> PathBuf {
    home.machine_dir().join("snapshot.json")
}

fn load(home: &Home) -> Option<Memory> {
    serde_json::from_slice(&fs::read(path(home)).ok()?).ok()
}

fn save(home: &Home, memory: &Memory) -> Result<(), Problem> {
    let path = path(home);
    let text = serde_json::to_vec_pretty(memory)
        .map_err(|error| problem("cannot describe the snapshot").because(error))?;
    replace(&path, &text).map_err(|error| file("write", &path, &error))
}

fn failed(home: &Home, plan: &Plan, why: &Problem) {
    let _ = fs::remove_file(state(home));
    let key = key(plan);
    let before = load(home).filter(|known| known.key == key);
    let memory = Memory {
        failures: before.map_or(0, |known| known.failures) + 1,
        reason: Some(why.cause.clone().unwrap_or_else(|| why.message.clone())),
        key,
    };
    if let Err(problem) = save(home, &memory) {
        tracing::warn!(?problem, "the snapshot's failure is not remembered");
    }
}
