//! Requests that are nearly right, several on a connection, to an engine with a few containers and
//! volumes: each is answered, and nothing outside is touched.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "that is how a finding shows itself"
)]

#[path = "api/request.rs"]
mod request;
#[path = "api/words.rs"]
mod words;

use std::cell::RefCell;
use std::time::Duration;

use arbitrary::Unstructured;
use engine::Machine;
use engine::containers::ListRequest;
use fuzz::host::Host;
use fuzz::seeds;
use libfuzzer_sys::fuzz_target;

/// Requests that wait for something to happen are left after this.
const PATIENCE: Duration = Duration::from_millis(250);
/// With more containers than this they are all removed.
const CROWD: usize = 12;

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

fuzz_target!(init: begin(), |bytes: &[u8]| {
    let Ok(said) = request::several(&mut Unstructured::new(bytes)) else {
        return;
    };
    HOST.with_borrow(|host| {
        if let Some(host) = host {
            run(host, &said);
        }
    });
});

fn begin() {
    seeds::write(seeds::noise());
    let host = Host::start(Machine::Native);
    let id = host.load(&[
        ("a/b".into(), b"content".to_vec()),
        ("etc/passwd".into(), b"root:x:0:0::/:/a\n".to_vec()),
        ("etc/group".into(), b"root:x:0:\n".to_vec()),
    ]);
    let path = format!("/images/{id}/tag?repo=image&tag=latest");
    let _ = host.ask("POST", &path, "text/plain", b"");
    populate(&host);
    HOST.set(Some(host));
}

fn populate(host: &Host) {
    let body = br#"{"Image":"image","HostConfig":{"Binds":["volume:/a/volume"]}}"#;
    let path = "/containers/create?name=web";
    let _ = host.ask("POST", path, "application/json", body);
}

fn run(host: &Host, said: &[u8]) {
    let answer = host.say(said, PATIENCE);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1."),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    host.place.check();
    let everything = ListRequest {
        all: true,
        ..ListRequest::default()
    };
    let listed = host
        .runtime
        .block_on(host.engine.list_containers(everything));
    let containers = listed.unwrap();
    if containers.len() > CROWD || containers.is_empty() {
        for container in containers {
            let path = format!("/containers/{}?force=1&v=1", container.record.id);
            let remove = format!("DELETE {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let _ = host.say(remove.as_bytes(), PATIENCE);
        }
        let again = "POST /containers/create?name=web HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                     Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"Image\":\"image\"}";
        let _ = host.say(again.as_bytes(), PATIENCE);
    }
}
