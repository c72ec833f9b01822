//! A container in memory: its record, what lives only as long as the engine, and how others wait
//! for its changes.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use warden::protocol::{AttachStreams, Exit};

use super::files::FileUse;
use super::{HealthStatus, Reached, Record, State, logs};
use crate::shared::Shared;
use crate::time::{Time, human_duration};
use crate::{Error, ids};

/// How long writing a record waits for the next change: of a short run only the end is written, of a
/// container that is removed at once nothing. The warden knows meanwhile.
pub(crate) const NEXT_CHANGE: Duration = Duration::from_millis(20);

/// A container. The lock is held for a few instructions only, never across an await; long steps
/// are claimed by a state ([`State::Starting`]) or a flag (`removing`).
#[derive(Debug)]
pub(crate) struct Container {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    /// Its directory.
    pub(crate) dir: PathBuf,
    inner: Mutex<Inner>,
    /// Who is at its files.
    pub(crate) files: FileUse,
    /// Counts changes; waiters look at [`Inner`] after each.
    changes: watch::Sender<u64>,
    /// Held while its log is compressed, which makes files, and while it is removed.
    pub(crate) log_files: tokio::sync::Mutex<()>,
    /// Orders writes of the record; true once it is erased and must not come back.
    saving: Mutex<bool>,
    /// Somebody waits for its settling.
    hurry: Notify,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct Inner {
    /// The record, as it is or will be on disk.
    pub(crate) record: Shared<Record>,
    /// Attachments that have not had all of the output yet.
    pub(crate) listeners: usize,
    /// Clients that attached before the start.
    pub(crate) early_clients: Vec<(AttachStreams, OwnedFd)>,
    /// The exit of a process whose start has not been recorded yet.
    pub(crate) early_exit: Option<Exit>,
    /// Exec sessions, oldest first.
    pub(crate) exec_ids: Vec<String>,
    /// Exits so far, for those who wait for the next one.
    pub(crate) exits: u64,
    /// The code of the last of them; the record's is 0 again after a restart.
    pub(crate) last_exit: i32,
    /// A person wants it to end: no policy starts it again.
    pub(crate) exit_on_next: bool,
    /// A person restarts it: its end does not remove it.
    pub(crate) restarted_by_hand: bool,
    /// The mount of its root while it runs. It is let go after the end was told: only then the
    /// kernel unmounts it, which waits for the disk.
    pub(crate) root: Option<OwnedFd>,
    /// Its end is being recorded, with the warden too, and its root unmounted: it can't be started
    /// yet.
    pub(crate) settling: bool,
    /// A removal is under way.
    pub(crate) removing: bool,
    /// It is gone.
    pub(crate) removed: bool,
    /// A stop or kill by a person must end a pending restart; counts such requests.
    pub(crate) restart_epoch: u64,
    /// Delay before the next restart by policy.
    pub(crate) back_off_ms: u64,
    /// Ends the health checks of the present run.
    pub(crate) health_checks: Option<CancellationToken>,
}

/// A container at one instant, for showing.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The record.
    pub record: Shared<Record>,
    /// Exec sessions.
    pub exec_ids: Vec<String>,
    /// A removal is under way.
    pub removing: bool,
    /// Its directory.
    pub dir: PathBuf,
    /// By what names others link to it, in a list.
    pub link_names: Vec<String>,
}

