//! A machine that runs under QEMU, started by this slipwayd or an earlier one.

use std::sync::Arc;
use std::time::Duration;

use client::Home;
use client::wire::{Driver, Problem};
use futures::FutureExt;
use futures::future::BoxFuture;
use link::control::FromHost;
use tokio::time::Instant;

use super::accelerator::EMULATION;
use super::boot::{last_words, watch, with_console};
use super::monitor;
use crate::machine::process::Process;
use crate::machine::record::{Record, now_ms};
use crate::machine::steps::Steps;
use crate::machine::tether::{Channel, Tether};
use crate::machine::{Machine, Progress, Start};
use crate::problem::{Explain, problem};

/// How long a stop waits for a link to say it over.
const LINK: Duration = Duration::from_secs(5);

/// A running machine.
pub(crate) struct Run {
    home: Arc<Home>,
    process: Process,
    tether: Tether,
    record: Record,
}

impl Run {
    pub(super) fn new(home: Arc<Home>, process: Process, tether: Tether, record: Record) -> Self {
        Self {
            home,
            process,
            tether,
            record,
        }
    }
}

impl Machine for Run {
    fn ended(&mut self) -> BoxFuture<'_, Problem> {
        async {
            let exit = self.process.ended().await;
            self.record.clear(&self.home);
            let said = last_words(&self.home);
            let cause = if said.is_empty() {
                format!("QEMU: {exit}")
            } else {
                said
            };
            let ended = problem("the machine ended by itself")
                .because(cause)
                .hint("start it again with `slipway machine start`");
            with_console(ended, &self.home.console_log())
        }
        .boxed()
    }

    fn stop(self: Box<Self>, timeout: Duration) -> BoxFuture<'static, Result<(), Problem>> {
        async move {
            let deadline = Instant::now() + timeout;
            // The guest gets most of the time for its containers, the rest is for its disks.
            let order = FromHost::Shutdown {
                timeout_s: (timeout.as_secs() * 2 / 3).max(1),
            };
            let told = self.tether.order(order, LINK.min(timeout)).await;
            if !told {
                tracing::warn!("there is no link to tell the machine to stop");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = told && self.process.ends_within(left).await;
            if !ended {
                tracing::warn!("the machine did not stop in time; it is ended by force");
                if let Some(address) = &self.record.monitor
                    && let Err(error) = monitor::quit(address).await
                {
                    tracing::warn!(%error, "QEMU's monitor does not take the order to quit");
                }
                if !self.process.ends_within(Duration::from_secs(3)).await {
                    self.process.kill().await;
                }
            }
            if self.process.has_ended().is_none() {
                return Err(problem("the machine cannot be ended")
                    .because(format!("process {} is still there", self.process.pid())));
            }
            self.record.clear(&self.home);
            Ok(())
        }
        .boxed()
    }
}

/// Finds the machine that an earlier slipwayd left, and cleans up after one that ended.
pub(super) async fn adopt(home: Arc<Home>, start: Start) -> Option<Result<Run, Problem>> {
    let record = Record::load(&home).filter(|record| record.driver == Driver::Qemu);
    let Some(record) = record else {
        Record::remove(&home);
        return None;
    };
    let Some(process) = find(&record).await else {
        tracing::info!(
            pid = record.pid,
            "the machine of an earlier slipwayd has ended"
        );
        record.clear(&home);
        return None;
    };
    tracing::info!(
        pid = record.pid,
        "adopting the machine of an earlier slipwayd"
    );
    start.say(Progress::Process(record.pid));
    start.say(Progress::Snapshot(record.snapshot));
    let accelerator = ["kvm", "hvf", "whpx", EMULATION]
        .into_iter()
        .find(|name| record.accelerator.as_deref() == Some(*name))
        .unwrap_or(EMULATION);
    start.say(Progress::Accelerator {
        name: accelerator,
        note: record.accelerator_note.clone(),
    });
    start.say(Progress::Size {
        cpus: record.cpus,
        memory_bytes: record.memory_bytes,
        disk_bytes: record.disk_bytes,
    });
    let tether = Tether::new(
        record.link.clone(),
        record.ports.clone(),
        Channel::Used,
        start.clone(),
    );
    let patience = Duration::from_secs(60);
    // A start that was over before is not told again.
    let mut steps = if record.boot_ms.is_some() {
        Steps::untold()
    } else {
        Steps::told(&start)
    };
    let watching = watch(
        &home,
        &mut steps,
        &process,
        &tether,
        patience,
        Instant::now() + patience,
    );
    let result = tokio::select! {
        result = watching => result.map_err(|failure| failure.problem),
        () = start.cancel.cancelled() => Err(problem("the start was cancelled")),
    };
    if let Err(failed) = result {
        drop(tether);
        // It holds the data disk: nothing else can start before it is gone.
        process.kill().await;
        record.clear(&home);
        return Some(Err(failed));
    }
    let boot_ms = record
        .boot_ms
        .unwrap_or_else(|| now_ms().saturating_sub(record.started_ms));
    if record.boot_ms.is_some() {
        start.say(Progress::Steps(record.steps.clone()));
    } else {
        let record = Record {
            boot_ms: Some(boot_ms),
            steps: steps.finish(),
            ..record.clone()
        };
        if let Err(problem) = record.save(&home) {
            tracing::warn!(?problem, "the machine's record is not up to date");
        }
    }
    start.say(Progress::Booted { ms: boot_ms });
    Some(Ok(Run::new(home, process, tether, record)))
}

/// The process of the record, if it still is that machine.
async fn find(record: &Record) -> Option<Process> {
    let process = Process::adopt(record.pid).await.ok()?;
    let named = monitor::uuid(record.monitor.as_ref()?).await;
    match named {
        Ok(uuid) if uuid.eq_ignore_ascii_case(&record.uuid) => Some(process),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(%error, "nobody answers at the recorded monitor");
            let is_it = record.made.is_some() && record.made == process.made();
            if is_it || process.was_told(&record.uuid) {
                // It is our machine and hangs. It holds the data disk: no other could start.
                process.kill().await;
            }
            None
        }
    }
}
