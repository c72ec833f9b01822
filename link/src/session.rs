//! One session: a task that drives the multiplexer, and the handles to open and accept streams.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio_util::compat::TokioAsyncReadCompatExt;
use yamux::{Config, Connection, Mode};

use crate::signals::{self, Signal};
use crate::stream::{ACCEPTED, Flag, Stream};
use crate::tail::Tail;
use crate::{Error, Service, greeting};

/// Streams that one end may have open at a time; more wait. The multiplexer ends the session when
/// its own limit is passed, so that is more than twice as high.
const MAX_OPENED: usize = 16_000;
const MAX_STREAMS: usize = 40_000;

/// Longest payload of a frame: a stream's turn on the wire.
const FRAME: usize = 64 * 1024;

/// What is read at a time to find heads of frames; less than the body of a long frame, which
/// spares that a copy.
const HEADS: usize = 8 * 1024;

/// How long a new stream may take to say what it is for.
const FIRST_LINE: Duration = Duration::from_secs(10);

/// Longest first line.
const FIRST_LINE_LENGTH: usize = 32;

/// How the host finds out that the guest is gone while the byte stream stays.
#[derive(Debug, Clone, Copy)]
pub struct KeepAlive {
    /// Time between two pings.
    pub every: Duration,
    /// Silence after which the session is over.
    pub patience: Duration,
}

impl Default for KeepAlive {
    /// Patient: an emulated machine on a busy host can be silent for long.
    fn default() -> Self {
        Self {
            every: Duration::from_secs(10),
            patience: Duration::from_secs(60),
        }
    }
}

/// What the tasks and streams of a session share.
#[derive(Debug)]
pub(crate) struct Shared {
    ended: Arc<AtomicBool>,
    end: Notify,
    reason: Mutex<Option<&'static str>>,
    flags: Mutex<Flags>,
    signals: mpsc::UnboundedSender<Signal>,
}

/// The live streams, and those abandoned before their first frame came.
#[derive(Debug, Default)]
struct Flags {
    live: HashMap<u32, Arc<Flag>>,
    early: HashSet<u32>,
    /// Highest number of a stream of the other end so far.
    highest: u32,
}

impl Shared {
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Ends the session.
    pub(crate) fn end(&self, why: &'static str) {
        lock(&self.reason).get_or_insert(why);
        self.ended.store(true, Ordering::Release);
        for flag in lock(&self.flags).live.values() {
            flag.session_ended();
        }
        self.end.notify_waiters();
        // For a driver that is not waiting at this moment.
        self.end.notify_one();
    }

    pub(crate) fn why_reset(&self) -> &'static str {
        if self.has_ended() {
            lock(&self.reason).unwrap_or("the link ended")
        } else {
            "the other end reset the stream"
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // Without a receiver the session is over and nobody needs the signal.
        let _ = self.signals.send(signal);
    }

    fn remember(&self, id: u32, inbound: bool) -> Arc<Flag> {
        let flag = Arc::new(Flag::default());
        let mut flags = lock(&self.flags);
        flags.live.insert(id, flag.clone());
        if inbound {
            flags.highest = flags.highest.max(id);
            if flags.early.remove(&id) {
                flag.abandon();
            }
        }
        flag
    }

    pub(crate) fn forget(&self, id: u32) {
        lock(&self.flags).live.remove(&id);
    }

