//! The engine on this Linux host itself, as root, without a virtual machine.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;
#[cfg(windows)]
use windows as platform;

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use client::Home;
use client::wire::{self, Problem};
use futures::FutureExt;
use futures::future::BoxFuture;
use link::control::FromHost;
use tokio::time::Instant;

use super::channel::Address;
use super::console::{Console, Said, parse};
use super::process::Process;
use super::record::{Record, now_ms};
use super::steps::Steps;
use super::tether::{Channel, Tether};
use super::{Driver, Machine, Progress, Start};
use crate::logs;
use crate::problem::{Explain, file, problem};

/// How long the engine may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the warden's messages are looked at while it starts.
const LOOK: Duration = Duration::from_millis(20);

/// The driver for the engine on the host itself.
#[derive(Debug)]
pub(crate) struct Native {
    home: Arc<Home>,
}

impl Native {
    pub(crate) fn new(home: &Home) -> Self {
        Self {
            home: Arc::new(home.clone()),
        }
    }
}

impl Driver for Native {
    fn kind(&self) -> wire::Driver {
        wire::Driver::Native
    }

    fn exists(&self) -> bool {
        self.home.native_dir().exists()
    }

    fn leftover(&self) -> bool {
        Record::exists(&self.home)
    }

    fn adopt(&self, start: Start) -> BoxFuture<'static, Option<Result<Box<dyn Machine>, Problem>>> {
        adopt(self.home.clone(), start)
            .map(|found| found.map(boxed))
            .boxed()
    }

    fn start(&self, start: Start) -> BoxFuture<'static, Result<Box<dyn Machine>, Problem>> {
        begin(self.home.clone(), start).map(boxed).boxed()
    }
}

fn boxed(run: Result<Run, Problem>) -> Result<Box<dyn Machine>, Problem> {
    run.map(|run| Box::new(run) as Box<dyn Machine>)
}

/// The warden and the agent: beside slipwayd, or where the environment says.
fn programs() -> Result<(PathBuf, PathBuf), Problem> {
    let exe = std::env::current_exe()
        .map_err(|error| problem("the guest's programs were not found").because(error))?;
    let beside = exe.parent().map(PathBuf::from).unwrap_or_default();
    let folder = from_env("SLIPWAY_GUEST_DIR").unwrap_or(beside);
    let warden = from_env("SLIPWAY_WARDEN").unwrap_or_else(|| folder.join("slipway-warden"));
    let agent = from_env("SLIPWAY_AGENT").unwrap_or_else(|| folder.join("slipway-agent"));
    for program in [&warden, &agent] {
        if !program.is_file() {
            return Err(
                problem("native mode needs slipway-warden and slipway-agent")
                    .because(format!("{} does not exist", program.display()))
                    .hint("set SLIPWAY_GUEST_DIR to the folder that holds them"),
            );
        }
    }
    Ok((warden, agent))
}

