//! Both ends of the handshake on a live byte stream.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::Error;
use crate::handshake::{Kind, Message, Nonce, Scanner, VERSION};

/// First and longest wait between two calls. A call is lost only when the guest read it as part
/// of an old session.
const CALL_EVERY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// After this many unheard calls the host sends [`PADDING`], once: a guest that is in the middle
/// of reading a long frame of an old session swallows calls until the frame is full.
const PAD_AFTER: u32 = 4;

/// Longer than the longest frame, and never the start of a valid one.
static PADDING: [u8; 80 * 1024] = [0xff; 80 * 1024];

/// How long the guest may take from its echo to `Ready`. When its program ended in between, the
/// next one waits for a new call.
const READY: Duration = Duration::from_secs(5);

/// Speaks the host's side; returns the session's first bytes, read too early. Goes on until a
/// guest answers: callers set the deadline. On a port that is `new` no guest can be in an old session.
pub(crate) async fn call<T>(io: &mut T, new: bool) -> Result<Vec<u8>, Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(io);
    loop {
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce).map_err(|_| Error::Random)?;
        let mut heard = {
            let listening = listen(&mut reader, nonce);
            // A call may wait for room in the port until the guest opens it: listen meanwhile.
            let calling = repeat(&mut writer, nonce, new);
            tokio::select! {
                heard = listening => heard?,
                broken = calling => return Err(Error::Handshake(broken)),
            }
        };
        // The last call may be on its way in part; the guest skips the rest of it.
        let starting = async {
            let start = Message::new(Kind::Start, nonce).encode();
            writer.write_all(&start).await.map_err(Error::Handshake)?;
            writer.flush().await.map_err(Error::Handshake)?;
            expect(&mut reader, &mut heard, Kind::Ready, nonce).await
        };
        if let Ok(started) = tokio::time::timeout(READY, starting).await {
            started?;
            return Ok(heard.into_rest());
        }
    }
}

/// Calls until it is dropped or the byte stream breaks.
async fn repeat<W: AsyncWrite + Unpin>(writer: &mut W, nonce: Nonce, new: bool) -> io::Error {
    let mut wait = CALL_EVERY.0;
    let mut calls = 0;
    let call = Message::new(Kind::Call, nonce).encode();
    loop {
        let bytes: &[u8] = if calls == PAD_AFTER && !new {
            &PADDING
        } else {
            &call
        };
        let sent = async {
            writer.write_all(bytes).await?;
            writer.flush().await
        };
        if let Err(error) = sent.await {
            return error;
        }
        calls += 1;
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(CALL_EVERY.1);
    }
}

/// Waits for the guest's echo.
async fn listen<R: AsyncRead + Unpin>(reader: &mut R, nonce: Nonce) -> Result<Scanner, Error> {
    let mut scanner = Scanner::default();
    expect(reader, &mut scanner, Kind::Echo, nonce).await?;
    Ok(scanner)
}

/// Skips everything up to the message wanted.
async fn expect<R: AsyncRead + Unpin>(
    reader: &mut R,
    scanner: &mut Scanner,
    kind: Kind,
    nonce: Nonce,
) -> Result<(), Error> {
    loop {
        let message = receive(reader, scanner).await?;
        if message.nonce == nonce && message.kind == kind {
            return check(message);
        }
    }
}

/// Tells a host on a port that outlives programs that this guest is a new one: a host that is still
/// in a session with an earlier guest ends it now instead of waiting for its pings to stay
/// unanswered. A host that is calling skips it. Only for a port whose host is connected: QEMU
/// stalls a port that is written to while nobody is.
pub async fn hail<T: AsyncWrite + Unpin>(io: &mut T) {
    let telling = async {
        io.write_all(&PADDING).await?;
        io.flush().await
    };
    // Who does not hear it finds out by its pings.
    let _ = tokio::time::timeout(Duration::from_secs(1), telling).await;
}

/// Speaks the guest's side; returns the session's first bytes, read too early.
pub(crate) async fn answer<T>(io: &mut T) -> Result<Vec<u8>, Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut scanner = Scanner::default();
    let mut called = None;
    loop {
        let message = receive(io, &mut scanner).await?;
        let reply = match message.kind {
            Kind::Call => {
                called = Some(message.nonce);
                Kind::Echo
            }
            Kind::Start if called == Some(message.nonce) => Kind::Ready,
            _ => continue,
        };
        // An echo tells our version even to a host that we cannot serve.
        let reply = Message::new(reply, message.nonce);
        io.write_all(&reply.encode())
            .await
            .map_err(Error::Handshake)?;
        io.flush().await.map_err(Error::Handshake)?;
        check(message)?;
        if reply.kind == Kind::Ready {
            return Ok(scanner.into_rest());
        }
    }
}

async fn receive<R: AsyncRead + Unpin>(
    reader: &mut R,
    scanner: &mut Scanner,
) -> Result<Message, Error> {
    let mut chunk = [0; 4096];
    loop {
        if let Some(message) = scanner.next() {
            return Ok(message);
        }
        match reader.read(&mut chunk).await {
            Ok(0) => return Err(Error::Ended),
            Ok(count) => scanner.feed(&chunk[..count]),
            Err(error) => return Err(Error::Handshake(error)),
        }
    }
}

fn check(message: Message) -> Result<(), Error> {
    if message.version == VERSION {
        Ok(())
    } else {
        Err(Error::Version {
            theirs: message.version,
            ours: VERSION,
        })
    }
}
