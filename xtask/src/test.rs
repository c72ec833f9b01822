//! `cargo xtask test`: sets up, builds, and runs every check and test, to the end even when one
//! fails. The last line sums up what every runner counted.

mod tally;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::progress::say;
use crate::project::{Project, cargo};
use crate::setup::{self, Need};
use crate::{build, cross, image};
use tally::Tally;

/// Which tests to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Also what takes long or needs more tools: other systems, licences, spelling, the image twice
    #[arg(long)]
    all: bool,
    /// Leave out the whole-machine tests
    #[arg(long, conflicts_with = "all")]
    quick: bool,
}

/// Sets up, builds, tests.
pub(crate) fn command(project: &Project, options: &Options) -> Result<()> {
    setup::system(&setup::ALL)?;
    if options.all {
        setup::system(&[Need::Cross])?;
    }
    setup::page(project)?;
    setup::tools(project)?;
    build::everything(project)?;
    image::ensure(project, false, false)?;

    let mut session = Session::new(project);
    session.check("formatting", session.cargo(&["fmt", "--all", "--check"]));
    session.check(
        "lints",
        session.cargo(&[
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    );
    let mut tests = session.cargo(&["test", "--workspace", "--no-fail-fast"]);
    if options.quick {
        tests.args(["--exclude", "tests"]);
    }
    session.tests("Rust tests", tests);
    session.check("the page's types", session.npm("check"));
    session.tests("the page's tests", session.npm("unit"));
    if options.all {
        everything_else(project, &mut session);
    }
    session.finish()
}

fn everything_else(project: &Project, session: &mut Session) {
    for target in cross::TARGETS {
        session.outcome(
            &format!("check for {target}"),
            |tally| match cross::check(project, target)? {
                cross::Outcome::Passed => {
                    tally.passed += 1;
                    Ok(())
                }
                cross::Outcome::Skipped(reason) => {
                    say(format_args!("SKIPPED {target}: {reason}"));
                    tally.skipped += 1;
                    Ok(())
                }
            },
        );
    }
    for (what, program, arguments) in [
        ("licences and advisories", "cargo-deny", &["check"][..]),
        ("spelling", "typos", &[][..]),
    ] {
        if Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
        {
            let mut command = Command::new(program);
            command.current_dir(&project.root).args(arguments);
            session.check(what, command);
        } else {
            say(format_args!(
                "SKIPPED {what}: {program} is not installed (`cargo install --locked {}`)",
                match program {
                    "typos" => "typos-cli",
                    other => other,
                }
            ));
            session.tally.skipped += 1;
        }
    }
    session.outcome("a reproducible image", |tally| {
        image::check_reproducible(project, false)?;
        tally.passed += 1;
        Ok(())
    });
}

/// A run of many runners.
struct Session<'a> {
    project: &'a Project,
    tally: Tally,
    failed_steps: Vec<String>,
}

impl<'a> Session<'a> {
    fn new(project: &'a Project) -> Self {
        Self {
            project,
            tally: Tally::default(),
            failed_steps: Vec::new(),
        }
    }

    /// A cargo command that tells tests where the built things are.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command
            .current_dir(&self.project.root)
            .args(arguments)
            .env("SLIPWAY_TEST_TOOLS", self.project.tools())
            .env("SLIPWAY_BIN_DIR", self.project.host_programs())
            .env("SLIPWAY_GUEST_DIR", self.project.guest_programs())
            .env("SLIPWAY_IMAGE_DIR", self.project.image());
        command
    }

    fn npm(&self, script: &str) -> Command {
        let mut command = Command::new("npm");
        command
            .current_dir(self.project.root.join("ui"))
            .args(["run", "--silent", script])
            .env("NO_COLOR", "1");
        command
    }

    /// A step that passes or fails as one.
    fn check(&mut self, what: &str, mut command: Command) {
        self.outcome(what, |tally| {
            crate::progress::run(&mut command)?;
            tally.passed += 1;
            Ok(())
        });
    }

    /// A step that counts its own tests, in output that a person reads along.
    fn tests(&mut self, what: &str, mut command: Command) {
        self.outcome(what, |tally| {
            let mut child = command
                .stdout(Stdio::piped())
                .spawn()
                .context("starting the test runner")?;
            let output = child.stdout.take().context("reading the test runner")?;
            let mut counted = Tally::default();
            for line in BufReader::new(output).split(b'\n') {
                let line = line.context("reading the test runner's output")?;
                let line = String::from_utf8_lossy(&line);
                say(&line);
                counted.add_line(&line);
            }
            let status = child.wait().context("waiting for the test runner")?;
            *tally += counted;
            if !status.success() {
                if counted.failed > 0 {
                    // The failures are counted already; only the step is remembered.
                    tally.failed -= 1;
                }
                bail!("it ended with {status}");
            }
            if counted == Tally::default() {
                bail!("it passed without a single test: its output was not understood");
            }
            Ok(())
        });
    }

    fn outcome(&mut self, what: &str, body: impl FnOnce(&mut Tally) -> Result<()>) {
        say(format_args!("==> {what}"));
        let begun = Instant::now();
        if let Err(error) = body(&mut self.tally) {
            crate::progress::complain(&error.context(format!("{what} failed")));
            self.tally.failed += 1;
            self.failed_steps.push(what.to_owned());
        }
        say(format_args!(
            "    {what}: {:.1} s",
            begun.elapsed().as_secs_f64()
        ));
    }

    fn finish(self) -> Result<()> {
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
