//! One boot: starts QEMU and watches until the engine answers or there is a reason to give up.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use client::Home;
use client::wire::{Driver, Problem};
use tokio::time::Instant;

use super::accelerator::EMULATION;
use super::arguments::{Channels, From, Plan, arguments};
use super::run::Run;
use super::{order, random};
use crate::logs;
use crate::machine::channel::Address;
use crate::machine::console::{Console, Said, parse};
use crate::machine::process::Process;
use crate::machine::record::{Record, now_ms};
use crate::machine::steps::Steps;
use crate::machine::tether::{Channel, Tether};
use crate::machine::{Progress, Start};
use crate::problem::{Explain, file, problem};

/// Silence on the console after which a boot is given up: with an accelerator, and without.
const STALL: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(45));

/// The same for a machine that comes from its snapshot: it speaks at once.
const RESUME: Duration = Duration::from_secs(10);

/// The same once Linux runs: checking a large disk is silent.
const AFTER_LINUX: Duration = Duration::from_secs(120);

/// The same once the engine runs: only its answer is missing, and another link may bring it.
const AFTER_ENGINE: Duration = Duration::from_secs(45);

/// How often the console is looked at while the machine boots.
const LOOK: Duration = Duration::from_millis(20);

/// Lines of the console that go into an error.
const LAST_LINES: usize = 20;

/// A boot that did not work out.
pub(super) struct Failure {
    pub(super) problem: Problem,
    /// Whether another attempt may work.
    pub(super) retry: bool,
    /// Whether QEMU says that the accelerator is to blame.
    pub(super) blames_accelerator: bool,
    /// Whether the guest says so itself.
    pub(super) told: bool,
}

impl Failure {
    /// A failure that would come again.
    fn lasting(problem: Problem) -> Self {
        Self {
            problem,
            retry: false,
            blames_accelerator: false,
            told: false,
        }
    }
}

const HINT: &str = "see `slipway machine logs`, and try `slipway machine start` again";

/// A number of seconds from the environment, for tests.
pub(super) fn setting(name: &str, default: Duration) -> Duration {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .map_or(default, Duration::from_secs)
}

pub(super) async fn boot(
    home: &Arc<Home>,
    start: &Start,
    plan: &Plan,
    snapshot: Option<File>,
    steps: &mut Steps,
    deadline: Instant,
) -> Result<Run, Failure> {
    let began = Instant::now();
    let resumes = snapshot.is_some();
    let (process, record, channels) = launch(home, plan, snapshot).map_err(Failure::lasting)?;
    start.say(Progress::Process(process.pid()));
    start.say(Progress::Snapshot(resumes));
    plan.announce(start);
    steps.begin("linux");
    let tether = Tether::new(
        record.link.clone(),
        record.ports.clone(),
        Channel::New,
        start.clone(),
    );
    let stall = match (resumes, plan.choice.name) {
        (true, _) => RESUME,
        (false, EMULATION) => STALL.1,
        (false, _) => STALL.0,
    };
    let stall = setting("SLIPWAY_BOOT_STALL_S", stall);
    let watching = async {
        let told = tokio::select! {
            biased;
            told = order::give(&channels) => told.map_err(|problem| Failure {
                retry: true,
                ..Failure::lasting(problem)
            })?,
            exit = process.ended() => return Err(died(home, &exit)),
        };
        let result = watch(home, steps, &process, &tether, stall, deadline).await;
        drop(told);
        result
    };
    let result = tokio::select! {
        result = watching => result,
        () = start.cancel.cancelled() => {
            Err(Failure::lasting(problem("the start was cancelled")))
        }
    };
    // Keys are the other channels', too.
    if let Some(address @ Address::Unix(_)) = &channels.start {
        address.remove();
    }
    if let Err(failure) = result {
        drop(tether);
        process.kill().await;
        record.clear(home);
        return Err(failure);
    }
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    start.say(Progress::Booted { ms });
    let record = Record {
        boot_ms: Some(ms),
        steps: steps.finish(),
        ..record
    };
    record.save(home).map_err(Failure::lasting)?;
    Ok(Run::new(home.clone(), process, tether, record))
}

/// Starts QEMU; it lives on when slipwayd dies.
fn launch(
    home: &Home,
    plan: &Plan,
    snapshot: Option<File>,
) -> Result<(Process, Record, Channels), Problem> {
    let from = if snapshot.is_some() {
        From::Snapshot
    } else {
        From::Boot
    };
    let console = home.console_log();
    logs::rotate(&console).map_err(|error| file("rotate", &console, &error))?;
    let channels = Channels::new(home, plan, from)?;
    let uuid = uuid()?;
    let errors = stderr_log(home);
    let stderr = File::create(&errors).map_err(|error| file("create", &errors, &error))?;
    let mut command = Command::new(&plan.program.path);
    command
        .args(arguments(home, plan, &channels, &uuid, &console, from))
        .current_dir(home.root())
        .stdin(snapshot.map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::null())
        .stderr(stderr);
    tracing::info!(?command, "starting QEMU");
    let process = Process::spawn(command).map_err(|error| {
        problem(format!("cannot start {}", plan.program.path.display())).because(error)
    })?;
    let record = Record {
        driver: Driver::Qemu,
        pid: process.pid(),
        made: process.made(),
        uuid,
        started_ms: now_ms(),
        monitor: Some(channels.monitor.clone()),
        link: channels.link.clone(),
        ports: Some(channels.ports.clone()),
        snapshot: from == From::Snapshot,
        accelerator: Some(plan.choice.name.to_owned()),
        accelerator_note: plan.choice.note.clone(),
        cpus: Some(plan.size.cpus),
        memory_bytes: Some(plan.size.memory_mib << 20),
        disk_bytes: Some(plan.disk_bytes),
        boot_ms: None,
        steps: Vec::new(),
    };
    record.save(home)?;
    Ok((process, record, channels))
}

