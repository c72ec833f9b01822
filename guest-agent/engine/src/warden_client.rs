//! The engine's end of the socket to the warden. Calls are written where they are made, as far as the
//! socket takes them; a task reads replies and events and wakes whoever waits for them.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot};
use warden::protocol::{Call, Event, Failure, FailureReason, Message, Outcome, Request, Target};
use warden::wire::{Decoder, Encoder, Progress};

use crate::Error;

/// Sends calls to the warden.
#[derive(Debug)]
pub(crate) struct WardenClient {
    link: Arc<Link>,
    next_seq: AtomicU64,
}

#[derive(Debug)]
struct Link {
    socket: UnixStream,
    outgoing: Mutex<Encoder>,
    /// The socket did not take everything.
    left_over: Notify,
    pending: Mutex<HashMap<u64, oneshot::Sender<Outcome>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WardenClient {
    /// Takes the socket over. Events arrive on the receiver, which closes when the warden is gone.
    pub(crate) fn connect(
        socket: OwnedFd,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Event>), Error> {
        let failed = |e: io::Error| Error::System(format!("connecting to the warden: {e}"));
        let socket = std::os::unix::net::UnixStream::from(socket);
        socket.set_nonblocking(true).map_err(failed)?;
        let link = Arc::new(Link {
            socket: UnixStream::from_std(socket).map_err(failed)?,
            outgoing: Mutex::default(),
            left_over: Notify::new(),
            pending: Mutex::default(),
        });
        let (events, event_receiver) = mpsc::unbounded_channel();
        let reading = Arc::clone(&link);
        tokio::spawn(async move { reading.read_all(&events).await });
        let writing = Arc::clone(&link);
        tokio::spawn(async move { writing.write_left_over().await });
        Ok((
            Self {
                link,
                next_seq: AtomicU64::new(1),
            },
            event_receiver,
        ))
    }

    /// Makes a call and waits for its outcome.
    pub(crate) async fn call(&self, call: Call, fds: Vec<OwnedFd>) -> Result<Outcome, Failure> {
        let failed = |message: String| Failure {
            reason: FailureReason::System,
            message,
        };
        let seq = self.next_seq.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.link.pending).insert(seq, sender);
        if let Err(error) = self.link.send(&Request { seq, call }, fds) {
            lock(&self.link.pending).remove(&seq);
            return Err(failed(error.to_string()));
        }
        let gone = |_| failed("the warden does not answer: restart the machine".into());
        match receiver.await.map_err(gone)? {
            Outcome::Failed(failure) => Err(failure),
            outcome => Ok(outcome),
        }
    }

    /// Makes a call whose failure changes nothing and is only worth a line in the log.
    pub(crate) async fn tell(&self, what: &'static str, call: Call) {
        if let Err(error) = self.call(call, Vec::new()).await {
            tracing::warn!(%error, what, "the warden refused");
        }
    }

    /// Tells the warden that an exit is recorded.
    pub(crate) async fn forget(&self, target: Target) {
        self.tell("forget", Call::Forget { target }).await;
    }
}

impl Link {
    fn send(&self, request: &Request, fds: Vec<OwnedFd>) -> Result<(), warden::wire::Error> {
        let mut outgoing = lock(&self.outgoing);
        outgoing.push(request, fds)?;
        outgoing.flush(self.socket.as_fd())?;
        if !outgoing.is_empty() {
            self.left_over.notify_one();
        }
        Ok(())
    }

    async fn write_left_over(&self) {
        loop {
            self.left_over.notified().await;
            while !lock(&self.outgoing).is_empty() {
                let write = || {
                    let mut outgoing = lock(&self.outgoing);
                    let flushed = outgoing.flush(self.socket.as_fd());
                    flushed.map_err(io::Error::other)?;
                    match outgoing.is_empty() {
                        true => Ok(()),
                        false => Err(ErrorKind::WouldBlock.into()),
                    }
                };
                let ready = self.socket.writable().await;
                match ready.and_then(|()| self.socket.try_io(Interest::WRITABLE, write)) {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => {
                        // The reader meets the same and says it.
                        return;
                    }
                    _ => {}
                }
            }
        }
    }

    async fn read_all(&self, events: &mpsc::UnboundedSender<Event>) {
        let mut decoder = Decoder::default();
        let error = loop {
            let mut read = || match decoder.read(self.socket.as_fd()) {
                Ok(Progress::Blocked) => Err(ErrorKind::WouldBlock.into()),
                other => other.map_err(io::Error::other),
            };
            let ready = self.socket.readable().await;
            let body = match ready.and_then(|()| self.socket.try_io(Interest::READABLE, &mut read))
            {
                Ok(Progress::Message(body, _)) => body,
                Ok(_) => break "it was closed".to_owned(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => break error.to_string(),
            };
            match serde_json::from_slice(&body) {
                Ok(Message::Reply(reply)) => {
                    if let Some(waiter) = lock(&self.pending).remove(&reply.seq) {
                        // The caller may have given up, which is fine.
                        let _ = waiter.send(reply.outcome);
                    }
                }
                Ok(Message::Event(event)) => {
                    if events.send(event).is_err() {
                        break "nobody takes events".to_owned();
                    }
                }
                Err(error) => break error.to_string(),
            }
        };
        tracing::error!(error, "the socket to the warden cannot be read any more");
        lock(&self.pending).clear();
    }
}
