//! slipwayd with an engine at the other end of its link: the relay, the stop, and the machine
//! that outlives slipwayd. The test plays the guest; a sleeping process plays QEMU.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod home;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use client::Client;
use client::wire::{StartRequest, State, StopRequest};
use home::{DEADLINE, SLEEP, Service, eventually, runs, signal};
use link::control::{FromGuest, FromHost, split};
use link::{Incoming, Opener};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// The guest's end: answers `_ping`, echoes anything else, and obeys an order to shut down.
#[derive(Clone, Default)]
struct Guest {
    sessions: Arc<AtomicU32>,
    orders: Arc<Mutex<Vec<FromHost>>>,
    current: Arc<Mutex<Option<Opener>>>,
    deaf: bool,
}

impl Guest {
    /// Listens when the machine has been started.
    async fn appear(&self, service: &Service) {
        let record = service.record();
        eventually("the machine is started", async || record.exists()).await;
        let run = service.home().run_dir();
        let text = std::fs::read_to_string(&record).unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        let pid = u32::try_from(record["pid"].as_u64().unwrap()).unwrap();
        monitor(
            run.join("qmp.sock"),
            record["uuid"].as_str().unwrap().to_owned(),
            pid,
        );
        let listener = UnixListener::bind(run.join("link.sock")).unwrap();
        let guest = self.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                if let Ok((opener, incoming)) = link::guest(socket).await {
                    guest.sessions.fetch_add(1, Ordering::SeqCst);
                    *guest.current.lock().unwrap() = Some(opener);
                    tokio::spawn(guest.clone().serve(incoming, pid));
                }
            }
        });
    }

    async fn serve(self, mut incoming: Incoming, pid: u32) {
        while let Some((service, mut stream)) = incoming.accept().await {
            let guest = self.clone();
            tokio::spawn(async move {
                if service == link::Service::Control {
                    let (mut reader, mut writer) = split(stream);
                    let hello = FromGuest::Hello {
                        version: "1".to_owned(),
                        kernel: "6".to_owned(),
                        warnings: vec!["it is only a test".to_owned()],
                        disk_bytes: None,
                    };
                    writer.send(&hello).await.unwrap();
                    while let Ok(Some(order)) = reader.receive::<FromHost>().await {
                        let shutdown = matches!(order, FromHost::Shutdown { .. });
                        guest.orders.lock().unwrap().push(order);
                        if shutdown && !guest.deaf {
                            signal(pid, Signal::KILL);
                        }
                    }
                    return;
                }
                let mut head = [0; 10];
                stream.read_exact(&mut head).await.unwrap();
                if &head == b"GET /_ping" {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
                    stream.write_all(answer).await.unwrap();
                } else {
                    stream.write_all(&head).await.unwrap();
                    let (mut reader, mut writer) = tokio::io::split(&mut stream);
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                }
                let _ = stream.shutdown().await;
                // What the other end still says is heard to its end.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    }
}

/// A monitor that knows one question and one order.
fn monitor(path: PathBuf, uuid: String, pid: u32) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let uuid = uuid.clone();
            tokio::spawn(async move {
                let (reader, mut writer) = socket.into_split();
                let greeting = r#"{"QMP":{"version":{"qemu":{"micro":0,"minor":1,"major":8},"package":""},"capabilities":[]}}"#;
                writer
                    .write_all(format!("{greeting}\r\n").as_bytes())
                    .await
                    .unwrap();
                let mut lines = BufReader::new(reader).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = if line.contains("query-uuid") {
                        serde_json::json!({"return": {"UUID": uuid}})
                    } else {
                        serde_json::json!({"return": {}})
                    };
                    let _ = writer.write_all(format!("{answer}\r\n").as_bytes()).await;
                    if line.contains("\"quit\"") {
                        signal(pid, Signal::KILL);
                    }
                }
            });
        }
    });
}

async fn start(client: &Client) {
    let updates = client.start(StartRequest::default()).await.unwrap();
    timeout(DEADLINE, updates.finish(|_| ()))
        .await
        .unwrap()
        .unwrap();
}

async fn stop(client: &Client, seconds: u64) {
    let updates = client
        .stop(StopRequest {
            timeout_s: Some(seconds),
        })
        .await
        .unwrap();
    timeout(DEADLINE, updates.finish(|_| ()))
        .await
        .unwrap()
        .unwrap();
}

async fn started(service: &mut Service, guest: &Guest) -> Client {
    let client = service.start().await;
    tokio::join!(start(&client), guest.appear(service));
    client
}

