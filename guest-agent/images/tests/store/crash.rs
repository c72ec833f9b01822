//! The store when its process is killed at any moment.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use images::{How, LoadOptions, Origin, PullOptions, Reference, RemoveOptions, Store};

use crate::fixture::{Tar, TestImage, docker_archive, gzip, listen};
use crate::server::{content, serving};

const ROOT: &str = "SLIPWAY_CRASH_ROOT";
const SEED: &str = "SLIPWAY_CRASH_SEED";
const REGISTRY: &str = "SLIPWAY_CRASH_REGISTRY";
const ROUNDS: u64 = 200;

/// Two images that share a layer; the second is the registry's.
fn images() -> (TestImage, TestImage) {
    let first = TestImage::busybox();
    let mut layers = first.layers.clone();
    layers[1] = Tar::new().bytes("other", 0o644, &[7; 300_000]).end();
    (first, TestImage::new(layers))
}

/// A step of a sequence that is as good as random, and always the same.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// The process that `killed_at_any_moment` starts and kills: it pulls, loads, names and removes
/// images for ever, and tells what it begins and what is done: a name and what it shall stand for.
/// In an ordinary run, without a root to work in, it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let setting = |name: &str| std::env::var(name).unwrap();
    let mut state: u64 = setting(SEED).parse().unwrap();
    let store = Store::open(root.as_ref()).unwrap();
    let (first, second) = images();
    let archive = docker_archive(&[(&first, &["a:1"])]);
    let pulled = format!("{}/x:1", setting(REGISTRY));
    let origin = Origin::new(How::Tag, "a test");
    loop {
        let tag = format!("t{}:1", next(&mut state) % 3);
        match next(&mut state) % 6 {
            0 => {
                eprintln!("begin a:1 {}", first.id());
                let (sender, _messages) = listen();
                let options = LoadOptions::default();
                store
                    .load(archive.as_slice(), options, sender)
                    .await
                    .unwrap();
            }
            1 => {
                eprintln!("begin {pulled} {}", second.id());
                let (sender, _messages) = listen();
                let reference = Reference::parse(&pulled).unwrap();
                let options = PullOptions::default();
                store.pull(&reference, options, sender).await.unwrap();
            }
            2 => {
                let Ok(image) = store.resolve(if next(&mut state).is_multiple_of(2) {
                    "a:1"
                } else {
                    &pulled
                }) else {
                    continue;
                };
                eprintln!("begin {tag} {}", image.id);
                let reference = Reference::parse(&tag).unwrap();
                store.tag(&image.id, &reference, &origin).unwrap();
            }
            3 => {
                let all = ["a:1", &pulled, &tag];
                let name = all[usize::try_from(next(&mut state) % 3).unwrap()];
                if store.resolve(name).is_err() {
                    continue;
                }
                eprintln!("begin {name} -");
                let options = RemoveOptions::default();
                store
                    .remove(name, options, "a test", |_| Vec::new())
                    .unwrap();
            }
            4 => {
                store.settle().unwrap();
                continue;
            }
            // What prune does.
            _ => {
                for image in store.list().unwrap() {
                    if image.repo_tags.is_empty() {
                        let id = image.id.to_string();
                        let options = RemoveOptions::default();
                        let _ = store.remove(&id, options, "a test", |_| Vec::new());
                    }
                }
                continue;
            }
        }
        eprintln!("done");
    }
}

/// What names must stand for, as far as the victim has told.
#[derive(Default)]
struct Expected {
    names: HashMap<String, String>,
    /// Begun: it may or may not be so.
    pending: Option<(String, String)>,
}

impl Expected {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["begin", name, image] => {
                self.pending = Some(((*name).to_owned(), (*image).to_owned()));
            }
            ["done"] => {
                let (name, image) = self.pending.take().unwrap();
                self.names.insert(name, image);
            }
            _ => {}
        }
    }

    /// Compares, and goes on from what is so.
    fn check(&mut self, store: &Store, round: u64) {
        let is = |name: &str| {
            let image = store.resolve(name).ok();
            image.map_or_else(|| "-".to_owned(), |image| image.id.to_string())
        };
        if let Some((name, image)) = self.pending.take() {
            let found = is(&name);
            let before = self.names.get(&name).map_or("-", String::as_str);
            assert!(
                found == image || found == before,
                "round {round}: {name} is {found}, neither {before} nor {image}"
            );
            self.names.insert(name, found);
        }
        for (name, image) in &self.names {
            assert_eq!(&is(name), image, "round {round}: {name}");
        }
    }
}

/// A victim at work.
struct Victim {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Victim {
    fn start(root: &Path, registry: &str, seed: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--nocapture"])
            .env(ROOT, root)
            .env(SEED, seed.to_string())
            .env(REGISTRY, registry)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next line that it says.
    fn hear(&mut self, expected: &mut Expected) -> String {
        let line = self.lines.next().expect("the victim works").unwrap();
        expected.hear(&line);
        line
    }

    fn kill(mut self, expected: &mut Expected) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        for line in self.lines {
            expected.hear(&line.unwrap());
        }
    }
}

/// How long an operation takes on this machine, by a victim that is left alone for some of them.
fn pace(root: &Path, registry: &str, expected: &mut Expected) -> Duration {
    const OPERATIONS: u32 = 8;
    let mut victim = Victim::start(root, registry, 0);
    victim.hear(expected);
    let start = Instant::now();
    let mut done = 0;
    while done < OPERATIONS {
        done += u32::from(victim.hear(expected) == "done");
    }
    let pace = start.elapsed() / OPERATIONS;
    victim.kill(expected);
    pace
}

fn kill_one(root: &Path, registry: &str, round: u64, pace: Duration, expected: &mut Expected) {
    let mut victim = Victim::start(root, registry, round * 7919 + 1);
    victim.hear(expected);
    // Anywhere in what it does next.
    let mut state = round + 1;
    let within = u64::try_from(pace.as_micros()).unwrap() * 3;
    let moment = Instant::now() + Duration::from_micros(next(&mut state) % within);
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
    victim.kill(expected);
}

#[tokio::test]
async fn killed_at_any_moment() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("images");
    let (first, second) = images();
    let (manifest, blobs) = content(&second, gzip);
    let registry = serving(manifest, blobs, |_, _| None);
    let address = registry.address.to_string();
    let mut expected = Expected::default();
    let known = [first.id(), second.id()];
    let mut seen = 0;
    let pace = pace(&root, &address, &mut expected);
    for round in 0..ROUNDS {
        kill_one(&root, &address, round, pace, &mut expected);
        let store = Store::open(&root).unwrap();
        expected.check(&store, round);
        let report = store.check(true).unwrap();
        assert!(report.findings.is_empty(), "round {round}: {report:?}");
        for image in store.list().unwrap() {
            assert!(known.contains(&image.id), "round {round}: {}", image.id);
            seen += 1;
        }
        let unfinished = std::fs::read_dir(root.join("tmp")).unwrap().count();
        assert_eq!(unfinished, 0, "round {round}");
    }
    assert_ne!(seen, 0, "nothing was ever there");
}
