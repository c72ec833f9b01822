//! Terminals and signals of Unix.

use std::io;

use futures::StreamExt;
use futures::stream::SelectAll;
use rustix::termios::{self, OptionalActions, Termios};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The modes of the terminal at standard input.
pub(super) type Modes = Termios;

pub(super) fn enter_raw() -> io::Result<Option<Modes>> {
    let stdin = rustix::stdio::stdin();
    if !termios::isatty(stdin) {
        return Ok(None);
    }
    let before = termios::tcgetattr(stdin)?;
    let mut raw = before.clone();
    raw.make_raw();
    termios::tcsetattr(stdin, OptionalActions::Now, &raw)?;
    Ok(Some(before))
}

pub(super) fn leave_raw(modes: &Modes) {
    // Nothing better can be done when it fails: the terminal has gone.
    let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, modes);
}

/// Rows and columns of the terminal at standard output.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Tells when the terminal has changed its size.
#[derive(Debug)]
pub(crate) struct Resizes(Signal);

impl Resizes {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::window_change())?))
    }

    /// Waits for the next change.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// The signals that are handed to a container. SIGCHLD and SIGPIPE mean something to this process
/// only; a new window size travels by another way; the others can't be caught or stop the job.
const PROXIED: [(&str, SignalKind); 9] = [
    ("HUP", SignalKind::hangup()),
    ("INT", SignalKind::interrupt()),
    ("QUIT", SignalKind::quit()),
    ("TERM", SignalKind::terminate()),
    ("USR1", SignalKind::user_defined1()),
    ("USR2", SignalKind::user_defined2()),
    ("ALRM", SignalKind::alarm()),
    (
        "CONT",
        SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()),
    ),
    (
        "TSTP",
        SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()),
    ),
];

/// Signals that reach this process; from `new` on they no longer end it.
pub(crate) struct Signals(SelectAll<futures::stream::BoxStream<'static, &'static str>>);

impl Signals {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn new() -> io::Result<Self> {
        let mut all = SelectAll::new();
        for (name, kind) in PROXIED {
            let source = signal(kind)?;
            all.push(
                futures::stream::unfold(source, move |mut source| async move {
                    source.recv().await.map(|()| (name, source))
                })
                .boxed(),
            );
        }
        Ok(Self(all))
    }

    /// The next signal's name as the Engine API takes it.
    pub(crate) async fn next(&mut self) -> Option<&'static str> {
        self.0.next().await
    }
}
