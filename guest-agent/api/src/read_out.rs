//! What nobody has read of a request's body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

/// How long the rest of a body is read.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request's body whose rest is read when it is dropped: a client that can't send any more (its
/// pipe is broken) never reads the answer that says why. One that sends for ever is left to itself.
pub(crate) struct ReadOut(Option<Incoming>);

impl From<Incoming> for ReadOut {
    fn from(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for ReadOut {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none = || SizeHint::with_exact(0);
        self.0.as_ref().map_or_else(none, Body::size_hint)
    }
}

impl Drop for ReadOut {
    fn drop(&mut self) {
        let rest = self.0.take().filter(|body| !Body::is_end_stream(body));
        let (Some(mut rest), Ok(runtime)) = (rest, Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            let reading = async { while let Some(Ok(_)) = rest.frame().await {} };
            // What comes later finds the connection closed.
            let _ = tokio::time::timeout(PATIENCE, reading).await;
        });
    }
}