pub(super) fn stderr_log(home: &Home) -> std::path::PathBuf {
    home.logs_dir().join("qemu.stderr")
}

/// Waits until the engine answers.
pub(super) async fn watch(
    home: &Home,
    steps: &mut Steps,
    process: &Process,
    tether: &Tether,
    patience: Duration,
    deadline: Instant,
) -> Result<(), Failure> {
    let mut stall = patience;
    let path = home.console_log();
    let mut console = Console::new(&path);
    let mut last_sign = Instant::now();
    let mut ready = std::pin::pin!(tether.ready());
    loop {
        // What the console says is read once more after the end: the reason is often there.
        let ended = process.has_ended();
        let (lines, new) = console
            .read()
            .map_err(|error| Failure::lasting(file("read", &path, &error)))?;
        if new {
            last_sign = Instant::now();
        }
        for line in lines {
            match parse(&line) {
                Some(Said::Step(name)) => {
                    steps.done(&name);
                    stall = patience.max(match name.as_str() {
                        "engine" => AFTER_ENGINE,
                        _ => AFTER_LINUX,
                    });
                }
                Some(Said::Failed(why)) => {
                    let failed = problem("the machine gave up while it started");
                    let failed = failed.because(why).hint(HINT);
                    return Err(Failure {
                        told: true,
                        ..Failure::lasting(with_console(failed, &path))
                    });
                }
                Some(Said::Panicked(why)) => {
                    let failed = problem("the machine's kernel gave up while it started");
                    // The faults of an emulated or overloaded processor don't come twice; a root
                    // that can't be read is not one of them.
                    let retry = !why.starts_with("VFS: ");
                    let failed = failed.because(why).hint(HINT);
                    return Err(Failure {
                        problem: with_console(failed, &path),
                        retry,
                        blames_accelerator: false,
                        told: false,
                    });
                }
                None => {}
            }
        }
        if let Some(exit) = ended {
            return Err(died(home, &exit));
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(Failure::lasting(silent(
                tether,
                &path,
                "the machine did not start in time",
            )));
        }
        if now >= last_sign + stall {
            let what = format!(
                "the machine's start does not go on: no sign of life for {} seconds",
                stall.as_secs()
            );
            return Err(Failure {
                problem: silent(tether, &path, &what),
                retry: true,
                blames_accelerator: false,
                told: false,
            });
        }
        tokio::select! {
            biased;
            () = &mut ready => return Ok(()),
            _ = process.ended() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn silent(tether: &Tether, console: &Path, what: &str) -> Problem {
    let failed = problem(what).because(tether.trouble().unwrap_or_default());
    with_console(failed.hint(HINT), console)
}

/// QEMU ended while the machine was starting.
fn died(home: &Home, exit: &crate::machine::process::Exit) -> Failure {
    let said = last_words(home);
    let failed = if said.is_empty() {
        problem("the machine ended while it started").because(format!("QEMU ended with {exit}"))
    } else {
        problem("QEMU ended while the machine started").because(&said)
    };
    // QEMU that complains complains again, unless the accelerator, vsock or a port that another
    // program was quicker to take was the reason; a guest that ended itself may have met a fault
    // of the moment.
    let blames = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let blames_accelerator = blames(&["kvm", "hvf", "whpx", "KVM", "HVF", "WHPX"]);
    Failure {
        problem: with_console(failed.hint(HINT), &home.console_log()),
        retry: said.is_empty()
            || blames_accelerator
            || blames(&["vsock", "already in use", "available port"]),
        blames_accelerator,
        told: false,
    }
}

/// What QEMU said last on its standard error, without warnings.
pub(super) fn last_words(home: &Home) -> String {
    let lines = logs::tail(&stderr_log(home), 10).unwrap_or_default();
    let lines: Vec<String> = lines
        .into_iter()
        .filter(|line| !line.contains("warning:") && !line.is_empty())
        .collect();
    lines.join("\n")
}

/// Adds the console's last lines.
pub(super) fn with_console(mut failed: Problem, console: &Path) -> Problem {
    let lines = logs::tail(console, LAST_LINES).unwrap_or_default();
    failed.console = lines.into_iter().filter(|line| !line.is_empty()).collect();
    failed
}

fn uuid() -> Result<String, Problem> {
    let hex = random::text::<16>()?;
    Ok([
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-"))
}
