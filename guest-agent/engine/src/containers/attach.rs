//! `docker attach`: one end of a socket pair goes to the warden, the other to the client.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::net::UnixStream;
use warden::protocol::{AttachStreams, Call, Target};

use super::detach::DetachScanner;
use super::logs::{LogChunks, LogRequest};
use super::{Container, State};
use crate::{Engine, Error};

/// What a client wants to attach.
#[derive(Debug, Clone, Default)]
pub struct AttachRequest {
    /// Replay the log first.
    pub logs: bool,
    /// Attach to the live streams.
    pub stream: bool,
    /// Feed standard input.
    pub stdin: bool,
    /// See standard output.
    pub stdout: bool,
    /// See standard error.
    pub stderr: bool,
    /// Keys that detach; empty is the default.
    pub detach_keys: String,
    /// No frames in the replay of the log.
    pub raw: bool,
}

/// An attachment, ready to be pumped. What the process writes arrives in Docker's frames, or raw
/// with a terminal.
#[derive(Debug)]
pub struct Attachment {
    /// Whether there is a terminal.
    pub tty: bool,
    /// The log so far, if it was asked for.
    pub replay: Option<LogChunks>,
    /// The live streams, if they were asked for.
    pub stream: Option<UnixStream>,
    /// To be dropped when the client has had all of the output: nobody hears of the end before.
    pub listener: Option<Listener>,
    /// Watches for the detach keys, with a terminal.
    pub scanner: Option<DetachScanner>,
    /// Whether the attachment ends with the client's input. Where it does not, the container's own
    /// input ends instead, or there is none.
    pub ends_with_input: bool,
}

/// Whether one can attach in this state.
fn standing(state: State, name: &str) -> Result<(), Error> {
    match state {
        State::Paused { .. } => Err(Error::Conflict(format!(
            "container {name} is paused, unpause the container before attach"
        ))),
        State::Restarting => Err(Error::Conflict(format!(
            "container {name} is restarting, wait until the container is running"
        ))),
        _ => Ok(()),
    }
}

/// A client that is attached to a container's output.
#[derive(Debug)]
pub struct Listener(Arc<Container>);

impl Listener {
    fn new(container: &Arc<Container>) -> Self {
        container.lock().listeners += 1;
        Self(Arc::clone(container))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.lock().listeners -= 1;
        self.0.changed();
    }
}

/// A socket pair: one end for the warden, the other for us.
pub(crate) fn socket_pair() -> Result<(OwnedFd, UnixStream), Error> {
    let failed = |e: std::io::Error| Error::System(format!("making a socket pair: {e}"));
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    Ok((theirs.into(), UnixStream::from_std(ours).map_err(failed)?))
}

impl Engine {
    /// Attaches to a container; one that doesn't run is attached when it starts.
    pub async fn attach_container(
        self: &Arc<Self>,
        name: &str,
        request: AttachRequest,
    ) -> Result<Attachment, Error> {
        let scanner = DetachScanner::parse(&request.detach_keys)?;
        let container = self.container(name)?;
        let (tty, open_stdin, once) = {
            let record = &container.lock().record;
            standing(record.state, name)?;
            let config = &record.config;
            (config.tty, config.open_stdin, config.stdin_once)
        };
        let stdin = request.stdin && open_stdin;
        let replay = if request.logs {
            let wanted = LogRequest {
                stdout: request.stdout,
                stderr: request.stderr,
                raw: request.raw,
                ..LogRequest::default()
            };
            Some(self.container_logs(&container.id, wanted).await?)
        } else {
            None
        };
        // Who wants nothing that there is has it all at once.
        let stays = request.stream && (stdin || request.stdout || request.stderr);
        let listener = stays.then(|| Listener::new(&container));
        let stream = if stays {
            let (theirs, ours) = socket_pair()?;
            let streams = AttachStreams {
                stdin,
                stdout: request.stdout,
                stderr: request.stderr,
                raw: tty,
            };
            self.attach_live(&container, name, streams, theirs).await?;
            Some(ours)
        } else {
            None
        };
        self.container_event(&container, "attach", &[]);
        Ok(Attachment {
            tty,
            replay,
            stream,
            listener,
            scanner: tty.then_some(scanner),
            ends_with_input: stdin && (tty || !once),
        })
    }

    async fn attach_live(
        &self,
        container: &Arc<Container>,
        name: &str,
        streams: AttachStreams,
        socket: OwnedFd,
    ) -> Result<(), Error> {
        let mut socket = Some(socket);
        let waiting = container
            .until(|inner| {
                Some(match inner.record.state {
                    // The streams of a start under way are already on their way to the warden.
                    State::Starting { .. } => return None,
                    state @ (State::Paused { .. } | State::Restarting) => {
                        standing(state, name).map(|()| true)
                    }
                    State::Running { .. } => Ok(false),
                    State::Created | State::Exited | State::Dead => {
                        inner
                            .early_clients
                            .extend(socket.take().map(|fd| (streams, fd)));
                        Ok(true)
                    }
                })
            })
            .await?;
        let Some(socket) = socket.filter(|_| !waiting) else {
            return Ok(());
        };
        let target = Target {
            container: container.id.clone(),
            exec: None,
        };
        self.warden
            .call(Call::Attach { target, streams }, vec![socket])
            .await
            .map_err(|failure| Error::Conflict(failure.message))?;
        Ok(())
    }

    /// Notes that a client has typed the detach keys.
    pub fn detached(&self, name: &str) {
        if let Ok(container) = self.container(name) {
            self.container_event(&container, "detach", &[]);
        }
    }

    /// Sets the size of the container's terminal.
    pub async fn resize_container(&self, name: &str, rows: u16, cols: u16) -> Result<(), Error> {
        let container = self.container(name)?;
        if container.lock().record.state.pid().is_none() {
            return Err(Error::not_running(&container.id));
        }
        let target = Target {
            container: container.id.clone(),
            exec: None,
        };
        self.warden
            .call(Call::Resize { target, rows, cols }, Vec::new())
            .await
            .map_err(|failure| Error::System(failure.message))?;
        self.container_event(
            &container,
            "resize",
            &[("height", rows.to_string()), ("width", cols.to_string())],
        );
        Ok(())
    }
}