#[tokio::test]
async fn a_start_a_stop_and_what_the_status_says() {
    let mut service = Service::new(SLEEP);
    let guest = Guest::default();
    let client = started(&mut service, &guest).await;
    let machine = client.status().await.unwrap().machine;
    assert_eq!(machine.state, State::Running);
    assert_eq!(machine.accelerator.as_deref(), Some("tcg"));
    assert!(machine.boot_ms.is_some());
    assert!(
        machine.steps.iter().all(|step| step.ms.is_some()),
        "{:?}",
        machine.steps
    );
    eventually("the guest's warnings are told", async || {
        client.status().await.unwrap().machine.warnings == ["it is only a test"]
    })
    .await;
    // Starting what runs is done at once, with another driver it is refused.
    start(&client).await;
    let native = StartRequest {
        driver: Some(client::wire::Driver::Native),
    };
    assert!(
        client
            .start(native)
            .await
            .unwrap()
            .finish(|_| ())
            .await
            .is_err()
    );
    stop(&client, 20).await;
    assert!(!runs(machine.pid.unwrap()));
    assert_eq!(client.status().await.unwrap().machine.state, State::Stopped);
    let orders = guest.orders.lock().unwrap().clone();
    assert!(matches!(orders[0], FromHost::Clock { .. }), "{orders:?}");
    assert!(matches!(orders[1], FromHost::Network { .. }), "{orders:?}");
    assert!(matches!(orders[2], FromHost::Routes { .. }), "{orders:?}");
    assert_eq!(orders[3], FromHost::Shutdown { timeout_s: 13 });
    assert!(!service.record().exists());
}

#[tokio::test]
async fn requests_wait_for_a_start_and_bytes_pass_untouched() {
    let mut service = Service::new(SLEEP);
    let guest = Guest::default();
    let client = service.start().await;
    let socket = service.home().docker_sock();
    let begun = client.start(StartRequest::default()).await.unwrap();
    let asking = async {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        let mut said = b"POST /v1.51/x HTTP/1.1\r\nhOsT: a\r\n\r\n".to_vec();
        said.extend((0..200_000_u32).map(|number| number.to_le_bytes()[0]));
        let (mut reader, mut writer) = stream.split();
        let sent = said.clone();
        let writing = async move {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut heard = Vec::new();
        let (read, ()) = tokio::join!(reader.read_to_end(&mut heard), writing);
        read.unwrap();
        assert!(heard == said);
    };
    let finishing = async { begun.finish(|_| ()).await.unwrap() };
    let all = async { tokio::join!(asking, guest.appear(&service), finishing) };
    timeout(DEADLINE, all).await.unwrap();
}

#[tokio::test]
async fn a_guest_that_does_not_obey_is_ended() {
    let mut service = Service::new(SLEEP);
    let guest = Guest {
        deaf: true,
        ..Guest::default()
    };
    let client = started(&mut service, &guest).await;
    let pid = client.status().await.unwrap().machine.pid.unwrap();
    stop(&client, 1).await;
    assert!(!runs(pid));
}

#[tokio::test]
async fn the_machine_outlives_slipwayd() {
    let mut service = Service::new(SLEEP);
    let guest = Guest::default();
    let client = started(&mut service, &guest).await;
    let before = client.status().await.unwrap().machine;
    for round in 2..5 {
        service.kill();
        assert!(runs(before.pid.unwrap()));
        let client = service.start().await;
        start(&client).await;
        let after = client.status().await.unwrap().machine;
        assert_eq!(after.state, State::Running);
        assert_eq!(after.pid, before.pid);
        assert_eq!(after.boot_ms, before.boot_ms);
        assert_eq!(after.steps, before.steps);
        assert_eq!(guest.sessions.load(Ordering::SeqCst), round);
    }
    // An adopted machine is stopped like any other.
    assert_eq!(service.terminate().await, Some(0));
    assert!(!runs(before.pid.unwrap()));
    assert!(!service.record().exists());
}

#[tokio::test]
async fn a_machine_that_died_with_slipwayd_is_cleaned_up() {
    let mut service = Service::new(SLEEP);
    let guest = Guest::default();
    let client = started(&mut service, &guest).await;
    let pid = client.status().await.unwrap().machine.pid.unwrap();
    service.kill();
    signal(pid, Signal::KILL);
    eventually("it is gone", async || !runs(pid)).await;
    let client = service.start().await;
    eventually("slipwayd has looked", async || {
        client.status().await.unwrap().machine.state == State::Stopped
    })
    .await;
    assert!(!service.record().exists());
    let guest = Guest::default();
    tokio::join!(start(&client), guest.appear(&service));
}

#[tokio::test]
async fn a_machine_that_dies_is_told() {
    let mut service = Service::new(SLEEP);
    let client = started(&mut service, &Guest::default()).await;
    let mut events = client.events().await.unwrap();
    events.next().await.unwrap().unwrap();
    let pid = client.status().await.unwrap().machine.pid.unwrap();
    signal(pid, Signal::KILL);
    eventually("it failed", async || {
        client.status().await.unwrap().machine.state == State::Failed
    })
    .await;
    let error = client.status().await.unwrap().machine.error.unwrap();
    assert_eq!(error.message, "the machine ended by itself");
    assert!(timeout(DEADLINE, events.next()).await.unwrap().is_some());
    // And it can be started again.
    let guest = Guest::default();
    tokio::join!(start(&client), guest.appear(&service));
}

#[tokio::test]
async fn an_engine_that_restarts_gets_a_new_link() {
    let mut service = Service::new(SLEEP);
    let guest = Guest::default();
    let client = started(&mut service, &guest).await;
    guest.current.lock().unwrap().take().unwrap().close();
    eventually("there is a second session", async || {
        guest.sessions.load(Ordering::SeqCst) == 2
    })
    .await;
    let answer = timeout(DEADLINE, client.request(http::Method::GET, "/_ping", None));
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    assert_eq!(client.status().await.unwrap().machine.state, State::Running);
}
