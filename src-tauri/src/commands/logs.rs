//! A container's output: the newest lines, then what follows, as fast as the page can take it.

use std::sync::Arc;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures::{Stream, StreamExt};
use tauri::ipc::Channel;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::{Answer, State};
use crate::view::{LogBatch, LogLine, LogSource};

/// How many batches may be on their way to the page. A channel to the page has no end of its
/// own; without this, a fast writer would fill the memory.
const WINDOW: usize = 8;
/// A batch is sent when it is this old …
const AGE: Duration = Duration::from_millis(33);
/// … or this large.
const BYTES: usize = 64 * 1024;

/// Sends the last `tail` lines of a container and all that follow to `channel`, under the page's
/// number `stream`. The page acknowledges each batch with `logs_ack`.
#[tauri::command]
pub(crate) async fn logs_open(
    desk: State<'_>,
    id: String,
    tail: u32,
    stream: u32,
    channel: Channel<LogBatch>,
) -> Answer<()> {
    let docker = desk.docker()?;
    let credit = Arc::new(Semaphore::new(WINDOW));
    let reader = tauri::async_runtime::spawn({
        let credit = Arc::clone(&credit);
        async move {
            let options = LogsOptionsBuilder::new()
                .follow(true)
                .stdout(true)
                .stderr(true)
                .timestamps(true)
                .tail(&tail.to_string())
                .build();
            let output = docker.logs(&id, Some(options));
            // The page went away when it cannot be told.
            let _ = forward(output, &channel, &credit).await;
        }
    });
    desk.keep_log(stream, credit, reader);
    Ok(())
}

/// The page has shown so many batches.
#[tauri::command]
pub(crate) async fn logs_ack(desk: State<'_>, stream: u32, batches: usize) -> Answer<()> {
    desk.credit_log(stream, batches.min(WINDOW));
    Ok(())
}

/// The page does not want more.
#[tauri::command]
pub(crate) async fn logs_close(desk: State<'_>, stream: u32) -> Answer<()> {
    desk.close_log(stream);
    Ok(())
}

/// The last `tail` lines of a container, without following.
#[tauri::command]
pub(crate) async fn logs_before(desk: State<'_>, id: String, tail: u32) -> Answer<Vec<LogLine>> {
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .tail(&tail.to_string())
        .build();
    let mut output = desk.docker()?.logs(&id, Some(options));
    let mut lines = Lines::default();
    while let Some(piece) = output.next().await {
        lines.take(piece?);
    }
    lines.finish();
    Ok(lines.done)
}

async fn forward(
    output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>>,
    channel: &Channel<LogBatch>,
    credit: &Semaphore,
) -> tauri::Result<()> {
    let mut output = std::pin::pin!(output);
    let mut lines = Lines::default();
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            piece = output.next() => {
                // An error ends the output as well: the container or the engine is gone, and the
                // page hears of that from elsewhere.
                let Some(Ok(piece)) = piece else { break };
                lines.take(piece);
                if lines.bytes >= BYTES {
                    due = Some(Instant::now());
                } else if due.is_none() && !lines.done.is_empty() {
                    due = Some(Instant::now() + AGE);
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = None;
                send(channel, credit, lines.batch(false)).await?;
            }
        }
        if lines.bytes >= BYTES {
            due = None;
            send(channel, credit, lines.batch(false)).await?;
        }
    }
    lines.finish();
    send(channel, credit, lines.batch(true)).await
}

async fn send(
    channel: &Channel<LogBatch>,
    credit: &Semaphore,
    batch: LogBatch,
) -> tauri::Result<()> {
    if let Ok(permit) = credit.acquire().await {
        permit.forget();
    }
    channel.send(batch)
}

/// Puts pieces of output together to lines.
#[derive(Debug, Default)]
struct Lines {
    done: Vec<LogLine>,
    bytes: usize,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Lines {
    fn take(&mut self, piece: LogOutput) {
        let source = match piece {
            LogOutput::StdErr { .. } => LogSource::Err,
            _ => LogSource::Out,
        };
        for part in piece.as_ref().split_inclusive(|&byte| byte == b'\n') {
            let open = match source {
                LogSource::Out => &mut self.out,
                LogSource::Err => &mut self.err,
            };
            open.extend_from_slice(part);
            if open.last() == Some(&b'\n') {
                let line = std::mem::take(open);
                self.push(source, &line[..line.len() - 1]);
            }
        }
    }

    /// The output has ended: what is open is a line.
    fn finish(&mut self) {
        for (source, open) in [
            (LogSource::Out, std::mem::take(&mut self.out)),
            (LogSource::Err, std::mem::take(&mut self.err)),
        ] {
            if !open.is_empty() {
                self.push(source, &open);
            }
        }
    }

    fn push(&mut self, source: LogSource, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let (time, text) = text.split_once(' ').unwrap_or((&text, ""));
        // A progress bar writes over its line: only what it wrote last is on the screen.
        let text = text.trim_end_matches('\r');
        let text = text.rsplit('\r').next().unwrap_or(text);
        self.bytes += time.len() + text.len();
        self.done.push(LogLine {
            t: time.to_owned(),
            s: source,
            m: text.to_owned(),
        });
    }

    fn batch(&mut self, end: bool) -> LogBatch {
        self.bytes = 0;
        LogBatch {
            lines: std::mem::take(&mut self.done),
            end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &'static str) -> LogOutput {
        LogOutput::StdOut {
            message: text.as_bytes().into(),
        }
    }

    #[test]
    fn pieces_become_lines() {
        let mut lines = Lines::default();
        lines.take(piece("T1 one\nT2 t"));
        lines.take(piece("wo\r\nT3 10%\r20%\nT4 \nT5 last"));
        assert_eq!(lines.done.len(), 4);
        lines.finish();
        let texts: Vec<_> = lines.done.iter().map(|line| line.m.as_str()).collect();
        assert_eq!(texts, ["one", "two", "20%", "", "last"]);
        assert_eq!(lines.done[1].t, "T2");
    }
}
