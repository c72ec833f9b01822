//! A connection that has stopped to be HTTP: bytes both ways, each direction closed on its own.

use http::Response;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{ReadHalf, WriteHalf};

use super::Error;

/// The two directions of a hijacked connection. Shutting the writer down half-closes it.
pub(crate) struct Hijacked {
    /// What the container says.
    pub(crate) reader: ReadHalf<TokioIo<Upgraded>>,
    /// What the container reads.
    pub(crate) writer: WriteHalf<TokioIo<Upgraded>>,
}

/// Takes the connection of an answer with status 101.
pub(super) async fn take(response: Response<Incoming>) -> Result<Hijacked, Error> {
    let upgraded = hyper::upgrade::on(response)
        .await
        .map_err(Error::Conversation)?;
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    Ok(Hijacked { reader, writer })
}
