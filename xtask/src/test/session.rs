//! A run of many runners: each is run to its end, what it prints is shown as it comes, what it
//! counts is added up.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use super::tally::Tally;
use crate::cross::Outcome;
use crate::progress::{complain, run, say};
use crate::project::{Project, cargo};

/// The runners so far.
pub(super) struct Session<'a> {
    project: &'a Project,
    tally: Tally,
    failed_steps: Vec<String>,
}

impl<'a> Session<'a> {
    /// Nothing has run yet.
    pub(super) fn new(project: &'a Project) -> Self {
        Self {
            project,
            tally: Tally::default(),
            failed_steps: Vec::new(),
        }
    }

    /// A cargo command that tells tests where the built things are.
    pub(super) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command
            .current_dir(&self.project.root)
            .args(arguments)
            // After our set-up nothing is missing: a test that cannot run has failed.
            .env("SLIPWAY_TEST_STRICT", "1")
            .env("SLIPWAY_TEST_TOOLS", self.project.tools())
            .env("SLIPWAY_BIN_DIR", self.project.host_programs())
            .env("SLIPWAY_GUEST_DIR", self.project.guest_programs())
            .env("SLIPWAY_IMAGE_DIR", self.project.image());
        command
    }

    /// A script of the page's.
    pub(super) fn npm(&self, script: &str) -> Command {
        let mut command = Command::new("npm");
        command
            .current_dir(self.project.root.join("ui"))
            .args(["run", "--silent", script])
            .env("NO_COLOR", "1");
        command
    }

    /// A step that this machine cannot do.
    pub(super) fn skip(&mut self, what: &str, why: &str) {
        say(format_args!("==> SKIPPED {what}: {why}"));
        self.tally.skipped += 1;
    }

    /// A program that passes or fails as one.
    pub(super) fn check(&mut self, what: &str, mut command: Command) {
        self.outcome(what, || run(&mut command).map(|()| Outcome::Passed));
    }

    /// A step that passes or fails as one.
    pub(super) fn outcome(&mut self, what: &str, body: impl FnOnce() -> Result<Outcome>) {
        self.timed(what, |session| {
            match body() {
                Ok(Outcome::Passed) => session.tally.passed += 1,
                Ok(Outcome::Skipped(why)) => session.skip(what, &why),
                Err(error) => {
                    session.tally.failed += 1;
                    return Err(error);
                }
            }
            Ok(())
        });
    }

    /// A test runner that counts its own tests, in output that a person reads along.
    pub(super) fn tests(&mut self, what: &str, mut command: Command) {
        self.timed(what, |session| {
            let ran = read_runner(&mut command);
            let (status, mut counted) = match ran {
                Ok(ran) => ran,
                Err(error) => {
                    session.tally.failed += 1;
                    return Err(error);
                }
            };
            let failure = if !status.success() {
                Some(anyhow!("it ended with {status}"))
            } else if counted == Tally::default() {
                Some(anyhow!(
                    "it passed without a single test: its output was not understood"
                ))
            } else {
                None
            };
            // A runner may fail before or beside its tests: that counts too.
            counted.failed = counted.failed.max(u64::from(failure.is_some()));
            session.tally += counted;
            failure.map_or(Ok(()), Err)
        });
    }

    /// Says what the step is, how it ended and how long it took.
    fn timed(&mut self, what: &str, body: impl FnOnce(&mut Self) -> Result<()>) {
        say(format_args!("==> {what}"));
        let begun = Instant::now();
        if let Err(error) = body(self) {
            complain(&error.context(format!("{what} failed")));
            self.failed_steps.push(what.to_owned());
        }
        say(format_args!(
            "    {what}: {:.1} s",
            begun.elapsed().as_secs_f64()
        ));
    }

    /// Prints the sum; an error if anything failed.
    pub(super) fn finish(self) -> Result<()> {
        if !self.failed_steps.is_empty() {
            say(format_args!(
                "failed steps: {}",
                self.failed_steps.join(", ")
            ));
        }
        say(self.tally);
        if self.tally.failed > 0 || !self.failed_steps.is_empty() {
            bail!("not everything passed");
        }
        Ok(())
    }
}

/// Runs a test runner to its end, showing and counting what it prints.
fn read_runner(command: &mut Command) -> Result<(ExitStatus, Tally)> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting the test runner")?;
    let output = child.stdout.take().context("reading the test runner")?;
    let errors = child.stderr.take().context("reading the test runner")?;
    let (from_output, from_errors) = thread::scope(|scope| {
        let errors = scope.spawn(|| read_along(errors));
        (read_along(output), errors.join())
    });
    let mut counted = from_output?;
    counted += from_errors.map_err(|_| anyhow!("reading the test runner's errors"))??;
    let status = child.wait().context("waiting for the test runner")?;
    if status.success() {
        // A test that says why it cannot run here ends like one that passed.
        counted.passed = counted.passed.saturating_sub(counted.excused);
        counted.skipped += counted.excused;
    }
    Ok((status, counted))
}

fn read_along(output: impl Read) -> Result<Tally> {
    let mut tally = Tally::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("reading the test runner's output")?;
        let line = String::from_utf8_lossy(&line);
        say(&line);
        tally.add_line(&line);
    }
    Ok(tally)
}
