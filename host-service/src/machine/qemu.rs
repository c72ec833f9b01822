//! A virtual machine under QEMU.

mod accelerator;
mod architecture;
mod arguments;
mod boot;
mod image;
mod monitor;
mod order;
mod program;
mod random;
mod run;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use client::Home;
use client::wire::{self, Problem, State};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::record::Record;
use super::steps::Steps;
use super::{Driver, Machine, Progress, Start};
use crate::problem::{Explain, problem};

pub(crate) use run::Run;

/// The driver for virtual machines.
#[derive(Debug)]
pub(crate) struct Qemu {
    home: Arc<Home>,
}

impl Qemu {
    pub(crate) fn new(home: &Home) -> Self {
        Self {
            home: Arc::new(home.clone()),
        }
    }
}

impl Driver for Qemu {
    fn kind(&self) -> wire::Driver {
        wire::Driver::Qemu
    }

    fn exists(&self) -> bool {
        self.home.data_disk().exists()
    }

    fn leftover(&self) -> bool {
        Record::exists(&self.home)
    }

    fn adopt(&self, start: Start) -> BoxFuture<'static, Option<Result<Box<dyn Machine>, Problem>>> {
        run::adopt(self.home.clone(), start)
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

/// How often a boot that stalls or ends is tried again.
const ATTEMPTS: u32 = 3;

/// All attempts together take no longer.
const DEADLINE: Duration = Duration::from_secs(180);

async fn begin(home: Arc<Home>, start: Start) -> Result<Run, Problem> {
    let deadline = tokio::time::Instant::now() + boot::setting("SLIPWAY_BOOT_DEADLINE_S", DEADLINE);
    if !home.data_disk().exists() {
        start.say(Progress::State(State::Creating));
    }
    let mut steps = Steps::told(&start);
    steps.begin("prepare");
    let plan = {
        let (home, start) = (home.clone(), start.clone());
        // Looking for programs and starting probes blocks.
        tokio::task::spawn_blocking(move || arguments::Plan::make(&home, &start))
            .await
            .map_err(|error| problem("the preparation broke off").because(error))??
    };
    start.say(Progress::State(State::Starting));
    let mut plan = plan;
    let mut snapshot = snapshot::find(&home, &plan);
    let mut attempt = 1;
    loop {
        if start.cancel.is_cancelled() {
            return Err(problem("the start was cancelled"));
        }
        let resumes = snapshot.is_some();
        match boot::boot(&home, &start, &plan, snapshot.take(), &mut steps, deadline).await {
            Ok(run) => {
                snapshot::keep(home, plan);
                return Ok(run);
            }
            Err(failure) if resumes && !failure.told && !start.cancel.is_cancelled() => {
                snapshot::distrust(&home, &plan, &failure.problem);
                steps.again();
                steps.begin("prepare");
            }
            Err(failure) => {
                let retry =
                    failure.retry && attempt < ATTEMPTS && tokio::time::Instant::now() < deadline;
                if !retry {
                    let mut failed = failure.problem;
                    if attempt > 1 {
                        failed.message = format!("{} ({attempt} attempts)", failed.message);
                    }
                    return Err(failed);
                }
                tracing::warn!(problem = ?failure.problem, attempt, "the boot is tried again");
                attempt += 1;
                plan.after_failure(&home, &failure, attempt == ATTEMPTS);
                steps.again();
                steps.begin("prepare");
            }
        }
    }
}

fn describe_program(home: &Home, image: &image::Image, text: &mut String) {
    match program::find(home, image.architecture) {
        Ok(program) => {
            text.push_str(&format!(
                "qemu: {} ({})\n  accelerators built in: {}\n",
                program.path.display(),
                program.version_text(),
                program.accelerators.join(", ")
            ));
            for line in accelerator::remembered(home, &program, image) {
                text.push_str(&format!("  {line}\n"));
            }
        }
        Err(error) => {
            text.push_str(&format!("qemu: {}", error.message));
            if let Some(cause) = error.cause {
                text.push_str(&format!(" ({cause})"));
            }
            text.push('\n');
        }
    }
}

/// What there is to know about QEMU on this host, for people who help.
pub(crate) fn diagnose(home: &Home) -> String {
    let mut text = String::new();
    match image::Image::find() {
        Ok(image) => {
            text.push_str(&format!("image: {}\n", image.folder.display()));
            describe_program(home, &image, &mut text);
        }
        Err(error) => text.push_str(&format!("image: {}\n", error.message)),
    }
    text.push_str(&format!("snapshot: {}\n", snapshot::describe(home)));
    text
}
