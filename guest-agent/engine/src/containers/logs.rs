//! `docker logs`: the log as a stream of chunks in Docker's frames, or raw.

mod compress;
pub(crate) mod config;
mod entry;
mod files;
mod reader;
mod tag;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use runtime::spec::LogFormat;
use tokio::sync::mpsc;

use super::Container;
use crate::time::Time;
use crate::{Engine, Error, blocking};
use entry::Entry;
use reader::LogReader;
use watch::Watch;

/// Chunks grow to about this size before they are sent.
const CHUNK: usize = 64 * 1024;
/// So many chunks may wait for a client.
const CHUNKS: usize = 16;

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
    /// Put the driver's attributes in front of each line.
    pub details: bool,
    /// No frames, whether there is a terminal or not.
    pub raw: bool,
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
        let (sender, chunks) = mpsc::channel(CHUNKS);
        let (path, format, shape) = {
            let inner = container.lock();
            let record = &inner.record;
            let format = match record.host_config.log_config.driver.as_str() {
                "local" => LogFormat::Local,
                _ => LogFormat::JsonFile,
            };
            let shape = Shape {
                framed: !tty && !request.raw,
                details: request
                    .details
                    .then(|| details(&config::attributes(record))),
                request: request.clone(),
            };
            (config::path(record, &container.dir), format, shape)
        };
        let tail = request.tail;
        let reader = blocking::run(move || LogReader::open(&path, format, tail)).await?;
        let shape = Arc::new(shape);
        tokio::spawn(async move {
            if let Err(error) = stream(&container, reader, &shape, &sender).await {
                tracing::warn!(container = container.id, %error, "reading the log failed");
            }
        });
        Ok(LogChunks { tty, chunks })
    }
}

/// How entries are shown.
struct Shape {
    framed: bool,
    details: Option<String>,
    request: LogRequest,
}

/// Attributes as `docker logs --details` shows them, with the space behind them.
fn details(attributes: &std::collections::BTreeMap<String, String>) -> String {
    /// Go's `url.QueryEscape`, but for the space.
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    let escape = |text: &str| {
        utf8_percent_encode(text, ESCAPED)
            .to_string()
            .replace("%20", "+")
    };
    let pairs: Vec<String> = attributes
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    pairs.join(",") + " "
}

async fn stream(
    container: &Arc<Container>,
    mut reader: LogReader,
    shape: &Arc<Shape>,
    sender: &mpsc::Sender<Bytes>,
) -> Result<(), Error> {
    // Watch before the first read: what is written in between wakes us.
    let watch = if shape.request.follow {
        Some(Watch::new(&container.dir)?)
    } else {
        None
    };
    loop {
        // Ask before reading: what was written before the end is read below.
        let runs = container_writes(container);
        loop {
            let (shape, chunks) = (Arc::clone(shape), sender.clone());
            let (back, more) = blocking::run(move || {
                let mut reader = reader;
                let more = read_on(&mut reader, &shape, &chunks)?;
                Ok((reader, more))
            })
            .await?;
            reader = back;
            match more {
                // A slow client costs no thread while it is waited for.
                More::Now => match sender.reserve().await {
                    Ok(_) => {}
                    Err(_) => return Ok(()),
                },
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
                let runs = state.is_running() || state.is_starting();
                (!runs || inner.removed).then_some(())
            }) => {}
            () = sender.closed() => return Ok(()),
        }
    }
}

fn container_writes(container: &Container) -> bool {
    let inner = container.lock();
    let state = inner.record.state;
    (state.is_running() || state.is_starting()) && !inner.removed
}

/// Whether there is more to read.
enum More {
    Now,
    Later,
    Never,
}

/// Reads until the log or the room for chunks ends. Blocks on files only.
fn read_on(
    reader: &mut LogReader,
    shape: &Shape,
    chunks: &mpsc::Sender<Bytes>,
) -> Result<More, Error> {
    let request = &shape.request;
    loop {
        let permit = match chunks.try_reserve() {
            Ok(permit) => permit,
            Err(mpsc::error::TrySendError::Full(())) => return Ok(More::Now),
            Err(mpsc::error::TrySendError::Closed(())) => return Ok(More::Never),
        };
        let mut chunk = Vec::with_capacity(CHUNK + CHUNK / 2);
        let mut end = None;
        while chunk.len() < CHUNK && end.is_none() {
            if !reader.advance()? {
                end = Some(More::Later);
                break;
            }
            let Some(entry) = reader.entry() else {
                continue;
            };
            let time = |wanted: Option<Time>| wanted.map(|wanted| (wanted, entry.time()));
            if time(request.until).is_some_and(|(until, time)| time > until) {
                end = Some(More::Never);
            } else if time(request.since).is_none_or(|(since, time)| time >= since) {
                put(&mut chunk, &entry, shape);
            }
        }
        if !chunk.is_empty() {
            permit.send(chunk.into());
        }
        if let Some(end) = end {
            return Ok(end);
        }
    }
}

fn put(chunk: &mut Vec<u8>, entry: &Entry<'_>, shape: &Shape) {
    const HEADER: usize = 8;
    let request = &shape.request;
    let wanted = if entry.stderr {
        request.stderr
    } else {
        request.stdout
    };
    if !wanted {
        return;
    }
    let start = chunk.len();
    if shape.framed {
        chunk.extend_from_slice(&[if entry.stderr { 2 } else { 1 }, 0, 0, 0, 0, 0, 0, 0]);
    }
    if request.timestamps {
        entry.put_time(chunk);
        chunk.push(b' ');
    }
    if let Some(details) = &shape.details {
        chunk.extend_from_slice(details.as_bytes());
    }
    entry.put_line(chunk);
    if shape.framed {
        // Entries are at most 16 KiB of text, six times that in the worst escapes.
        let length = u32::try_from(chunk.len() - start - HEADER).unwrap_or(u32::MAX);
        chunk[start + 4..start + HEADER].copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn details_are_escaped_as_go_does() {
        let attributes = [("b", "x y&z"), ("a", "ü~")];
        let attributes = attributes.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(super::details(&attributes.into()), "a=%C3%BC~,b=x+y%26z ");
    }
}
