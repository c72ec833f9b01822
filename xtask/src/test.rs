//! `cargo xtask test`: sets up, builds, and runs every check and test, to the end even when one
//! fails. The last line sums up what every runner counted.

mod session;
mod tally;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use clap::Args;

use crate::project::Project;
use crate::setup::{self, Need};
use crate::{bench, build, cross, image, python};
use session::Session;

/// Which tests to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Also what takes long or needs more tools: Docker's daemon, other systems, licences, spelling,
    /// the image twice
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
    python::clients(project)?;
    build::everything(project)?;
    image::ensure(project, false, false)?;

    let mut session = Session::new(project);
    session.check("formatting", session.cargo(&["fmt", "--all", "--check"]));
    let lints = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    session.check("lints", session.cargo(&lints));
    session.check("the page's types", session.npm("check"));
    session.tests("the page's tests", session.npm("unit"));
    let mut tests = session.cargo(&["test", "--workspace", "--no-fail-fast"]);
    if options.quick {
        tests.args(["--exclude", "tests"]);
    }
    if options.all {
        tests.env("SLIPWAY_PEERS", bench::peers(project)?);
    }
    session.tests("Rust tests", tests);
    if options.all {
        everything_else(project, &mut session);
    }
    session.finish()
}

fn everything_else(project: &Project, session: &mut Session) {
    for target in cross::TARGETS {
        session.outcome(&format!("check for {target}"), || {
            cross::check(project, target)
        });
    }
    for (what, program, package, arguments) in [
        (
            "licences and advisories",
            "cargo-deny",
            "cargo-deny",
            &["check"][..],
        ),
        ("spelling", "typos", "typos-cli", &[][..]),
    ] {
        if starts(program) {
            let mut command = Command::new(program);
            command.current_dir(&project.root).args(arguments);
            session.check(what, command);
        } else {
            session.skip(
                what,
                &format!("no {program} (`cargo install --locked {package}`)"),
            );
        }
    }
    if Path::new("/usr/bin/chromium").exists() {
        session.check("the page in a browser", session.npm("test:e2e"));
    } else {
        session.skip(
            "the page in a browser",
            "no chromium (the package chromium)",
        );
    }
    session.outcome("a reproducible image", || {
        image::check_reproducible(project, false)?;
        Ok(cross::Outcome::Passed)
    });
}

fn starts(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}
