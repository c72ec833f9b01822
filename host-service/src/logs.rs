//! slipwayd's own log, and keeping a few old logs of each kind.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use client::Home;
use client::wire::Problem;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::problem::file;

/// How many old logs are kept.
const KEPT: u32 = 5;

/// slipwayd's log starts anew when it is longer than this.
const SERVICE_LIMIT: u64 = 4 << 20;

/// Logs to `slipwayd.log`, and to standard error as well when that is a terminal.
pub(crate) fn start(home: &Home) -> Result<(), Problem> {
    let path = home.service_log();
    if fs::metadata(&path).is_ok_and(|log| log.len() > SERVICE_LIMIT) {
        rotate(&path).map_err(|error| file("rotate", &path, &error))?;
    }
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| file("open", &path, &error))?;
    let wanted = std::env::var("SLIPWAY_LOG").ok();
    let targets: Option<Targets> = wanted.and_then(|text| text.parse().ok());
    let writer = if io::IsTerminal::is_terminal(&io::stderr()) {
        BoxMakeWriter::new(log.and(io::stderr))
    } else {
        BoxMakeWriter::new(log)
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    // A logger that is set already (in tests) stays.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(targets.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)))
        .try_init();
    Ok(())
}

/// Moves `x.log` to `x.1.log`, `x.1.log` to `x.2.log` and so on; the oldest is dropped.
pub(crate) fn rotate(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    for number in (1..KEPT).rev() {
        let old = numbered(path, number);
        if old.exists() {
            fs::rename(&old, numbered(path, number + 1))?;
        }
    }
    fs::rename(path, numbered(path, 1))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("{number}.log"))
}

/// The last lines of a text file; reads no more than its last 256 KiB.
pub(crate) fn tail(path: &Path, lines: usize) -> io::Result<Vec<String>> {
    use std::io::{Read, Seek, SeekFrom};
    const WINDOW: u64 = 256 * 1024;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
    let mut text = Vec::new();
    file.take(WINDOW).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().map(str::trim_end).collect();
    Ok(all[all.len().saturating_sub(lines)..]
        .iter()
        .map(ToString::to_string)
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn old_logs_move_up_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        for run in 0..8 {
            rotate(&log).unwrap();
            fs::write(&log, format!("run {run}")).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("console.log"), "run 7");
        assert_eq!(read("console.1.log"), "run 6");
        assert_eq!(read("console.5.log"), "run 2");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6);
    }

    #[test]
    fn tail_gives_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        fs::write(&log, "one\r\ntwo\nthree").unwrap();
        assert_eq!(tail(&log, 2).unwrap(), ["two", "three"]);
        assert_eq!(tail(&log, 9).unwrap().len(), 3);
    }
}
