//! Standard streams between this terminal and a process in a container: what `run`, `start -a`,
//! `attach` and `exec` have in common.

mod detach;
mod resize;
mod signals;

use std::io::Write;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::engine::stdcopy::{Demux, Source};
use crate::engine::{Error, Hijacked};
use crate::failure::Failure;
use crate::output;
use crate::terminal::Raw;

pub(crate) use detach::Keys;
pub(crate) use resize::{Target, follow_size, nudge_size};
pub(crate) use signals::forward;

use detach::Detacher;

/// How much is read at once, either way.
const CHUNK: usize = 64 * 1024;

/// Which streams are connected, and how.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    /// Standard input goes to the container.
    pub(crate) stdin: bool,
    /// The container has a terminal: one stream, raw keys.
    pub(crate) tty: bool,
    /// The keys that detach.
    pub(crate) keys: Keys,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The container has closed its output.
    Closed,
    /// The person pressed the keys that detach.
    Detached,
}

/// A terminal on standard output needs a terminal on standard input, or keys would go nowhere.
///
/// # Errors
/// With Docker's words when a terminal is wanted for input that is not one.
pub(crate) fn check_tty(stdin: bool, tty: bool) -> Result<(), Failure> {
    if stdin && tty && !output::in_is_terminal() {
        return Err(Failure::new("the input device is not a TTY")
            .hint("leave out -t when the input comes from a pipe or file"));
    }
    Ok(())
}

/// Moves bytes until the container closes its output or the person detaches.
///
/// # Errors
/// When the connection breaks or this terminal can't be made raw.
pub(crate) async fn pump(connection: Hijacked, streams: Streams) -> Result<End, Failure> {
    let Hijacked { reader, writer } = connection;
    // Dropped when this function returns or its task is aborted: the terminal is put back.
    let _raw = if streams.stdin && streams.tty {
        Some(Raw::enter().map_err(|error| {
            Failure::new("cannot make this terminal raw").because(error.to_string())
        })?)
    } else {
        None
    };
    let tty = streams.tty;
    let mut output = tokio::spawn(async move { receive(reader, tty).await });
    let input = send(writer, streams);
    tokio::pin!(input);
    let ended = tokio::select! {
        ended = &mut output => Some(ended),
        detached = &mut input => {
            if detached {
                output.abort();
                return Ok(End::Detached);
            }
            None
        }
    };
    let ended = match ended {
        Some(ended) => ended,
        None => output.await,
    };
    match ended {
        Ok(Ok(())) => Ok(End::Closed),
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(Failure::new("the output's reader ended early")),
    }
}

/// Copies what the container says.
async fn receive(
    mut reader: ReadHalf<impl AsyncReadExt + Unpin>,
    tty: bool,
) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    let mut demux = Demux::default();
    loop {
        let count = reader.read(&mut buffer).await.map_err(Error::Stream)?;
        if count == 0 {
            return Ok(());
        }
        let chunk = &buffer[..count];
        // Writing may block on a slow reader; the input's task must go on meanwhile.
        tokio::task::block_in_place(|| {
            if tty {
                output::out(chunk);
                return Ok(());
            }
            demux
                .feed(chunk, |source, piece| match source {
                    Source::Stdout => output::out(piece),
                    Source::Stderr | Source::System => output::err(piece),
                })
                .map_err(|error| Failure::new(error.to_string()))
        })?;
    }
}

/// Copies standard input and closes the container's when it ends. `true` when the person
/// detached.
async fn send(mut writer: WriteHalf<impl AsyncWriteExt + Unpin>, streams: Streams) -> bool {
    if streams.stdin {
        let mut stdin = tokio::io::stdin();
        let mut detacher = streams.tty.then(|| Detacher::new(streams.keys));
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = match stdin.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            let (bytes, detached) = match &mut detacher {
                Some(detacher) => detacher.feed(&buffer[..count]),
                None => (buffer[..count].to_vec(), false),
            };
            // A broken connection is seen, and reported, by the reader too.
            if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                break;
            }
            if detached {
                return true;
            }
        }
    }
    let _ = writer.shutdown().await;
    false
}

/// Writes a multiplexed or raw answer to this process's output until it ends: `logs`.
///
/// # Errors
/// When the connection breaks.
pub(crate) async fn copy_body(
    mut body: hyper::body::Incoming,
    tty: bool,
    mut sink: impl FnMut(Source, &[u8]),
) -> Result<(), Failure> {
    use http_body_util::BodyExt;
    let mut demux = Demux::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Error::Conversation)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if tty {
            sink(Source::Stdout, data);
        } else {
            demux
                .feed(data, &mut sink)
                .map_err(|error| Failure::new(error.to_string()))?;
        }
    }
    let _ = std::io::stdout().flush();
    Ok(())
}
