//! How long a start takes: `slipway machine start` until the API answers `_ping`, against the same
//! QEMU with the same kernel starting an init that only says that it runs. A start comes from the
//! snapshot as all but the first after an installation do; the cold one is measured too. The sides
//! take turns, so that a busy machine is as unkind to the one as to the other.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{median, report};
use crate::build;
use crate::image::{self, initramfs_with};
use crate::progress::{output, run, say, step};
use crate::project::Project;
use crate::setup::{self, Need};

/// A start may take a quarter longer than an empty one.
const LINE: f64 = 1.25;
/// What the empty init says.
const MARK: &str = "empty init";
/// The arguments that both sides share; each is followed by a value unless marked so.
const SHARED: [(&str, bool); 11] = [
    ("-nodefaults", false),
    ("-no-user-config", false),
    ("-no-reboot", false),
    ("-display", true),
    ("-machine", true),
    ("-M", true),
    ("-accel", true),
    ("-cpu", true),
    ("-smp", true),
    ("-m", true),
    ("-kernel", true),
];
/// How long the peer may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// Installs and builds what the measurement needs.
pub(super) fn prepare(project: &Project) -> Result<()> {
    setup::system(&[Need::Build, Need::Image, Need::Machine])?;
    build::guest(project)?;
    build::shipped(project, false)?;
    image::ensure(project, false, false)
}

/// Measures all sides, `rounds` times in turn.
pub(super) fn bench(project: &Project, rounds: u32) -> Result<()> {
    let warm = Home::new(project, "snapshot", true)?;
    let cold = Home::new(project, "cold", false)?;
    let result = measure(project, &warm, &cold, rounds);
    // The homes go even when a figure is short; what went wrong first is what is told.
    let ended = [cold.end(), warm.end()];
    ended.into_iter().fold(result, Result::and)
}

fn measure(project: &Project, warm: &Home<'_>, cold: &Home<'_>, rounds: u32) -> Result<()> {
    let initramfs = warm.path.join("empty.cpio");
    let bytes = initramfs_with(compile_init(project, &warm.path)?)?;
    fs::write(&initramfs, bytes).with_context(|| format!("writing {}", initramfs.display()))?;
    // The first start makes the data disk and probes accelerators, and the snapshot is taken after
    // it: not part of a start.
    step("the first starts, not measured", || {
        cold.start()?;
        warm.start()?;
        warm.await_snapshot()
    })?;
    let arguments = cold.qemu_arguments()?;
    for home in [warm, cold] {
        home.stop()?;
    }
    let (mut warms, mut colds, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut warm_steps, mut cold_steps) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let timed = |home: &Home<'_>, steps: &mut Vec<Value>| -> Result<u64> {
            let (took, status) = home.start()?;
            let machine = &status["machine"];
            if machine["snapshot"].as_bool() != Some(home.snapshot) {
                bail!("a start did not come from where it should: {machine}");
            }
            steps.push(machine["steps"].clone());
            home.stop()?;
            Ok(took)
        };
        let from_snapshot = timed(warm, &mut warm_steps)?;
        let booted = timed(cold, &mut cold_steps)?;
        let peer = peer(&arguments, &initramfs)?;
        say(format_args!(
            "round {round} of {rounds}: ours {from_snapshot} ms, cold {booted} ms, peer {peer} ms"
        ));
        warms.push(from_snapshot);
        colds.push(booted);
        peers.push(peer);
    }
    say("a start from the snapshot:");
    explain(&warm_steps);
    say("a cold start:");
    explain(&cold_steps);
    let peer = median(&peers);
    let start = report("boot/start", median(&warms), peer, LINE);
    report("boot/cold", median(&colds), peer, LINE).and(start)
}

/// A home of its own: a person's machine is left alone.
struct Home<'a> {
    project: &'a Project,
    path: PathBuf,
    /// Whether its machine may start from a snapshot.
    snapshot: bool,
}

