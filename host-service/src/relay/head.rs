//! The head of a connection's first request: read whole, understood only as far as its path.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest request line and headers.
const LIMIT: usize = 64 * 1024;

/// How long a client that began a request may take to finish its head. A connection on which
/// nothing was said yet may stay silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was read: the head, and perhaps more.
#[derive(Debug)]
pub(super) struct Head {
    bytes: Vec<u8>,
    path: String,
}

impl Head {
    /// The request's path without its query.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// All that was read.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Why there is no head.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The client went away.
    Gone,
    /// What it sent is no request.
    Bad {
        /// HTTP status line without the version.
        status: &'static str,
        /// What to tell it.
        message: &'static str,
    },
}

/// Reads until the first request's head is whole.
pub(super) async fn read<C: AsyncRead + Unpin>(connection: &mut C) -> Result<Head, Refusal> {
    let mut bytes = Vec::with_capacity(4096);
    if connection
        .read_buf(&mut bytes)
        .await
        .map_err(|_| Refusal::Gone)?
        == 0
    {
        return Err(Refusal::Gone);
    }
    let finish = async {
        let mut searched = 0;
        loop {
            if let Some(path) = parse(&bytes, searched)? {
                return Ok(Head { bytes, path });
            }
            searched = bytes.len().saturating_sub(3);
            if bytes.len() > LIMIT {
                return Err(Refusal::Bad {
                    status: "431 Request Header Fields Too Large",
                    message: "the request's head is longer than 64 KiB",
                });
            }
            if connection
                .read_buf(&mut bytes)
                .await
                .map_err(|_| Refusal::Gone)?
                == 0
            {
                return Err(Refusal::Gone);
            }
        }
    };
    tokio::time::timeout(PATIENCE, finish)
        .await
        .unwrap_or(Err(Refusal::Bad {
            status: "408 Request Timeout",
            message: "the request's head did not arrive in time",
        }))
}

/// The path, once the head is whole. `searched` bytes are known to hold no end.
fn parse(bytes: &[u8], searched: usize) -> Result<Option<String>, Refusal> {
    // HTTP/2 without TLS, which BuildKit's clients speak: the engine knows what to do with it.
    const PRIOR_KNOWLEDGE: &[u8] = b"PRI * HTTP/2.0\r\n";
    if bytes.starts_with(PRIOR_KNOWLEDGE) {
        return Ok(Some("*".to_owned()));
    }
    if let Some(first) = bytes.first()
        && !first.is_ascii_uppercase()
    {
        return Err(Refusal::Bad {
            status: "400 Bad Request",
            message: "this socket speaks HTTP",
        });
    }
    if !bytes[searched..]
        .windows(4)
        .any(|window| window == b"\r\n\r\n")
    {
        return Ok(None);
    }
    let line = bytes
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    let target = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.split(' ').nth(1));
    let Some(target) = target else {
        return Err(Refusal::Bad {
            status: "400 Bad Request",
            message: "the request line is not understood",
        });
    };
    Ok(Some(path_of(target).to_owned()))
}

/// `/a/b?c` and `http://host/a/b?c` have the path `/a/b`.
fn path_of(target: &str) -> &str {
    let target = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    target.split('?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn read_split(text: &str, cut: usize) -> Result<Head, Refusal> {
        let (mut here, mut there) = tokio::io::duplex(4096);
        let (first, second) = text.split_at(cut);
        let writing = async {
            here.write_all(first.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
            here.write_all(second.as_bytes()).await.unwrap();
            here.shutdown().await.unwrap();
        };
        let (_, head) = tokio::join!(writing, read(&mut there));
        head
    }

    #[tokio::test]
    async fn wherever_it_is_cut() {
        let text = "GET /v1.51/info?x=/slipway/ HTTP/1.1\r\nHost: x\r\n\r\n{}";
        for cut in 0..text.len() {
            let head = read_split(text, cut).await.unwrap();
            assert_eq!(head.path(), "/v1.51/info");
            assert!(text.as_bytes().starts_with(&head.into_bytes()));
        }
    }

    #[tokio::test]
    async fn absolute_targets_and_http2() {
        let text = "GET http://docker/slipway/machine HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(
            read_split(text, 5).await.unwrap().path(),
            "/slipway/machine"
        );
        assert_eq!(
            read_split("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 9)
                .await
                .unwrap()
                .path(),
            "*"
        );
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused() {
        let bad = |text: &'static str| async move {
            matches!(read_split(text, 1).await, Err(Refusal::Bad { .. }))
        };
        assert!(bad("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n").await);
        assert!(bad("GET\r\n\r\n").await);
        let (mut here, mut there) = tokio::io::duplex(4096);
        let flood = tokio::spawn(async move {
            let line = "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
            here.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            while here.write_all(line.as_bytes()).await.is_ok() {}
        });
        assert!(matches!(
            read(&mut there).await,
            Err(Refusal::Bad {
                status: "431 Request Header Fields Too Large",
                ..
            })
        ));
        drop(there);
        flood.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_gone() {
        assert!(matches!(read_split("", 0).await, Err(Refusal::Gone)));
        assert!(matches!(
            read_split("GET / HT", 3).await,
            Err(Refusal::Gone)
        ));
    }
}
