//! The engine's end of the socket to the warden. A thread writes requests, another reads replies
//! and events; the asynchronous side waits on one-shot channels, so a slow socket never blocks the
//! runtime.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use tokio::sync::{mpsc as async_mpsc, oneshot};
use warden::protocol::{Call, Event, Failure, FailureReason, Message, Outcome, Request, Target};

use crate::Error;

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Outcome>>>>;

/// Sends calls to the warden.
#[derive(Debug)]
pub(crate) struct WardenClient {
    outgoing: mpsc::Sender<(Request, Vec<OwnedFd>)>,
    pending: Pending,
    next_seq: AtomicU64,
}

fn lock(pending: &Pending) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Outcome>>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WardenClient {
    /// Takes the socket over. Events arrive on the receiver, which closes when the warden is gone.
    pub(crate) fn connect(
        socket: OwnedFd,
    ) -> Result<(Self, async_mpsc::UnboundedReceiver<Event>), Error> {
        let failed = |e: std::io::Error| Error::System(format!("connecting to the warden: {e}"));
        let reading = socket.try_clone().map_err(failed)?;
        let pending = Pending::default();
        let (events, event_receiver) = async_mpsc::unbounded_channel();
        let (outgoing, queue) = mpsc::channel::<(Request, Vec<OwnedFd>)>();

        let waiting = Arc::clone(&pending);
        std::thread::Builder::new()
            .name("warden-read".into())
            .spawn(move || read_all(&reading, &waiting, &events))
            .map_err(failed)?;
        let waiting = Arc::clone(&pending);
        std::thread::Builder::new()
            .name("warden-write".into())
            .spawn(move || {
                for (request, fds) in queue {
                    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                    if let Err(error) = warden::wire::send_message(&socket, &request, &borrowed) {
                        tracing::error!(%error, "sending to the warden failed");
                        lock(&waiting).remove(&request.seq);
                    }
                }
            })
            .map_err(failed)?;
        Ok((
            Self {
                outgoing,
                pending,
                next_seq: AtomicU64::new(1),
            },
            event_receiver,
        ))
    }

    /// Makes a call and waits for its outcome.
    pub(crate) async fn call(&self, call: Call, fds: Vec<OwnedFd>) -> Result<Outcome, Failure> {
        let gone = || Failure {
            reason: FailureReason::System,
            message: "the warden does not answer: restart the machine".into(),
        };
        let seq = self.next_seq.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.pending).insert(seq, sender);
        self.outgoing
            .send((Request { seq, call }, fds))
            .map_err(|_| gone())?;
        match receiver.await.map_err(|_| gone())? {
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

fn read_all(socket: &OwnedFd, pending: &Pending, events: &async_mpsc::UnboundedSender<Event>) {
    loop {
        match warden::wire::recv_message::<Message>(socket) {
            Ok(Some((Message::Reply(reply), _))) => {
                if let Some(waiter) = lock(pending).remove(&reply.seq) {
                    // The caller may have given up, which is fine.
                    let _ = waiter.send(reply.outcome);
                }
            }
            Ok(Some((Message::Event(event), _))) => {
                if events.send(event).is_err() {
                    break;
                }
            }
            Ok(None) => {
                tracing::error!("the warden closed its socket");
                break;
            }
            Err(error) => {
                tracing::error!(%error, "reading from the warden failed");
                break;
            }
        }
    }
    lock(pending).clear();
}
