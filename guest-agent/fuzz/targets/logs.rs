//! A container's log files with anything in them, read back as `docker logs` does: what is damaged is
//! left out, frames are whole, and no more comes than was asked for.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "that is how a finding shows itself"
)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use engine::Machine;
use engine::containers::LogRequest;
use engine::time::Time;
use fuzz::archive::Packing;
use fuzz::host::Host;
use fuzz::seeds;
use libfuzzer_sys::fuzz_target;
use tokio::time::timeout;
use warden::log::local::Record;

const PATIENCE: Duration = Duration::from_secs(10);

/// What stays from one input to the next.
struct Work {
    host: Host,
    /// Two containers, with their logs.
    json: (String, PathBuf),
    local: (String, PathBuf),
}

/// How a log is read.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Wish {
    local: bool,
    tail: Option<u8>,
    since: Option<i32>,
    until: Option<i32>,
    streams: (bool, bool),
    timestamps: bool,
    details: bool,
    raw: bool,
    /// Where the files are cut from each other.
    cuts: (u16, u16),
    compressed: bool,
}

thread_local! {
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

fuzz_target!(init: begin(), |bytes: &[u8]| {
    let head = bytes.len().min(HEAD);
    let (head, content) = bytes.split_at(head);
    let Ok(wish) = Wish::arbitrary(&mut Unstructured::new(head)) else {
        return;
    };
    WORK.with_borrow(|work| {
        if let Some(work) = work {
            work.run(wish, content);
        }
    });
});

/// Bytes that say how it is read.
const HEAD: usize = 24;

fn begin() {
    seeds::write(examples());
    let host = Host::start(Machine::Native);
    let image = host.load(&[("a".into(), Vec::new())]);
    let make = |driver: &str| {
        let body =
            format!(r#"{{"Image":"{image}","HostConfig":{{"LogConfig":{{"Type":"{driver}"}}}}}}"#);
        let said = host.ask(
            "POST",
            "/containers/create",
            "application/json",
            body.as_bytes(),
        );
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let id = said["Id"].as_str().unwrap().to_owned();
        let directory = PathBuf::from("/slipway/root/containers").join(&id);
        let file = match driver {
            "local" => "container.log".to_owned(),
            _ => format!("{id}-json.log"),
        };
        (id, directory.join(file))
    };
    let (json, local) = (make("json-file"), make("local"));
    WORK.set(Some(Work { host, json, local }));
}

impl Work {
    fn run(&self, wish: Wish, content: &[u8]) {
        let (id, path) = if wish.local { &self.local } else { &self.json };
        let cut = |at: u16, bytes: &[u8]| usize::from(at).min(bytes.len());
        let (newest, older) = content.split_at(cut(wish.cuts.0, content));
        let (middle, oldest) = older.split_at(cut(wish.cuts.1, older));
        let named = |ending: &str| PathBuf::from(format!("{}{ending}", path.display()));
        std::fs::write(path, newest).unwrap();
        std::fs::write(named(".1"), middle).unwrap();
        let packing = if wish.compressed {
            Packing::Gzip(true)
        } else {
            Packing::Plain
        };
        std::fs::write(named(".2.gz"), packing.pack(oldest)).unwrap();
        let request = LogRequest {
            follow: false,
            stdout: wish.streams.0,
            stderr: wish.streams.1,
            since: wish.since.map(|since| Time::from_unix(since.into(), 0)),
            until: wish.until.map(|until| Time::from_unix(until.into(), 0)),
            timestamps: wish.timestamps,
            tail: wish.tail.map(usize::from),
            details: wish.details,
            raw: wish.raw,
        };
        let read = async {
            let Ok(mut log) = self.host.engine.container_logs(id, request).await else {
                return Vec::new();
            };
            let mut all = Vec::new();
            while let Some(chunk) = log.chunks.recv().await {
                all.extend_from_slice(&chunk);
            }
            all
        };
        let read = self
            .host
            .runtime
            .block_on(async { timeout(PATIENCE, read).await });
        let read = read.unwrap_or_else(|_| panic!("a log has no end"));
        if !wish.raw {
            let frames = frames(&read);
            if let Some(tail) = wish.tail {
                assert!(frames <= usize::from(tail), "more than was asked for");
            }
        }
    }
}

/// How many frames there are; all are whole and of a stream.
fn frames(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some((head, rest)) = bytes.split_first_chunk::<8>() {
        let [1 | 2, 0, 0, 0, length @ ..] = head else {
            panic!("no frame begins so: {head:?}");
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        bytes = rest
            .get(length..)
            .unwrap_or_else(|| panic!("a frame is cut off"));
        count += 1;
    }
    assert!(bytes.is_empty(), "half a head");
    count
}

fn examples() -> Vec<Vec<u8>> {
    let mut json = Vec::new();
    let mut local = Vec::new();
    for (at, line) in [
        "plain",
        "with \\u003cescapes\\u003e\\n",
        "\\ud83d\\ude00",
        "\\ufffd",
    ]
    .into_iter()
    .enumerate()
    {
        let stream = if at % 2 == 0 { "stdout" } else { "stderr" };
        json.extend(
            format!("{{\"log\":\"{line}\\n\",\"stream\":\"{stream}\",\"time\":\"2024-01-01T00:00:0{at}.5Z\"}}\n")
                .into_bytes(),
        );
        json.extend(
            format!("{{\"log\":\"{line}\",\"stream\":\"{stream}\",\"attrs\":{{\"a\":\"b\"}},\"time\":\"2024-01-01T00:00:00+02:00\"}}\n")
                .into_bytes(),
        );
        let record = Record {
            stderr: at % 2 == 0,
            partial: at == 2,
            time: 1_700_000_000_000_000_000,
            line: line.as_bytes(),
        };
        record.encode(&mut local);
    }
    let mut seeds = Vec::new();
    for head in [[0; HEAD], [1; HEAD], [3; HEAD], [0xff; HEAD]] {
        for driver in [0, 1] {
            for content in [&json, &local] {
                let mut head = head;
                head[0] = driver;
                seeds.push([&head[..], content].concat());
            }
        }
    }
    seeds
}
