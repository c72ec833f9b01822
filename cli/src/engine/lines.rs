//! JSON lines of an answer that may never end: events, pull progress.

use bytes::{Buf, BytesMut};
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::Error;

/// The JSON values of an answer, as they come. Docker separates them by line ends, sometimes by
/// nothing.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    ended: bool,
}

impl Lines {
    /// Reads an answer's body.
    pub(crate) fn new(response: Response<Incoming>) -> Self {
        Self {
            body: response.into_body(),
            buffer: BytesMut::new(),
            ended: false,
        }
    }

    /// The next value; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Result<Value, Error>> {
        loop {
            match self.parse() {
                Ok(Some(value)) => return Some(Ok(value)),
                Ok(None) if self.ended => return None,
                Ok(None) => {}
                Err(error) => return Some(Err(Error::Decode(error))),
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    self.ended = true;
                    self.buffer.clear();
                    return Some(Err(Error::Conversation(error)));
                }
                None => self.ended = true,
            }
        }
    }

    /// Takes one value off the buffer, if a whole one is there.
    fn parse(&mut self) -> Result<Option<Value>, serde_json::Error> {
        let mut values = serde_json::Deserializer::from_slice(&self.buffer).into_iter();
        let parsed = values.next();
        let consumed = values.byte_offset();
        match parsed {
            Some(Ok(value)) => {
                self.buffer.advance(consumed);
                Ok(Some(value))
            }
            // The rest is on its way, unless the answer has ended.
            Some(Err(error)) if error.is_eof() && !self.ended => Ok(None),
            Some(Err(error)) => {
                self.ended = true;
                self.buffer.clear();
                Err(error)
            }
            None => Ok(None),
        }
    }
}
