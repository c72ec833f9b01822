//! Requests whose bodies are bytes, and answers that are read as slowly as a test wants.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::Host;

impl Host {
    /// Sends a request's head and leaves the rest to the test. HTTP/1.0: an answer ends with the
    /// connection.
    pub(crate) fn begin(
        &self,
        method: &str,
        path: &str,
        length: usize,
    ) -> std::io::Result<UnixStream> {
        let mut stream = UnixStream::connect(self.socket())?;
        let limit = Some(Duration::from_secs(60));
        stream.set_read_timeout(limit)?;
        stream.set_write_timeout(limit)?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        )?;
        Ok(stream)
    }

    /// Sends bytes and returns status, head and bytes of the answer; status 0 when an engine that
    /// died gave none.
    pub(crate) fn bytes(&self, method: &str, path: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let Ok(mut stream) = self.begin(method, path, body.len()) else {
            return (0, String::new(), Vec::new());
        };
        // The engine may have answered before everything was sent.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        // An engine that dies resets the connection.
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            return (0, String::new(), answer);
        };
        let body = answer.split_off(end + 4);
        let head = String::from_utf8(answer).unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, head, body)
    }
}
