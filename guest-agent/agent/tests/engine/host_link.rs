//! The link as slipwayd uses it: API streams, hello, shutdown.

use crate::support::host;
use link::Service;
use link::control::{FromGuest, FromHost, split};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

#[tokio::test]
async fn the_link_carries_the_api_and_the_shutdown() {
    let mut host = host!();
    let mut name = host
        .docker(&["run", "-d", "busybox", "sleep", "1000"])
        .good();
    name.truncate(12);
    let socket = UnixStream::connect(host.path("run/link.sock"))
        .await
        .unwrap();
    let (opener, _incoming) = link::host(socket).await.unwrap();

    let mut stream = opener.open(Service::Api).await.unwrap();
    stream
        .write_all(b"GET /containers/json HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    // Half-close: the answer must come all the same.
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(&name), "{answer}");

    let (mut reader, mut writer) = split(opener.open(Service::Control).await.unwrap());
    let hello: FromGuest = reader.receive().await.unwrap().unwrap();
    let FromGuest::Hello {
        version,
        disk_bytes,
        ..
    } = hello
    else {
        panic!("not a hello: {hello:?}");
    };
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    assert!(disk_bytes.is_some_and(|bytes| bytes > 0));

    // A newer link takes the place of the old one.
    let socket = UnixStream::connect(host.path("run/link.sock"))
        .await
        .unwrap();
    let (newer, _incoming) = link::host(socket).await.unwrap();
    opener.closed().await;
    drop(writer);
    (reader, writer) = split(newer.open(Service::Control).await.unwrap());
    assert!(matches!(
        reader.receive().await.unwrap(),
        Some(FromGuest::Hello { .. })
    ));
    writer
        .send(&FromHost::Shutdown { timeout_s: 1 })
        .await
        .unwrap();
    assert_eq!(reader.receive().await.unwrap(), Some(FromGuest::Stopping));
    host.until_ended();
}
