//! What the window holds while it is open: its connections and its running streams.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::{ClientVersion, Docker};
use client::{Client, Home};
use tauri::async_runtime::JoinHandle;
use tokio::sync::{Notify, Semaphore, watch};

use crate::removal::Removals;
use crate::view::Problem;

/// The newest Engine API version that this window was written for.
const API: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 51,
};

/// Seconds until an answer must begin. Long, because stopping a container may take its time.
const ANSWER: u64 = 600;

/// The window's connections and streams.
pub(crate) struct Desk {
    /// Where Slipway's state is.
    pub(crate) home: Home,
    /// Removals that can still be undone.
    pub(crate) removals: Removals,
    /// Whether somebody can see the window.
    pub(crate) visible: watch::Sender<bool>,
    /// Told when slipwayd may have come up.
    pub(crate) service_started: Notify,
    docker: Mutex<Option<Docker>>,
    watching: Mutex<Vec<JoinHandle<()>>>,
    logs: Mutex<HashMap<u32, LogStream>>,
    pulls: Mutex<HashMap<u32, Arc<Notify>>>,
}

/// A log on its way to the page.
struct LogStream {
    /// What the reader waits on before it sends another batch.
    credit: Arc<Semaphore>,
    reader: JoinHandle<()>,
}

impl Desk {
    /// A desk without connections.
    pub(crate) fn new(home: Home) -> Self {
        Self {
            home,
            removals: Removals::default(),
            visible: watch::Sender::new(true),
            service_started: Notify::new(),
            docker: Mutex::default(),
            watching: Mutex::default(),
            logs: Mutex::default(),
            pulls: Mutex::default(),
        }
    }

    /// The Engine API. Connections are made as needed and kept for reuse.
    pub(crate) fn docker(&self) -> Result<Docker, Problem> {
        let mut kept = lock(&self.docker);
        if let Some(docker) = kept.as_ref() {
            return Ok(docker.clone());
        }
        let docker = Docker::connect_with_local(&self.home.endpoint().to_string(), ANSWER, &API)?;
        Ok(kept.insert(docker).clone())
    }

    /// slipwayd, started when it does not run.
    pub(crate) async fn service(&self) -> Result<Client, Problem> {
        let client = client::ensure_service(&self.home).await?;
        self.service_started.notify_waiters();
        Ok(client)
    }

    /// Replaces the tasks that tell the page about changes.
    pub(crate) fn watch_with(&self, tasks: Vec<JoinHandle<()>>) {
        let mut watching = lock(&self.watching);
        for old in watching.drain(..) {
            old.abort();
        }
        *watching = tasks;
    }

    /// Keeps a log stream under the page's number for it.
    pub(crate) fn keep_log(&self, stream: u32, credit: Arc<Semaphore>, reader: JoinHandle<()>) {
        if let Some(old) = lock(&self.logs).insert(stream, LogStream { credit, reader }) {
            old.reader.abort();
        }
    }

    /// Allows a log stream to send as many more batches.
    pub(crate) fn credit_log(&self, stream: u32, batches: usize) {
        if let Some(open) = lock(&self.logs).get(&stream) {
            open.credit.add_permits(batches);
        }
    }

    /// Ends a log stream.
    pub(crate) fn close_log(&self, stream: u32) {
        if let Some(open) = lock(&self.logs).remove(&stream) {
            open.reader.abort();
        }
    }

    /// Ends every log stream: the page that read them is gone.
    pub(crate) fn close_logs(&self) {
        for (_, open) in lock(&self.logs).drain() {
            open.reader.abort();
        }
    }

    /// What cancels the pull with the page's number `pull`.
    pub(crate) fn keep_pull(&self, pull: u32) -> Arc<Notify> {
        let cancel = Arc::new(Notify::new());
        lock(&self.pulls).insert(pull, Arc::clone(&cancel));
        cancel
    }

    /// Cancels a pull; nothing happens when it has ended.
    pub(crate) fn cancel_pull(&self, pull: u32) {
        if let Some(cancel) = lock(&self.pulls).remove(&pull) {
            cancel.notify_one();
        }
    }
}

/// A lock that a panicking holder has not damaged: our maps are always whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
