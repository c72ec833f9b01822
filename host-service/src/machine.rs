//! The machine that the engine runs in: its states, its drivers, and the link to its guest.
//!
//! [`owner`] holds the state and is the only one to change it. A [`Driver`] starts machines or
//! finds one that an earlier slipwayd left running; a [`Machine`] is one that runs.

mod channel;
mod console;
mod disk;
mod host;
mod native;
mod owner;
mod process;
mod qemu;
mod record;
mod steps;
mod tether;
mod world;

use std::time::Duration;

use client::wire::{self, Problem, State};
use futures::future::BoxFuture;
use link::Opener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::ports::Ports;

pub(crate) use native::Native;
pub(crate) use owner::{Owner, own};
pub(crate) use qemu::{Qemu, diagnose as diagnose_qemu};
pub(crate) use {disk::used as disk_used, host::free_space};

/// Starts machines of one kind.
pub(crate) trait Driver: Send + Sync + 'static {
    /// Which kind.
    fn kind(&self) -> wire::Driver;

    /// Whether there is something to start again: the data of an earlier start.
    fn exists(&self) -> bool;

    /// Whether an earlier slipwayd may have left something to adopt or clean up.
    fn leftover(&self) -> bool;

    /// Looks for a machine that an earlier slipwayd left running, and cleans up after one that
    /// does not run any more. `None` when there is none.
    fn adopt(&self, start: Start) -> BoxFuture<'static, Option<Result<Box<dyn Machine>, Problem>>>;

    /// Starts a machine and waits until its engine answers.
    fn start(&self, start: Start) -> BoxFuture<'static, Result<Box<dyn Machine>, Problem>>;
}

/// A machine whose engine has answered.
pub(crate) trait Machine: Send {
    /// Waits until it ends by itself; says why. May be dropped and called again.
    fn ended(&mut self) -> BoxFuture<'_, Problem>;

    /// Stops it: cleanly if it can be done until the time is up.
    fn stop(self: Box<Self>, timeout: Duration) -> BoxFuture<'static, Result<(), Problem>>;
}

/// What a start is given.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// Takes what there is to say about the start.
    pub(crate) progress: mpsc::UnboundedSender<Progress>,
    /// Takes the live link, or `None` while there is none.
    pub(crate) links: watch::Sender<Option<Opener>>,
    /// Opens what the engine publishes.
    pub(crate) ports: Ports,
    /// Cancelled when nobody wants the machine any more.
    pub(crate) cancel: CancellationToken,
}

impl Start {
    pub(crate) fn say(&self, progress: Progress) {
        // The owner may have gone: then nobody is interested.
        let _ = self.progress.send(progress);
    }
}

/// Something new about a start, or about the machine that came from it.
#[derive(Debug)]
pub(crate) enum Progress {
    /// `Creating` or `Starting`.
    State(State),
    /// The steps so far.
    Steps(Vec<wire::Step>),
    /// What runs the machine's processors, and why nothing faster does.
    Accelerator {
        name: &'static str,
        note: Option<String>,
    },
    /// The process.
    Process(u32),
    /// Whether it comes from its snapshot.
    Snapshot(bool),
    /// What the machine has.
    Size {
        cpus: Option<u32>,
        memory_bytes: Option<u64>,
        disk_bytes: Option<u64>,
    },
    /// Size of the data disk, as the guest sees it.
    Disk(u64),
    /// The engine answers; milliseconds from the start of the process.
    Booted { ms: u64 },
    /// Things that don't work.
    Warnings(Vec<String>),
}