impl Container {
    pub(crate) fn new(record: Record, dir: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            id: record.id.clone(),
            dir,
            inner: Mutex::new(Inner {
                record: record.into(),
                listeners: 0,
                early_clients: Vec::new(),
                early_exit: None,
                exec_ids: Vec::new(),
                exits: 0,
                last_exit: 0,
                exit_on_next: false,
                restarted_by_hand: false,
                root: None,
                settling: false,
                removing: false,
                removed: false,
                restart_epoch: 0,
                back_off_ms: 0,
                health_checks: None,
            }),
            files: FileUse::default(),
            changes: watch::channel(0).0,
            log_files: tokio::sync::Mutex::default(),
            saving: Mutex::new(false),
            hurry: Notify::new(),
        })
    }

    /// Locks it; never hold this across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the waiters to look again.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|n| *n += 1);
    }

    /// Waits until `test` gives something, looking again after each change.
    pub(crate) async fn until<T>(&self, mut test: impl FnMut(&mut Inner) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(found) = test(&mut self.lock()) {
                return found;
            }
            if changes.changed().await.is_err() {
                // Can't happen while `self` lives; pending is the honest answer.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits for a next change after its end, unless somebody waits until it has settled.
    pub(crate) async fn next_change(&self) {
        tokio::select! {
            () = tokio::time::sleep(NEXT_CHANGE) => {}
            () = self.hurry.notified() => {}
        }
    }

    /// Waits until its last end is recorded and its root unmounted.
    pub(crate) async fn settled(&self) {
        if self.lock().settling {
            self.hurry.notify_one();
            self.until(|inner| (!inner.settling).then_some(())).await;
        }
    }

    /// Writes the record as it is now. Blocks.
    pub(crate) fn save_blocking(&self) -> Result<(), Error> {
        let erased = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if *erased {
            return Ok(());
        }
        let record = self.lock().record.clone();
        record.write(&self.record_path())
    }

    /// Removes the record, for good, and all else that is in the directory. Blocks.
    pub(crate) fn erase_blocking(&self) -> Result<(), Error> {
        let mut erased = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        *erased = true;
        // What is below a dot is swept away at the next start.
        let dir = self.dir.with_file_name(format!(".{}", self.id));
        match std::fs::rename(&self.dir, &dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("removing", &self.dir, e));
            }
            _ => {}
        }
        // Whatever a container has made of its files: no depth is too much for this. What takes no
        // room need not be waited for.
        let wrote =
            std::fs::read_dir(dir.join("upper")).is_ok_and(|mut entries| entries.next().is_some());
        if wrote {
            return Ok(images::remove_tree(&dir)?);
        }
        crate::blocking::behind(move || {
            if let Err(error) = images::remove_tree(&dir) {
                tracing::warn!(%error, "removing a container's directory failed");
            }
        });
        Ok(())
    }

    /// Writes the record as it is now.
    pub(crate) async fn save(self: &Arc<Self>) -> Result<(), Error> {
        let this = Arc::clone(self);
        crate::blocking::run(move || this.save_blocking()).await
    }

    /// Writes the record; a failure is logged because what happened has happened.
    pub(crate) async fn save_or_log(self: &Arc<Self>) {
        if let Err(error) = self.save().await {
            tracing::error!(container = self.id, %error, "saving the container's state failed");
        }
    }

    /// Unmounts its root, which no process has any more.
    pub(crate) async fn unmount(self: &Arc<Self>) {
        let root = self.lock().root.take();
        let unmounted = crate::blocking::run(move || {
            drop(root);
            Ok(())
        });
        if let Err(error) = unmounted.await {
            tracing::error!(container = self.id, %error, "unmounting the container's root failed");
        }
    }

    pub(crate) fn record_path(&self) -> PathBuf {
        self.dir.join("config.json")
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let inner = self.lock();
        Snapshot {
            record: inner.record.clone(),
            exec_ids: inner.exec_ids.clone(),
            removing: inner.removing,
            dir: self.dir.clone(),
            link_names: Vec::new(),
        }
    }
}

impl Snapshot {
    /// Docker's word for the state.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.record.state {
            State::Running { .. } => "running",
            State::Paused { .. } => "paused",
            state if state.is_restarting() => "restarting",
            _ if self.removing => "removing",
            State::Dead => "dead",
            _ if self.record.started_at.is_zero() => "created",
            _ => "exited",
        }
    }

    /// The status column of `docker ps`: `Up 3 minutes`, `Exited (1) 2 hours ago`.
    #[must_use]
    pub fn status_text(&self) -> String {
        let record = &self.record;
        let now = Time::now();
        let since = |then: Time| human_duration(now.seconds_since(then));
        match self.status() {
            "running" => {
                let up = since(record.started_at);
                match record.health.as_ref().map(|health| health.status) {
                    None => format!("Up {up}"),
                    Some(HealthStatus::Starting) => format!("Up {up} (health: starting)"),
                    Some(status) => format!("Up {up} ({})", status.name()),
                }
            }
            "paused" => format!("Up {} (Paused)", since(record.started_at)),
            "restarting" => {
                format!(
                    "Restarting ({}) {} ago",
                    record.exit_code,
                    since(record.finished_at)
                )
            }
            "removing" => "Removal In Progress".into(),
            "dead" => "Dead".into(),
            "created" => "Created".into(),
            _ if record.finished_at.is_zero() => String::new(),
            _ => format!(
                "Exited ({}) {} ago",
                record.exit_code,
                since(record.finished_at)
            ),
        }
    }

    /// The program (`Path`) and its arguments (`Args`).
    #[must_use]
    pub fn path_and_args(&self) -> (String, Vec<String>) {
        let mut command = self.record.config.command();
        if command.is_empty() {
            return (String::new(), command);
        }
        let path = command.remove(0);
        (path, command)
    }

    /// The command column of `docker ps`: arguments with spaces are quoted.
    #[must_use]
    pub fn command_text(&self) -> String {
        let (mut text, args) = self.path_and_args();
        for arg in args {
            if arg.contains(' ') {
                text += &format!(" '{arg}'");
            } else {
                text += &format!(" {arg}");
            }
        }
        text
    }

    /// The log file, as Docker tells it: of a `json-file` once the container had a process.
    #[must_use]
    pub fn log_path(&self) -> Option<PathBuf> {
        let record = &self.record;
        let told = record.host_config.log_config.driver == "json-file"
            && record.has_reached(Reached::Process);
        told.then(|| logs::config::path(record, &self.dir))
    }

    /// Where a file of names is (`hosts`), once there is one: with the container whose network it
    /// shares, and nowhere without networks, as in Docker.
    #[must_use]
    pub fn names_path(&self, file: &str) -> Option<PathBuf> {
        let record = &self.record;
        let told = record.has_reached(Reached::Names) && !record.config.network_disabled;
        let dir = match record.host_config.network_container() {
            Some(other) => self.dir.with_file_name(other),
            None => self.dir.clone(),
        };
        told.then(|| dir.join(file))
    }

    /// The first twelve digits of the id.
    #[must_use]
    pub fn short_id(&self) -> &str {
        ids::short(&self.record.id)
    }
}
