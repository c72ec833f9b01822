//! A request by hand, for what no client would send.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::Host;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Host {
    /// Sends a request whose body claims to have `length` bytes and then ends.
    pub(crate) fn send_cut(&self, method: &str, path: &str, body: &[u8], length: usize) -> Answer {
        self.send_with(method, path, "X-Nothing: 1", body, length)
    }

    /// Sends a request with one more header.
    pub(crate) fn send_with(
        &self,
        method: &str,
        path: &str,
        header: &str,
        body: &[u8],
        length: usize,
    ) -> Answer {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        let limit = Some(Duration::from_secs(60));
        stream.set_read_timeout(limit).unwrap();
        stream.set_write_timeout(limit).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\nContent-Length: {length}\r\n\r\n",
        )
        .unwrap();
        // The engine may have answered before everything was sent.
        let _ = stream.write_all(body);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        Answer {
            status: head
                .split_whitespace()
                .nth(1)
                .and_then(|word| word.parse().ok())
                .unwrap_or(0),
            head: head.to_owned(),
            body: body.trim_end().to_owned(),
        }
    }

    /// Sends a request.
    pub(crate) fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send_cut(method, path, body, body.len())
    }
}