fn from_env(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

async fn begin(home: Arc<Home>, start: Start) -> Result<Run, Problem> {
    platform::check()?;
    let mut steps = Steps::told(&start);
    steps.begin("prepare");
    let began = Instant::now();
    let (process, record) = launch(&home)?;
    start.say(Progress::Process(process.pid()));
    steps.begin("engine");
    let tether = Tether::new(record.link.clone(), None, Channel::New, start.clone());
    let watching = watch(&home, &mut steps, &process, &tether);
    let result = tokio::select! {
        result = watching => result,
        () = start.cancel.cancelled() => Err(problem("the start was cancelled")),
    };
    if let Err(failed) = result {
        drop(tether);
        end(&process).await;
        record.clear(&home);
        return Err(failed);
    }
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let record = Record {
        boot_ms: Some(ms),
        steps: steps.finish(),
        ..record
    };
    start.say(Progress::Booted { ms });
    record.save(&home)?;
    Ok(Run {
        home,
        process,
        tether,
        record,
    })
}

fn launch(home: &Home) -> Result<(Process, Record), Problem> {
    let (warden, agent) = programs()?;
    let root = home.native_dir();
    let run = home.run_dir().join("native");
    for folder in [&root, &run] {
        std::fs::create_dir_all(folder).map_err(|error| file("create", folder, &error))?;
    }
    let console = home.console_log();
    logs::rotate(&console).map_err(|error| file("rotate", &console, &error))?;
    let output = File::create(&console).map_err(|error| file("create", &console, &error))?;
    let errors = output
        .try_clone()
        .map_err(|error| file("open", &console, &error))?;
    let link = home.run_dir().join("link.sock");
    let address = Address::Unix(link.clone());
    address.remove();
    let mut command = Command::new(&warden);
    command
        .arg("--native")
        .arg("--root")
        .arg(&root)
        .arg("--run")
        .arg(&run)
        .arg("--agent")
        .arg(&agent)
        .arg("--link")
        .arg(format!("unix:{}", link.display()));
    if let Some(images) = bundled_images(&agent) {
        command.arg("--bundled-images").arg(images);
    }
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    tracing::info!(?command, "starting the warden");
    let process = Process::spawn(command)
        .map_err(|error| problem(format!("cannot start {}", warden.display())).because(error))?;
    let record = Record {
        driver: wire::Driver::Native,
        pid: process.pid(),
        made: process.made(),
        uuid: String::new(),
        started_ms: now_ms(),
        monitor: None,
        link: address,
        ports: None,
        accelerator: None,
        accelerator_note: None,
        cpus: None,
        memory_bytes: None,
        disk_bytes: None,
        snapshot: false,
        boot_ms: None,
        steps: Vec::new(),
    };
    record.save(home)?;
    Ok((process, record))
}

/// Images that come with the engine: `SLIPWAY_BUNDLED_IMAGES`, or `images` beside the agent.
fn bundled_images(agent: &std::path::Path) -> Option<PathBuf> {
    let beside = agent.parent().map(|folder| folder.join("images"));
    from_env("SLIPWAY_BUNDLED_IMAGES")
        .or(beside)
        .filter(|folder| folder.is_dir())
}

async fn watch(
    home: &Home,
    steps: &mut Steps,
    process: &Process,
    tether: &Tether,
) -> Result<(), Problem> {
    let path = home.console_log();
    let mut console = Console::new(&path);
    let deadline = Instant::now() + PATIENCE;
    let mut ready = std::pin::pin!(tether.ready());
    loop {
        let ended = process.has_ended();
        let (lines, _) = console
            .read()
            .map_err(|error| file("read", &path, &error))?;
        for line in lines {
            match parse(&line) {
                Some(Said::Step(name)) => steps.done(&name),
                Some(Said::Failed(why)) => {
                    let failed = problem("the engine gave up while it started").because(why);
                    return Err(with_console(failed, home));
                }
                Some(Said::Panicked(_)) | None => {}
            }
        }
        if let Some(exit) = ended {
            let failed = problem("the warden ended while the engine started").because(exit);
            return Err(with_console(failed, home));
        }
        if Instant::now() >= deadline {
            let failed = problem("the engine did not start in time")
                .because(tether.trouble().unwrap_or_default());
            return Err(with_console(failed, home));
        }
        tokio::select! {
            biased;
            () = &mut ready => return Ok(()),
            _ = process.ended() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn with_console(mut failed: Problem, home: &Home) -> Problem {
    failed.console = logs::tail(&home.console_log(), 20).unwrap_or_default();
    if failed.hint.is_none() {
        failed.hint = Some("see `slipway machine logs`".to_owned());
    }
    failed
}

/// Asks the warden to end, then makes it.
async fn end(process: &Process) {
    process.terminate();
    if !process.ends_within(Duration::from_secs(10)).await {
        process.kill().await;
    }
}

async fn adopt(home: Arc<Home>, start: Start) -> Option<Result<Run, Problem>> {
    let record = Record::load(&home).filter(|record| record.driver == wire::Driver::Native);
    let Some(record) = record else {
        Record::remove(&home);
        return None;
    };
    let process = Process::adopt(record.pid).await.ok();
    let Some(process) = process.filter(|_| platform::is_warden(record.pid, &home)) else {
        tracing::info!(
            pid = record.pid,
            "the engine of an earlier slipwayd has ended"
        );
        record.clear(&home);
        return None;
    };
    tracing::info!(
        pid = record.pid,
        "adopting the engine of an earlier slipwayd"
    );
    start.say(Progress::Process(record.pid));
    let tether = Tether::new(record.link.clone(), None, Channel::Used, start.clone());
    let mut steps = Steps::untold();
    let watching = watch(&home, &mut steps, &process, &tether);
    let result = tokio::select! {
        result = watching => result,
        () = start.cancel.cancelled() => Err(problem("the start was cancelled")),
    };
    if let Err(failed) = result {
        drop(tether);
        end(&process).await;
        record.clear(&home);
        return Some(Err(failed));
    }
    start.say(Progress::Steps(record.steps.clone()));
    if let Some(ms) = record.boot_ms {
        start.say(Progress::Booted { ms });
    }
    Some(Ok(Run {
        home,
        process,
        tether,
        record,
    }))
}

/// A running engine.
struct Run {
    home: Arc<Home>,
    process: Process,
    tether: Tether,
    record: Record,
}

impl Machine for Run {
    fn ended(&mut self) -> BoxFuture<'_, Problem> {
        async {
            let exit = self.process.ended().await;
            self.record.clear(&self.home);
            let ended = problem("the engine ended by itself")
                .because(format!("slipway-warden: {exit}"))
                .hint("start it again with `slipway machine start`");
            with_console(ended, &self.home)
        }
        .boxed()
    }

    fn stop(self: Box<Self>, timeout: Duration) -> BoxFuture<'static, Result<(), Problem>> {
        async move {
            let deadline = Instant::now() + timeout;
            let order = FromHost::Shutdown {
                timeout_s: (timeout.as_secs() * 2 / 3).max(1),
            };
            let told = self
                .tether
                .order(order, Duration::from_secs(2).min(timeout))
                .await;
            let left = deadline.saturating_duration_since(Instant::now());
            if !(told && self.process.ends_within(left).await) {
                tracing::warn!("the engine did not stop in time; it is ended by force");
                end(&self.process).await;
            }
            self.record.clear(&self.home);
            Ok(())
        }
        .boxed()
    }
}
