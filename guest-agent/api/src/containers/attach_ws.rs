//! `GET /containers/{name}/attach/ws`: attach for clients that speak WebSocket only. There are no
//! frames in what they get: standard output and error are one.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use bytes::Bytes;
use engine::Engine;
use engine::containers::{AttachRequest, Attachment, DetachScanner, Scanned, WaitCondition};
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::error::{ApiError, Result};
use crate::hijack::Ended;
use crate::query::Query;
use crate::version::ApiVersion;

/// `GET /containers/{name}/attach/ws`.
pub(crate) async fn attach(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    version: ApiVersion,
    query: Query,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result {
    let upgrade = upgrade.map_err(|refused| ApiError::invalid(refused.body_text()))?;
    // Before 1.42 all three were always attached.
    let all = !version.at_least(42);
    let wanted = AttachRequest {
        logs: query.flag("logs"),
        stream: query.flag("stream"),
        stdin: all || query.flag("stdin"),
        stdout: all || query.flag("stdout"),
        stderr: all || query.flag("stderr"),
        detach_keys: query.text("detachKeys").to_owned(),
        raw: true,
    };
    let attachment = engine.attach_container(&name, wanted).await?;
    let exit = engine.wait_container(&name, WaitCondition::NotRunning)?;
    let text = !version.at_least(28);
    Ok(upgrade.on_upgrade(move |socket| async move {
        if pump(socket, attachment, exit.map(drop), text).await == Ended::Detached {
            engine.detached(&name);
        }
    }))
}

/// Moves messages until the process has ended, as everybody can know, or the client is gone.
async fn pump(
    socket: WebSocket,
    attachment: Attachment,
    exit: impl Future<Output = ()>,
    text: bool,
) -> Ended {
    let (sink, stream) = socket.split();
    let mut client = Client { sink, text };
    let mut ended = Ended::Closed;
    if let Some(mut replay) = attachment.replay {
        while let Some(chunk) = replay.chunks.recv().await {
            if !client.send(&chunk).await {
                return ended;
            }
        }
    }
    if let Some(process) = attachment.stream {
        let (reads, writes) = process.into_split();
        tokio::select! {
            biased;
            () = output(reads, &mut client, attachment.tty).then(|()| {
                drop(attachment.listener);
                exit
            }) => {}
            how = input(stream, writes, attachment.scanner) => ended = how,
        }
    }
    // A client that is gone can't be told anything.
    let _ = client.sink.close().await;
    ended
}

/// Where messages go.
struct Client {
    sink: SplitSink<WebSocket, Message>,
    /// Old clients want text.
    text: bool,
}

impl Client {
    /// False when the client is gone.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        let message = if self.text {
            Message::text(String::from_utf8_lossy(bytes).into_owned())
        } else {
            Message::binary(Bytes::copy_from_slice(bytes))
        };
        self.sink.send(message).await.is_ok()
    }
}

/// Sends what the process writes, without the frames in which it comes when there is no terminal.
async fn output(mut process: OwnedReadHalf, client: &mut Client, tty: bool) {
    let mut piece = vec![0; 32 * 1024];
    let mut left = 0;
    loop {
        if !tty && left == 0 {
            let mut header = [0; 8];
            if process.read_exact(&mut header).await.is_err() {
                return;
            }
            let [.., a, b, c, d] = header;
            left = u32::from_be_bytes([a, b, c, d]) as usize;
            continue;
        }
        let most = if tty {
            piece.len()
        } else {
            left.min(piece.len())
        };
        match process.read(&mut piece[..most]).await {
            Ok(count @ 1..) => {
                left = left.saturating_sub(count);
                if !client.send(&piece[..count]).await {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// Hands the client's messages on until it detaches or leaves.
async fn input(
    mut client: SplitStream<WebSocket>,
    mut process: OwnedWriteHalf,
    mut scanner: Option<DetachScanner>,
) -> Ended {
    while let Some(Ok(message)) = client.next().await {
        let bytes = match message {
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) => continue,
            message => message.into_data(),
        };
        let forward = match scanner.as_mut().map(|scanner| scanner.scan(&bytes)) {
            None => bytes.to_vec(),
            Some(Scanned::Forward(bytes)) => bytes,
            Some(Scanned::Detach(bytes)) => {
                // What was typed before the keys still counts; failing that, we leave anyway.
                let _ = process.write_all(&bytes).await;
                return Ended::Detached;
            }
        };
        // A process that reads no more may still write.
        let _ = process.write_all(&forward).await;
    }
    Ended::Closed
}
