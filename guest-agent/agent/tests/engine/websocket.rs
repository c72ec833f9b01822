//! Attaching over WebSocket.

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters as query;
use futures::{SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{Host, host};

async fn connect(host: &Host, path: &str) -> Result<WebSocketStream<UnixStream>, Error> {
    let stream = UnixStream::connect(host.socket()).await.unwrap();
    let uri = format!("ws://docker{path}");
    let (socket, _) = tokio_tungstenite::client_async(uri, stream).await?;
    Ok(socket)
}

async fn create(host: &Host, name: &str, script: &str, tty: bool) -> Docker {
    let docker =
        Docker::connect_with_unix(&host.socket(), 60, bollard::API_DEFAULT_VERSION).unwrap();
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
        open_stdin: Some(true),
        tty: Some(tty),
        ..ContainerCreateBody::default()
    };
    let options = query::CreateContainerOptionsBuilder::default()
        .name(name)
        .build();
    docker.create_container(Some(options), body).await.unwrap();
    docker
}

/// All that comes until the end.
async fn rest(socket: &mut WebSocketStream<UnixStream>) -> (String, bool) {
    let mut text = Vec::new();
    let mut binary = true;
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Close(_) => break,
            Message::Text(_) => binary = false,
            _ => {}
        }
        text.extend(message.into_data());
    }
    (String::from_utf8(text).unwrap(), binary)
}

#[tokio::test]
async fn both_ways_and_to_the_end() {
    let host = host!();
    let script = "read x; echo got $x; echo err >&2";
    let docker = create(&host, "ws", script, false).await;
    let path = "/containers/ws/attach/ws?stream=1&stdin=1&stdout=1&stderr=1";
    let mut socket = connect(&host, path).await.unwrap();
    docker
        .start_container("ws", None::<query::StartContainerOptions>)
        .await
        .unwrap();
    socket.send(Message::binary("word\n")).await.unwrap();
    let (text, binary) = rest(&mut socket).await;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!((lines, binary), (vec!["err", "got word"], true));

    // The log alone, and only what was asked for; old clients get text.
    let path = "/v1.51/containers/ws/attach/ws?logs=1&stdout=1";
    let mut socket = connect(&host, path).await.unwrap();
    assert_eq!(rest(&mut socket).await, ("got word\n".into(), true));
    let path = "/v1.27/containers/ws/attach/ws?logs=1";
    let mut socket = connect(&host, path).await.unwrap();
    let (text, binary) = rest(&mut socket).await;
    assert_eq!((text.len(), binary), ("got word\nerr\n".len(), false));

    match connect(&host, "/containers/nowhere/attach/ws?stream=1").await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 404),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_keys_detach_from_a_terminal() {
    let host = host!();
    let docker = create(&host, "term", "read x; echo got $x; read y", true).await;
    let path = "/containers/term/attach/ws?stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,b";
    let mut socket = connect(&host, path).await.unwrap();
    docker
        .start_container("term", None::<query::StartContainerOptions>)
        .await
        .unwrap();
    socket.send(Message::binary("word\r")).await.unwrap();
    let mut text = String::new();
    while !text.contains("got word") {
        let message = socket.next().await.unwrap().unwrap();
        text += &String::from_utf8_lossy(&message.into_data());
    }
    socket.send(Message::binary("\x01b")).await.unwrap();
    rest(&mut socket).await;
    assert_eq!(host.field("term", ".State.Running"), "true");
    host.until("the event is out", || {
        let filters = [
            "events",
            "--since",
            "1h",
            "--until=-1s",
            "--filter",
            "event=detach",
        ];
        host.docker(&filters).good().contains("container detach")
    });
}