impl<'a> Home<'a> {
    fn new(project: &'a Project, name: &str, snapshot: bool) -> Result<Self> {
        let name = format!("slipway-bench-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self {
            project,
            path,
            snapshot,
        })
    }

    fn slipway(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.project.shipped_programs().join("slipway"));
        command
            .args(arguments)
            .env("SLIPWAY_HOME", &self.path)
            .env("SLIPWAY_IMAGE_DIR", self.project.image())
            .env("SLIPWAY_SNAPSHOT", if self.snapshot { "on" } else { "off" })
            .env("SLIPWAY_SNAPSHOT_DELAY_S", "0");
        command
    }

    fn await_snapshot(&self) -> Result<()> {
        let begun = Instant::now();
        while !self.path.join("machine/snapshot.json").exists() {
            if begun.elapsed() > DEADLINE {
                bail!("no snapshot was taken: see {}", self.path.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Starts the machine; how long until the API answered, and the status then.
    fn start(&self) -> Result<(u64, Value)> {
        let begun = Instant::now();
        output(&mut self.slipway(&["machine", "start"]))?;
        ping(&self.path.join("run/docker.sock"))?;
        let took = milliseconds(begun);
        let status = output(&mut self.slipway(&["status", "--json"]))?;
        Ok((
            took,
            serde_json::from_str(&status).context("reading `slipway status --json`")?,
        ))
    }

    fn stop(&self) -> Result<()> {
        output(&mut self.slipway(&["machine", "stop"])).map(drop)
    }

    /// The program and the arguments that slipwayd gave QEMU, without devices and disks.
    fn qemu_arguments(&self) -> Result<Vec<String>> {
        let status: Value =
            serde_json::from_str(&output(&mut self.slipway(&["status", "--json"]))?)?;
        let pid = status["machine"]["pid"]
            .as_u64()
            .context("the running machine has no process id")?;
        let path = PathBuf::from(format!("/proc/{pid}/cmdline"));
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let words: Vec<String> = text
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        Ok(shared(&words))
    }

    /// Stops the machine and slipwayd, and removes the home.
    fn end(&self) -> Result<()> {
        // Asked for even when the machine never ran.
        let stopped = self.stop();
        crate::run::end_service(&self.path);
        fs::remove_dir_all(&self.path)
            .with_context(|| format!("removing {}", self.path.display()))?;
        stopped
    }
}

/// Runs the peer once; how long until its init spoke.
fn peer(arguments: &[String], initramfs: &Path) -> Result<u64> {
    let (program, arguments) = arguments
        .split_first()
        .context("QEMU's command line is empty")?;
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-serial", "stdio"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let console = child.stdout.take().context("reading the peer's console")?;
    let mut said = String::new();
    let mut took = None;
    for line in BufReader::new(console).split(b'\n') {
        let line =
            String::from_utf8_lossy(&line.context("reading the peer's console")?).into_owned();
        if line.contains(MARK) {
            took = Some(milliseconds(begun));
            break;
        }
        said.push_str(&line);
        said.push('\n');
        if begun.elapsed() > DEADLINE {
            break;
        }
    }
    // It turns itself off; a machine that does not is ended.
    if took.is_none() {
        child.kill().context("ending the peer")?;
    }
    child.wait().context("waiting for the peer")?;
    took.with_context(|| format!("the empty init never spoke; the console said:\n{said}"))
}

/// One `GET /_ping`.
fn ping(socket: &Path) -> Result<()> {
    let asked = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: slipway\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = asked().with_context(|| format!("asking {} for _ping", socket.display()))?;
    if !answer.starts_with("HTTP/1.1 200") {
        bail!(
            "_ping was answered with: {}",
            answer.lines().next().unwrap_or_default()
        );
    }
    Ok(())
}

/// The arguments of a QEMU command line that the peer takes over, and the kernel's own words of
/// `-append`.
fn shared(words: &[String]) -> Vec<String> {
    let mut taken: Vec<String> = words.first().cloned().into_iter().collect();
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        if word == "-append" {
            let line = rest.next().map(String::as_str).unwrap_or_default();
            let kernel: Vec<&str> = line
                .split(' ')
                .filter(|setting| !setting.starts_with("slipway."))
                .collect();
            taken.extend([word.clone(), kernel.join(" ")]);
        } else if let Some((_, has_value)) = SHARED.iter().find(|(name, _)| name == word) {
            taken.push(word.clone());
            if *has_value {
                taken.extend(rest.next().cloned());
            }
        }
    }
    taken
}

fn compile_init(project: &Project, into: &Path) -> Result<Vec<u8>> {
    let program = into.join("init");
    run(Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "bin",
            "--target",
            &project.guest.target(),
        ])
        .args([
            "-C",
            "panic=abort",
            "-C",
            "opt-level=s",
            "-C",
            "strip=symbols",
            "-C",
            "relocation-model=static",
        ])
        .args([
            "-C",
            "link-arg=-nostartfiles",
            "-C",
            "link-arg=-nostdlib",
            "-C",
            "link-arg=-static",
        ])
        .arg("-o")
        .arg(&program)
        .arg(project.root.join("xtask/bench/init.rs")))?;
    fs::read(&program).with_context(|| format!("reading {}", program.display()))
}

/// Says where the time of starts went, by the medians of the steps.
fn explain(rounds: &[Value]) {
    let Some(first) = rounds.first().and_then(Value::as_array) else {
        return;
    };
    for (at, one) in first.iter().enumerate() {
        let figures: Vec<u64> = rounds
            .iter()
            .filter_map(|steps| steps[at]["ms"].as_u64())
            .collect();
        say(format_args!(
            "    {:<10}{:>7} ms",
            one["name"].as_str().unwrap_or("?"),
            median(&figures)
        ));
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_takes_over_board_and_kernel_only() {
        let words = [
            "qemu",
            "-nodefaults",
            "-M",
            "q35",
            "-drive",
            "x",
            "-kernel",
            "k",
            "-append",
            "quiet slipway.data=/dev/vda a=b",
            "-device",
            "y",
        ]
        .map(str::to_owned);
        assert_eq!(
            shared(&words),
            [
                "qemu",
                "-nodefaults",
                "-M",
                "q35",
                "-kernel",
                "k",
                "-append",
                "quiet a=b"
            ]
        );
    }
}
