//! Networks measured: our engine without a machine against Docker's daemon and against the kernel's
//! own bridge, in turns within one run. `cargo xtask bench network` prepares all of it.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement prints, and one that can't go on ends"
)]

mod names;
mod space;
mod stream;

use std::process::ExitCode;

use serde_json::{Value, json};
use space::Space;
use tests::busybox::{self, Image};
use tests::figure::{Figures, median, time};
use tests::http;
use tests::peers::Peer;

/// Networks made and removed for one figure.
const NETWORKS: usize = 10;
/// Answers that one core is to give in a second.
const ANSWERS: f64 = 20_000.0;

fn main() -> ExitCode {
    let rounds = std::env::var("SLIPWAY_BENCH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let figures = Figures::new("network");
    let ours = Peer::ours().expect("our engine");
    let dockerd = Peer::dockerd();
    if let Err(why) = &dockerd {
        println!("SKIPPED what is measured against Docker's daemon: {why}");
    }
    let image = Image::make().expect("busybox");
    load(&ours, &image);
    if let Ok(dockerd) = &dockerd {
        create_and_remove(&figures, &ours, dockerd, rounds);
    }
    between_containers(&figures, &ours, rounds);
    answers(&figures, &ours, rounds);
    match figures.short() {
        0 => ExitCode::SUCCESS,
        short => {
            println!("{short} figures are short of their line");
            ExitCode::FAILURE
        }
    }
}

fn ask(engine: &Peer, method: &str, path: &str, body: &Value) -> http::Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = http::unix(engine.socket(), method, path, body.as_bytes())
        .unwrap_or_else(|error| panic!("{}: {method} {path}: {error}", engine.name()));
    assert!(answer.status < 400, "{path}: {}", answer.text());
    answer
}

fn load(engine: &Peer, image: &Image) {
    let path = engine.dir().join("image.tar");
    image.write_archive(&path);
    let bytes = std::fs::read(&path).expect("the archive");
    let loaded = http::unix_with(
        engine.socket(),
        "POST",
        "/images/load?quiet=1",
        "application/x-tar",
        &bytes,
    );
    assert_eq!(loaded.expect("loading").status, 200);
}

/// Networks made and removed, one after the other.
fn create_and_remove(figures: &Figures, ours: &Peer, dockerd: &Peer, rounds: usize) {
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (engine, into) in [(ours, &mut our), (dockerd, &mut their)] {
            let took = time(|| {
                for number in 0..NETWORKS {
                    let name = json!({ "Name": format!("n{number}") });
                    ask(engine, "POST", "/networks/create", &name);
                    ask(
                        engine,
                        "DELETE",
                        &format!("/networks/n{number}"),
                        &Value::Null,
                    );
                }
            });
            into.push(took / NETWORKS as f64);
        }
    }
    let line = 1.0 / 3.0;
    figures.report("create-remove", median(our), median(their), "ms", line);
}

/// A container that sleeps on a network; its process and its address.
fn sleeper(engine: &Peer, network: &str) -> (u32, String) {
    let body = json!({
        "Image": busybox::NAME,
        "Cmd": ["sleep", "100000"],
        "HostConfig": { "NetworkMode": network },
    });
    let made = ask(engine, "POST", "/containers/create", &body).json();
    let id = made["Id"].as_str().expect("an id").to_owned();
    ask(
        engine,
        "POST",
        &format!("/containers/{id}/start"),
        &Value::Null,
    );
    let told = ask(
        engine,
        "GET",
        &format!("/containers/{id}/json"),
        &Value::Null,
    )
    .json();
    let pid = told["State"]["Pid"].as_u64().expect("a process");
    let address = &told["NetworkSettings"]["Networks"][network]["IPAddress"];
    (
        u32::try_from(pid).expect("a process"),
        address.as_str().expect("an address").to_owned(),
    )
}

/// A stream from one container to another, against one between two bare namespaces on a bridge.
fn between_containers(figures: &Figures, ours: &Peer, rounds: usize) {
    ask(
        ours,
        "POST",
        "/networks/create",
        &json!({ "Name": "stream" }),
    );
    let (from, _) = sleeper(ours, "stream");
    let (to, address) = sleeper(ours, "stream");
    let (from, to) = (Space::of(from), Space::of(to));
    let bare = space::Bare::make().expect("a bare bridge");
    let (mut our, mut least) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(5) {
        our.push(stream::carry(&from, &to, &address));
        least.push(stream::carry(&bare.from, &bare.to, space::ADDRESS));
    }
    figures.report("between-containers", median(our), median(least), "ms", 1.05);
}

/// How many names a second the engine finds with one core.
fn answers(figures: &Figures, ours: &Peer, rounds: usize) {
    let (inside, _) = sleeper(ours, "stream");
    let inside = Space::of(inside);
    let rates = (0..rounds).map(|_| names::rate(ours, &inside));
    let rate = median(rates.collect());
    // Turned round: a ratio is good when it is small.
    figures.report("answers-per-second", ANSWERS, rate, "", 1.0);
}
