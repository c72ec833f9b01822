//! Lines of a body, as they come.

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::Error;

/// The lines of an answer that may never end.
#[derive(Debug)]
pub struct TextLines {
    body: Incoming,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    searched: usize,
    ended: bool,
}

impl TextLines {
    pub(crate) fn new(body: Incoming) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
        }
    }

    /// The next line without its end; `None` after the last. Bytes that are not UTF-8 are
    /// replaced.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Option<Result<String, Error>> {
        loop {
            if let Some(at) = self.buffer[self.searched..]
                .iter()
                .position(|&byte| byte == b'\n')
            {
                let line = self.buffer.split_to(self.searched + at);
                self.buffer.advance(1);
                self.searched = 0;
                return Some(Ok(text(&line)));
            }
            self.searched = self.buffer.len();
            if self.ended {
                self.searched = 0;
                return (!self.buffer.is_empty()).then(|| Ok(text(&self.buffer.split())));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Some(Err(Error::Conversation(error)));
                }
                None => self.ended = true,
            }
        }
    }
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}
