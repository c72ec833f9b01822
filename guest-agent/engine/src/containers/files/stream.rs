//! Bytes between the engine's clients and a blocking thread, a few pieces at a time.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::error::Elapsed;

use crate::Error;

/// Pieces on their way out. Each is a quarter of a megabyte.
const OUT: usize = 4;
/// Pieces on their way in, which are as large as they arrive.
const IN: usize = 32;

/// An archive on its way out. It is whole when it ends without an error.
pub type Chunks = mpsc::Receiver<Result<Bytes, Error>>;

/// Where a blocking thread puts an archive.
#[derive(Debug, Clone)]
pub(crate) struct Outlet(mpsc::Sender<Result<Bytes, Error>>);

impl Outlet {
    /// Both ends.
    pub(crate) fn new() -> (Self, Chunks) {
        let (sender, chunks) = mpsc::channel(OUT);
        (Self(sender), chunks)
    }

    /// Sends a piece; false when nobody wants it.
    pub(crate) fn send(&self, piece: Bytes) -> bool {
        self.0.blocking_send(Ok(piece)).is_ok()
    }

    /// Sends a piece; false when nobody wants it, an error when nobody takes it for so long. To be
    /// called on a blocking thread of the runtime.
    pub(crate) fn send_within(&self, piece: Bytes, limit: Duration) -> Result<bool, Elapsed> {
        let sending = tokio::time::timeout(limit, self.0.send(Ok(piece)));
        let sent = tokio::runtime::Handle::current().block_on(sending)?;
        Ok(sent.is_ok())
    }

    /// Ends the archive with the outcome of writing it. Returns whether it is whole.
    pub(crate) fn finish(self, outcome: Result<(), Error>) -> bool {
        match outcome {
            Ok(()) => true,
            Err(error) => {
                // A client that left needs no reason.
                let _ = self.0.blocking_send(Err(error));
                false
            }
        }
    }
}

/// The blocking end of what a client sends.
pub(crate) struct Inlet {
    pieces: mpsc::Receiver<Option<io::Result<Bytes>>>,
    current: Bytes,
    ended: bool,
}

/// The sending end of an [`Inlet`].
pub(crate) struct Feeder(mpsc::Sender<Option<io::Result<Bytes>>>);

/// Both ends.
pub(crate) fn feed() -> (Feeder, Inlet) {
    let (sender, pieces) = mpsc::channel(IN);
    let inlet = Inlet {
        pieces,
        current: Bytes::new(),
        ended: false,
    };
    (Feeder(sender), inlet)
}

impl Feeder {
    /// Passes everything on until the end of `content`, or until the other end has had enough.
    pub(crate) async fn pass(self, content: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin)) {
        loop {
            let piece = tokio::select! {
                piece = content.next() => piece,
                () = self.0.closed() => return,
            };
            let last = !matches!(piece, Some(Ok(_)));
            if self.0.send(piece).await.is_err() || last {
                return;
            }
        }
    }
}

impl Read for Inlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => self.current = piece?,
                Some(None) => self.ended = true,
                // The client left in the middle.
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = self.current.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}