    /// The other end no longer reads this stream.
    pub(crate) fn abandon(&self, id: u32) {
        let mut flags = lock(&self.flags);
        if let Some(flag) = flags.live.get(&id) {
            flag.abandon();
        } else if id > flags.highest && flags.early.len() < MAX_STREAMS {
            flags.early.insert(id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens streams. The session lives until it is broken, closed, or all openers and the
/// [`Incoming`] are dropped.
#[derive(Debug, Clone)]
pub struct Opener {
    requests: mpsc::Sender<oneshot::Sender<yamux::Stream>>,
    permits: Arc<Semaphore>,
    shared: Arc<Shared>,
}

impl Opener {
    /// Opens a stream. Does not wait for the other end: if that refuses, the first read fails.
    ///
    /// # Errors
    /// [`Error::Closed`] when the session is over.
    pub async fn open(&self, service: Service) -> Result<Stream, Error> {
        self.open_named(service.name()).await
    }

    async fn open_named(&self, name: &str) -> Result<Stream, Error> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let permit = self
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Error::Closed)?;
        let (reply, stream) = oneshot::channel();
        self.requests.send(reply).await.map_err(|_| Error::Closed)?;
        let stream = stream.await.map_err(|_| Error::Closed)?;
        let flag = self.shared.remember(stream.id().val(), false);
        let mut stream = Stream::new(stream, self.shared.clone(), flag, Some(permit));
        let line = format!("{name}\n");
        stream
            .write_all(line.as_bytes())
            .await
            .map_err(|_| Error::Closed)?;
        stream.flush().await.map_err(|_| Error::Closed)?;
        Ok(stream)
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.has_ended() || self.requests.is_closed()
    }

    /// Waits until the session is over.
    pub async fn closed(&self) {
        self.requests.closed().await;
    }

    /// Ends the session. Streams still open are reset.
    pub fn close(&self) {
        self.shared.end("this end closed the link");
    }
}

/// The streams that the other end opens.
#[derive(Debug)]
pub struct Incoming {
    streams: mpsc::UnboundedReceiver<(Service, Stream)>,
}

impl Incoming {
    /// The next stream; `None` when the session is over.
    pub async fn accept(&mut self) -> Option<(Service, Stream)> {
        self.streams.recv().await
    }
}

/// Begins a session as the host. Repeats its call until a guest answers: set a deadline around
/// it. Must run within a tokio runtime.
///
/// # Errors
/// When the byte stream ends or breaks before the session begins.
pub async fn host<T>(io: T) -> Result<(Opener, Incoming), Error>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    host_with(io, KeepAlive::default()).await
}

/// [`host`] on a byte stream that never had a session, such as the port of a machine that just
/// started.
///
/// # Errors
/// As for [`host`].
pub async fn host_on_new<T>(io: T) -> Result<(Opener, Incoming), Error>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    begin_host(io, KeepAlive::default(), true).await
}

/// [`host`] with its own idea of patience.
///
/// # Errors
/// As for [`host`].
pub async fn host_with<T>(io: T, keep_alive: KeepAlive) -> Result<(Opener, Incoming), Error>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    begin_host(io, keep_alive, false).await
}

async fn begin_host<T>(
    mut io: T,
    keep_alive: KeepAlive,
    new: bool,
) -> Result<(Opener, Incoming), Error>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let head = greeting::call(&mut io, new).await?;
    let (opener, incoming, signals) = begin(io, head, Mode::Client, None);
    let stream = opener.open_named(signals::NAME).await?;
    tokio::spawn(signals::run(
        stream,
        opener.shared.clone(),
        signals,
        Some(keep_alive),
    ));
    Ok((opener, incoming))
}

/// Begins a session as the guest: waits for a host's call.
///
/// # Errors
/// [`Error::Ended`] when the byte stream ends before that; others when it breaks.
pub async fn guest<T>(mut io: T) -> Result<(Opener, Incoming), Error>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let head = greeting::answer(&mut io).await?;
    let (signalling, signals) = oneshot::channel();
    let (opener, incoming, outgoing) = begin(io, head, Mode::Server, Some(signalling));
    let shared = opener.shared.clone();
    tokio::spawn(async move {
        if let Ok(stream) = signals.await {
            signals::run(stream, shared, outgoing, None).await;
        }
    });
    Ok((opener, incoming))
}

fn begin<T>(
    io: T,
    head: Vec<u8>,
    mode: Mode,
    signalling: Option<oneshot::Sender<Stream>>,
) -> (Opener, Incoming, mpsc::UnboundedReceiver<Signal>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let ended = Arc::new(AtomicBool::new(false));
    let (signals, outgoing) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        ended: ended.clone(),
        end: Notify::new(),
        reason: Mutex::default(),
        flags: Mutex::default(),
        signals,
    });
    let mut config = Config::default();
    config
        .set_max_connection_receive_window(None)
        .set_max_num_streams(MAX_STREAMS)
        .set_split_send_size(FRAME);
    // The multiplexer writes a frame's head and body one by one; together they cost one trip
    // through the port. It reads a head by way of a buffer and a body without one.
    let io = BufStream::with_capacity(HEADS, 2 * FRAME, Tail::new(head, io, ended));
    let connection = Connection::new(io.compat(), config, mode);
    let (requests, receiver) = mpsc::channel(16);
    let (accepted, streams) = mpsc::unbounded_channel();
    let acceptor = Acceptor {
        accepted,
        signalling: Arc::new(Mutex::new(signalling)),
    };
    tokio::spawn(drive(connection, receiver, acceptor, shared.clone()));
    let permits = Arc::new(Semaphore::new(MAX_OPENED));
    (
        Opener {
            requests,
            permits,
            shared,
        },
        Incoming { streams },
        outgoing,
    )
}

