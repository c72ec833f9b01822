//! Images measured: our engine without a machine against Docker's daemon, and against what the work
//! costs at least, in turns within one run. `cargo xtask bench images` prepares all of it.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement prints, and one that can't go on ends"
)]

mod engine;
mod floor;
mod sample;

use std::path::Path;
use std::process::ExitCode;

use engine::Served;
use sample::Sample;
use tests::figure::{Figures, median, time};
use tests::peers::Peer;

/// The tags of the list.
const TAGS: usize = 1_000;
/// What a pull may take of memory, in MiB.
const MEMORY: f64 = 64.0;

fn main() -> ExitCode {
    let rounds = std::env::var("SLIPWAY_BENCH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let figures = Figures::new("images");
    let scratch = tempfile::tempdir_in("/tmp").expect("a folder");
    let sample = Sample::make();
    println!(
        "image: {} layers, {} MB of files, {} MB to download",
        sample.layers.len(),
        sample.unpacked / 1_000_000,
        sample.download() / 1_000_000
    );
    let storage = scratch.path().join("registry");
    let ours = Served::new(Peer::ours().expect("our engine"), &storage);
    sample.push(&ours, "big", "1", sample.layers.len());
    let dockerd = match Peer::dockerd() {
        Ok(dockerd) => Some(Served::new(dockerd, &storage)),
        Err(why) => {
            println!("SKIPPED what is measured against Docker's daemon: {why}");
            None
        }
    };
    pull(
        &figures,
        &ours,
        dockerd.as_ref(),
        &sample,
        scratch.path(),
        rounds,
    );
    pull_again(&figures, &ours, &sample);
    if let Some(dockerd) = &dockerd {
        archives(&figures, &ours, dockerd, scratch.path(), rounds);
    }
    list(&figures, &ours);
    match figures.short() {
        0 => ExitCode::SUCCESS,
        short => {
            println!("{short} figures are short of their line");
            ExitCode::FAILURE
        }
    }
}

/// A whole pull against Docker's daemon's, and against the least that it can take.
fn pull(
    figures: &Figures,
    ours: &Served,
    dockerd: Option<&Served>,
    sample: &Sample,
    scratch: &Path,
    rounds: usize,
) {
    let (mut our, mut their, mut least, mut memory) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.forget_memory();
        our.push(time(|| ours.pull("big", "1")));
        memory.push(ours.most_memory());
        ours.remove("big:1");
        if let Some(dockerd) = dockerd.filter(|_| their.len() < 3) {
            their.push(time(|| dockerd.pull("big", "1")));
            dockerd.remove("big:1");
        }
        least.push(floor::measure(sample, scratch));
    }
    let our = median(our);
    if !their.is_empty() {
        figures.report("pull", our, median(their), "ms", 0.25);
    }
    figures.report("pull-floor", our, median(least), "ms", 1.5);
    figures.report("pull-memory", median(memory), MEMORY, "MiB", 1.0);
}

/// One layer more: only that one travels.
fn pull_again(figures: &Figures, ours: &Served, sample: &Sample) {
    let lower = sample.layers.len() - 1;
    sample.push(ours, "big", "lower", lower);
    ours.pull("big", "lower");
    let layers: Vec<String> = sample.layers.iter().map(sample::Layer::digest).collect();
    let before = ours.sent(&layers);
    ours.pull("big", "1");
    let moved = ours.sent(&layers) - before;
    let layer = sample.layers[lower].blob.len();
    figures.report("pull-one-layer", moved, layer as f64, "B", 1.0);
}

/// Loading and saving by rate: bytes of the image's files in a second.
fn archives(figures: &Figures, ours: &Served, dockerd: &Served, scratch: &Path, rounds: usize) {
    ours.pull("big", "1");
    dockerd.pull("big", "1");
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for _ in 0..rounds.min(3) {
        our.push(time(|| ours.save("big:1", None)));
        their.push(time(|| dockerd.save("big:1", None)));
    }
    figures.report("save", median(our), median(their), "ms", 1.0 / 1.5);
    let archive = scratch.join("saved.tar");
    dockerd.save("big:1", Some(&archive));
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for _ in 0..rounds.min(3) {
        for (served, into) in [(ours, &mut our), (dockerd, &mut their)] {
            served.remove("big:1");
            into.push(time(|| served.load(&archive)));
        }
    }
    figures.report("load", median(our), median(their), "ms", 1.0 / 1.5);
    std::fs::remove_file(&archive).expect("the archive");
}

/// A list of many tags, against the 20 ms that it may take.
fn list(figures: &Figures, ours: &Served) {
    ours.pull("big", "1");
    for tag in 0..TAGS {
        ours.tag("big:1", &format!("many-{}", tag % 10), &tag.to_string());
    }
    let took = (0..9).map(|_| time(|| ours.list()));
    figures.report("list-1000-tags", median(took.collect()), 20.0, "ms", 1.0);
}
