//! Bodies of answers: whole, or written while they are made.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Any body.
pub(super) type Body = BoxBody<Bytes, Infallible>;

/// A body that is known.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

/// Writes a body.
pub(super) struct Writer {
    sender: mpsc::Sender<Bytes>,
}

impl Writer {
    /// Hands bytes over; `false` when the client is gone.
    pub(super) async fn write(&self, bytes: impl Into<Bytes>) -> bool {
        self.sender.send(bytes.into()).await.is_ok()
    }

    /// Waits until the client is gone.
    pub(super) async fn gone(&self) {
        self.sender.closed().await;
    }
}

/// A body made by a task, which ends when the client is gone.
pub(super) fn written<F>(write: impl FnOnce(Writer) -> F) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, mut receiver) = mpsc::channel::<Bytes>(8);
    let gone = CancellationToken::new();
    let writing = write(Writer { sender });
    tokio::spawn(gone.clone().run_until_cancelled_owned(writing));
    let guard = gone.drop_guard();
    let frames = futures::stream::poll_fn(move |cx| {
        let _held = &guard;
        receiver
            .poll_recv(cx)
            .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    });
    BodyExt::boxed(StreamBody::new(frames))
}
