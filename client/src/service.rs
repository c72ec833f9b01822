//! Finds and starts slipwayd when it does not run.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::Status;
use crate::{Client, Error, Home};

/// How long slipwayd may take until it answers.
const DEADLINE: Duration = Duration::from_secs(15);

/// How long to go on trying when the slipwayd that we started has ended: another client's may
/// be about to answer.
const GRACE: Duration = Duration::from_secs(2);

/// A client of a slipwayd that answers; starts slipwayd, detached, when none does.
///
/// # Errors
/// When slipwayd is not found, does not start, or does not answer within 15 seconds.
pub async fn ensure_service(home: &Home) -> Result<Client, Error> {
    home.endpoint().check()?;
    match Client::connect(home).await {
        Err(Error::Connect { .. }) => {}
        answered => return answered,
    }
    let mut child = spawn(home)?;
    let mut deadline = Instant::now() + DEADLINE;
    let mut running = true;
    loop {
        match Client::connect(home).await {
            Err(Error::Connect { .. }) => {}
            answered => return answered,
        }
        if running && !matches!(child.try_wait(), Ok(None)) {
            running = false;
            deadline = Instant::now() + GRACE;
        }
        if Instant::now() >= deadline {
            return Err(Error::ServiceDown {
                said: last_words(home),
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A client of a slipwayd that answers, and the machine's state. When none does, one is started only if
/// there is a machine that has outlived its own; otherwise nothing runs, and it is `None`.
///
/// # Errors
/// As [`ensure_service`].
pub async fn running_service(home: &Home) -> Result<Option<(Client, Status)>, Error> {
    let client = Client::new(home);
    let status = match client.status().await {
        Err(Error::Connect { .. }) if home.machine_record().exists() => {
            ensure_service(home).await?.status().await?
        }
        Err(Error::Connect { .. }) => return Ok(None),
        answered => answered?,
    };
    Ok(Some((client, status)))
}

/// The program `slipwayd`: `SLIPWAY_SLIPWAYD`, else beside the current program, else in `PATH`.
///
/// # Errors
/// [`Error::ServiceNotFound`] when it is nowhere.
pub fn service_program() -> Result<PathBuf, Error> {
    let name = format!("slipwayd{}", std::env::consts::EXE_SUFFIX);
    if let Some(path) = std::env::var_os("SLIPWAY_SLIPWAYD").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Error::ServiceNotFound {
                looked: format!("SLIPWAY_SLIPWAYD={}", path.display()),
            })
        };
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join(&name)));
    if let Some(path) = beside.as_ref().filter(|path| path.is_file()) {
        return Ok(path.clone());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(&name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Error::ServiceNotFound {
            looked: match beside {
                Some(beside) => format!("{} and in PATH", beside.display()),
                None => "PATH".to_owned(),
            },
        })
}

fn spawn(home: &Home) -> Result<Child, Error> {
    let program = service_program()?;
    let logs = home.logs_dir();
    fs::create_dir_all(&logs).map_err(|source| file("create", logs, source))?;
    let stderr_path = home.service_stderr();
    let stderr =
        File::create(&stderr_path).map_err(|source| file("create", stderr_path, source))?;
    let mut command = Command::new(&program);
    command
        .env("SLIPWAY_HOME", home.root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    // Not in the caller's folder: it may be on a drive that the person wants to eject.
    command.current_dir(home.root());
    platform::detach(&mut command);
    command
        .spawn()
        .map_err(|source| Error::ServiceStart { program, source })
}

fn last_words(home: &Home) -> String {
    let said = fs::read_to_string(home.service_stderr()).unwrap_or_default();
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

fn file(action: &'static str, path: PathBuf, source: io::Error) -> Error {
    Error::File {
        action,
        path,
        source,
    }
}