/// The session's one task. Ends when the session does; then the byte stream is closed.
async fn drive<T>(
    mut connection: Connection<T>,
    mut requests: mpsc::Receiver<oneshot::Sender<yamux::Stream>>,
    acceptor: Acceptor,
    shared: Arc<Shared>,
) where
    T: futures::AsyncRead + futures::AsyncWrite + Unpin,
{
    let mut waiting: Option<oneshot::Sender<yamux::Stream>> = None;
    let mut openers = true;
    let work = std::future::poll_fn(|cx| {
        loop {
            if openers && waiting.is_none() {
                match requests.poll_recv(cx) {
                    Poll::Ready(Some(reply)) => waiting = Some(reply),
                    Poll::Ready(None) => openers = false,
                    Poll::Pending => {}
                }
            }
            if !openers && acceptor.accepted.is_closed() {
                return Poll::Ready("nobody uses the link any more");
            }
            if waiting.is_some() {
                match connection.poll_new_outbound(cx) {
                    Poll::Ready(Ok(stream)) => {
                        if let Some(reply) = waiting.take() {
                            // Whoever asked may have given up; the stream is dropped then.
                            let _ = reply.send(stream);
                        }
                        continue;
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready("the link broke"),
                    Poll::Pending => {}
                }
            }
            match connection.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(stream))) => acceptor.accept(stream, &shared),
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "the link's session broke");
                    return Poll::Ready("the link broke");
                }
                Poll::Ready(None) => return Poll::Ready("the other end closed the link"),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    let why = tokio::select! {
        why = work => why,
        () = shared.end.notified() => "this end closed the link",
    };
    shared.end(why);
    let goodbye = std::future::poll_fn(|cx| connection.poll_close(cx));
    // A courtesy; a dead peer's port may never take it.
    let _ = tokio::time::timeout(Duration::from_millis(200), goodbye).await;
}

/// Takes the other end's streams to where they belong.
struct Acceptor {
    accepted: mpsc::UnboundedSender<(Service, Stream)>,
    signalling: Arc<Mutex<Option<oneshot::Sender<Stream>>>>,
}

impl Acceptor {
    /// Reads the first line in a task of its own: the driver never waits for a stream.
    fn accept(&self, stream: yamux::Stream, shared: &Arc<Shared>) {
        let flag = shared.remember(stream.id().val(), true);
        let mut stream = Stream::new(stream, shared.clone(), flag, None);
        let accepted = self.accepted.clone();
        let signalling = self.signalling.clone();
        tokio::spawn(async move {
            let reading = tokio::time::timeout(FIRST_LINE, first_line(&mut stream));
            let Ok(Some(name)) = reading.await else {
                return;
            };
            let service = Service::parse(&name);
            if service.is_none() && name != signals::NAME.as_bytes() {
                tracing::warn!(name = %name.escape_ascii(), "a stream for an unknown service");
                return;
            }
            // The first frame back also lifts the multiplexer's limit on unanswered streams.
            if stream.write_all(&[ACCEPTED]).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            match service {
                Some(service) => drop(accepted.send((service, stream))),
                None => {
                    if let Some(signalling) = lock(&signalling).take() {
                        let _ = signalling.send(stream);
                    }
                }
            }
        });
    }
}

async fn first_line(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    while line.len() <= FIRST_LINE_LENGTH {
        // The bytes are in memory already: no need for a buffer that might read too far.
        match stream.read_u8().await.ok()? {
            b'\n' => return Some(line),
            byte => line.push(byte),
        }
    }
    None
}
