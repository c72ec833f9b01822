//! `docker logs`: the log as a stream of chunks in Docker's frames, or raw with a terminal.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::mpsc;

use super::log_reader::{Entry, LogReader};
use super::log_watch::Watch;
use super::{Container, State};
use crate::time::Time;
use crate::{Engine, Error, blocking};

/// Chunks grow to about this size before they are sent.
const CHUNK: usize = 32 * 1024;

/// What a client wants to see.
#[derive(Debug, Clone, Default)]
pub struct LogRequest {
    /// Go on as the container writes.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Nothing before this.
    pub since: Option<Time>,
    /// Nothing after this.
    pub until: Option<Time>,
    /// Put the time in front of each line.
    pub timestamps: bool,
    /// At most so many lines of what there is.
    pub tail: Option<usize>,
}

/// A log on its way to a client.
#[derive(Debug)]
pub struct LogChunks {
    /// Whether the container has a terminal: then there are no frames.
    pub tty: bool,
    /// The bytes; the channel closes at the end.
    pub chunks: mpsc::Receiver<Bytes>,
}

impl Engine {
    /// The container's log.
    pub async fn container_logs(
        self: &Arc<Self>,
        name: &str,
        request: LogRequest,
    ) -> Result<LogChunks, Error> {
        let container = self.container(name)?;
        let tty = {
            let inner = container.lock();
            if inner.removing || inner.removed {
                return Err(Error::Conflict(
                    "can not get logs from container which is dead or marked for removal".into(),
                ));
            }
            if inner.record.host_config.log_config.driver == "none" {
                return Err(Error::NotSupported(
                    "configured logging driver does not support reading".into(),
                ));
            }
            inner.record.config.tty
        };
        let (sender, chunks) = mpsc::channel(4);
        let path = container.log_path();
        let tail = request.tail;
        let reader = blocking::run(move || LogReader::open(&path, tail)).await?;
        tokio::spawn(async move {
            if let Err(error) = stream(&container, reader, &request, tty, &sender).await {
                tracing::warn!(container = container.id, %error, "reading the log failed");
            }
        });
        Ok(LogChunks { tty, chunks })
    }
}

async fn stream(
    container: &Arc<Container>,
    mut reader: LogReader,
    request: &LogRequest,
    tty: bool,
    sender: &mpsc::Sender<Bytes>,
) -> Result<(), Error> {
    // Watch before the first read: what is written in between wakes us.
    let watch = if request.follow {
        Some(Watch::new(&container.dir)?)
    } else {
        None
    };
    loop {
        // Ask before reading: what was written before the end is read below.
        let runs = container_writes(container);
        loop {
            let wanted = request.clone();
            let (back, chunk, more) = blocking::run(move || {
                let mut reader = reader;
                let (chunk, more) = read_chunk(&mut reader, &wanted, tty)?;
                Ok((reader, chunk, more))
            })
            .await?;
            reader = back;
            if !chunk.is_empty() && sender.send(chunk).await.is_err() {
                return Ok(());
            }
            match more {
                More::Now => {}
                More::Later => break,
                More::Never => return Ok(()),
            }
        }
        let Some(watch) = &watch else { return Ok(()) };
        if !runs {
            return Ok(());
        }
        tokio::select! {
            outcome = watch.changed() => outcome?,
            () = container.until(|inner| {
                let state = inner.record.state;
                let runs = state.is_running() || state == State::Starting;
                (!runs || inner.removed).then_some(())
            }) => {}
            () = sender.closed() => return Ok(()),
        }
    }
}

fn container_writes(container: &Container) -> bool {
    let inner = container.lock();
    let state = inner.record.state;
    (state.is_running() || state == State::Starting) && !inner.removed
}

/// Whether there is more to read.
enum More {
    Now,
    Later,
    Never,
}

fn read_chunk(
    reader: &mut LogReader,
    request: &LogRequest,
    tty: bool,
) -> Result<(Bytes, More), Error> {
    let mut chunk = BytesMut::new();
    while chunk.len() < CHUNK {
        let Some(entry) = reader.next()? else {
            return Ok((chunk.freeze(), More::Later));
        };
        if request.until.is_some_and(|until| entry.time > until) {
            return Ok((chunk.freeze(), More::Never));
        }
        if request.since.is_none_or(|since| entry.time >= since) {
            put(&mut chunk, &entry, request, tty);
        }
    }
    Ok((chunk.freeze(), More::Now))
}

fn put(chunk: &mut BytesMut, entry: &Entry, request: &LogRequest, tty: bool) {
    let is_stderr = entry.stream == "stderr";
    if (is_stderr && !request.stderr) || (!is_stderr && !request.stdout) {
        return;
    }
    let stamp = if request.timestamps {
        format!("{} ", entry.time.with_nanoseconds())
    } else {
        String::new()
    };
    let length = stamp.len() + entry.log.len();
    if !tty {
        chunk.put_u8(if is_stderr { 2 } else { 1 });
        chunk.put_bytes(0, 3);
        chunk.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    }
    chunk.put_slice(stamp.as_bytes());
    chunk.put_slice(entry.log.as_bytes());
}
