//! Containers measured: our engine without a machine against the bare system calls, against `runc`
//! and against Docker's daemon, and in a machine against `crun`, in turns within one run. `cargo xtask bench containers` prepares
//! all of it.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement prints, and one that can't go on ends"
)]

mod engine;
mod machine;
mod memory;
mod runc;

use std::path::Path;
use std::process::{Command, ExitCode};

use tests::busybox::Image;
use tests::figure::{Figures, median, time};
use tests::peers::Peer;

/// How many lines `logs` returns.
const LINES: u32 = 500_000;
/// How many containers a list has.
const LISTED: usize = 1_000;

fn main() -> ExitCode {
    let rounds = std::env::var("SLIPWAY_BENCH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let figures = Figures::new("containers");
    let image = Image::make().expect("the test image");
    let ours = Peer::ours().expect("our engine");
    memory::idle(&figures, &ours);
    engine::load(&ours, &image);
    memory::running(&figures, &ours);
    let dockerd = match Peer::dockerd() {
        Ok(dockerd) => {
            engine::load(&dockerd, &image);
            Some(dockerd)
        }
        Err(why) => {
            println!("SKIPPED what is measured against Docker's daemon: {why}");
            None
        }
    };
    let scratch = tempfile::tempdir_in("/tmp").expect("a folder");
    let root = scratch.path().join("root");
    image.write_root(&root);
    against_the_floor(&figures, &ours, &root, scratch.path(), rounds);
    if let Some(dockerd) = &dockerd {
        runc::compare(&figures, &ours, dockerd, &image, rounds);
        against_dockerd(&figures, &ours, dockerd, rounds);
    }
    list(&figures, &ours);
    machine::compare(&figures, rounds);
    match figures.short() {
        0 => ExitCode::SUCCESS,
        short => {
            println!("{short} figures are short of their line");
            ExitCode::FAILURE
        }
    }
}

/// A container's whole life against the system calls that it can't do without.
fn against_the_floor(figures: &Figures, ours: &Peer, root: &Path, scratch: &Path, rounds: usize) {
    let floor = std::env::var_os("SLIPWAY_BENCH_FLOOR").expect("SLIPWAY_BENCH_FLOOR");
    for (name, network, net) in [("run", "bridge", "net"), ("run-no-net", "none", "no-net")] {
        let (mut our, mut steps, mut least) = (Vec::new(), Vec::new(), Vec::new());
        engine::whole_life(ours.socket(), network);
        for _ in 0..rounds {
            for _ in 0..20 {
                our.push(time(|| {
                    steps.push(engine::whole_life(ours.socket(), network))
                }));
            }
            let output = Command::new(&floor)
                .args([root, scratch])
                .args(["20", net, "/bin/true"])
                .output()
                .expect("the floor");
            assert!(output.status.success(), "{output:?}");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            least.extend(
                text.lines()
                    .filter_map(|line| Some(line.parse::<f64>().ok()? / 1000.0)),
            );
        }
        let step = |at: usize| median(steps.iter().map(|took| took[at]).collect());
        let steps: Vec<String> = (engine::STEPS.iter().enumerate())
            .map(|(at, name)| format!("{name} {:.2}", step(at)))
            .collect();
        println!("where our time goes (medians, ms): {}", steps.join(", "));
        figures.report(name, median(our), median(least), "ms", 2.5);
    }
}

fn against_dockerd(figures: &Figures, ours: &Peer, dockerd: &Peer, rounds: usize) {
    // The docker command's own start costs the same on both sides: it is subtracted.
    let command = |peer: &Peer, arguments: &[&str]| {
        let program = peer.docker().command(arguments);
        time(|| {
            program.run().ok();
        })
    };
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for _ in 0..rounds * 2 {
        for (peer, into) in [(ours, &mut our), (dockerd, &mut their)] {
            let start = command(peer, &["version", "--format", "{{.Server.Version}}"]);
            let whole = command(peer, &["run", "--rm", tests::busybox::NAME, "true"]);
            into.push((whole - start).max(0.1));
        }
    }
    figures.report("docker-run", median(our), median(their), "ms", 0.1);

    let ids = [ours, dockerd].map(|peer| {
        let id = engine::create(peer.socket(), "none", &["sleep", "10000"]);
        engine::start(peer.socket(), &id);
        id
    });
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for _ in 0..rounds * 4 {
        our.push(time(|| engine::exec(ours.socket(), &ids[0])));
        their.push(time(|| engine::exec(dockerd.socket(), &ids[1])));
    }
    figures.report("exec", median(our), median(their), "ms", 0.125);
    engine::remove(ours.socket(), &ids[0]);
    engine::remove(dockerd.socket(), &ids[1]);

    let our = median((0..rounds.min(3)).map(|_| many(ours)).collect());
    let their = many(dockerd);
    figures.report("run-100-by-8", our, their, "ms", 1.0 / 6.0);

    let [our, their] = [ours, dockerd].map(logs);
    figures.report("logs", our, their, "ms", 0.125);
}

/// 100 containers, 8 at a time.
fn many(peer: &Peer) -> f64 {
    time(|| {
        std::thread::scope(|scope| {
            for worker in 0..8 {
                scope.spawn(move || {
                    for _ in (worker..100).step_by(8) {
                        engine::whole_life(peer.socket(), "bridge");
                    }
                });
            }
        });
    })
}

/// Reads the whole log of a container that has said a lot.
fn logs(peer: &Peer) -> f64 {
    let id = engine::create(peer.socket(), "none", &["seq", &LINES.to_string()]);
    engine::start(peer.socket(), &id);
    engine::ask(peer.socket(), "POST", &format!("/containers/{id}/wait"), "");
    let path = format!("/containers/{id}/logs?stdout=1&stderr=1");
    let took = time(|| {
        let answer = engine::ask(peer.socket(), "GET", &path, "");
        let last = format!("{LINES}\n");
        assert!(answer.body.ends_with(last.as_bytes()), "the log's end");
    });
    engine::remove(peer.socket(), &id);
    took
}

/// A list of many containers, against the 20 ms that it may take.
fn list(figures: &Figures, ours: &Peer) {
    let ids: Vec<String> = (0..LISTED)
        .map(|_| engine::create(ours.socket(), "none", &["true"]))
        .collect();
    let path = "/containers/json?all=1";
    let took = (0..9).map(|_| {
        let mut answer = None;
        let took = time(|| answer = Some(engine::ask(ours.socket(), "GET", path, "")));
        let list = answer.map(|answer| answer.json()).unwrap_or_default();
        assert_eq!(list.as_array().map(Vec::len), Some(LISTED));
        took
    });
    figures.report("list-1000", median(took.collect()), 20.0, "ms", 1.0);
    for id in ids {
        engine::remove(ours.socket(), &id);
    }
}
