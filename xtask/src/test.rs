//! `cargo xtask test`: sets up, builds, and runs every check and test, to the end even when one
//! fails. The last line sums up what every runner counted.

mod session;
mod tally;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::arch::Arch;
use crate::project::Project;
use crate::setup::{self, Need};
use crate::{applications, build, clients, computer, cross, fuzz, image, package, peers, wine};
use session::Session;

/// Which tests to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Also what takes long or needs more tools: Docker's daemon, other systems, properties at
    /// length, licences, spelling, the image twice
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
        setup::system(&[Need::Cross, Need::Browser, Need::Applications])?;
        setup::cargo_programs(&[("cargo-deny", "cargo-deny"), ("typos", "typos-cli")])?;
    }
    setup::page(project)?;
    setup::tools(project)?;
    clients::fetch(project)?;
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
        tests
            .env("SLIPWAY_PEERS", peers::dockerd(project)?)
            .env("SLIPWAY_SKOPEO", peers::skopeo(project)?)
            .env("SLIPWAY_APPLICATIONS", applications::archives(project)?)
            // It comes later, when what it needs is built.
            .args(["--", "--skip", wine::TEST]);
    }
    session.tests("Rust tests", tests);
    if options.all {
        everything_else(project, &mut session);
    }
    session.finish()
}

/// So many cases of each property that sets no number of its own; the usual run has 256.
const CASES: &str = "20000";
/// So long each fuzz target runs; `cargo xtask fuzz` takes its time.
const FUZZ_SECONDS: u64 = 20;

fn everything_else(project: &Project, session: &mut Session) {
    virtualized(session);
    // Framing, filters and paths. What fails is kept in `proptest-regressions` beside the source, and
    // tried first from then on.
    let packages = ["link", "engine", "cli"];
    let packages = packages.iter().flat_map(|name| ["--package", name]);
    let mut properties = session.cargo(&["test", "--lib", "--bins", "--no-fail-fast"]);
    properties.args(packages).env("PROPTEST_CASES", CASES);
    session.tests("properties at length", properties);
    session.outcome("building the fuzz targets", || {
        fuzz::build(project, None).map(|()| cross::Outcome::Passed)
    });
    for name in fuzz::names() {
        session.outcome(&format!("fuzz {name}"), || {
            fuzz::fuzz(project, name, FUZZ_SECONDS).map(|()| cross::Outcome::Passed)
        });
    }
    for target in cross::TARGETS {
        session.outcome(&format!("check for {target}"), || {
            cross::check(project, target)
        });
    }
    windows(project, session);
    for (what, program, arguments) in [
        (
            "licences and sources",
            "cargo-deny",
            &["check", "licenses", "bans", "sources"][..],
        ),
        ("spelling", "typos", &[][..]),
    ] {
        let mut command = Command::new(program);
        command.current_dir(&project.root).args(arguments);
        session.check(what, command);
    }
    session.outcome("advisories", || advisories(project));
    if Path::new("/usr/bin/chromium").exists() {
        session.check("the page in a browser", session.npm("test:e2e"));
    } else {
        session.skip(
            "the page in a browser",
            "no chromium (the package chromium)",
        );
    }
    session.outcome("the Linux package", || {
        package::check(project).map(|()| cross::Outcome::Passed)
    });
    other_processor(project, session);
    session.outcome("a reproducible image", || {
        image::check_reproducible(project, false)?;
        Ok(cross::Outcome::Passed)
    });
}

/// All steps of the machine's life but the one with many boots: the emulated processor fails in too many.
const LIVED_THROUGH: &str = "first start,status,vsock,is taken,what runs,second,container,kill -9,clean,stopped,keeps,restart";

/// The machine's life with KVM, which this computer may not have, over both links. More than that the
/// emulated processor seldom lives through.
fn virtualized(session: &mut Session) {
    for (link, what) in [
        ("vsock", "a machine with KVM"),
        ("serial", "a machine with KVM and no vsock"),
    ] {
        if !computer::is_possible() {
            session.skip(what, "a computer with KVM can be emulated on x86-64 only");
            continue;
        }
        let mut command = session.cargo(&["test", "--package", "tests", "--test", "machine"]);
        command
            .arg("a_machine_lives_and_comes_back")
            .env("SLIPWAY_LINK", link)
            // Virtualization in emulation takes its time.
            .env("SLIPWAY_BOOT_STALL_S", "120")
            .env("SLIPWAY_TEST_STEPS", LIVED_THROUGH)
            .env("SLIPWAY_TEST_MACHINE", format!("kvm {link}"));
        computer::run_in(&mut command);
        session.tests(what, command);
    }
}

/// The programs for Windows under Wine, with QEMU's.
fn windows(project: &Project, session: &mut Session) {
    let mut programs = None;
    session.outcome("building for Windows under Wine", || {
        Ok(match wine::programs(project)? {
            Ok(folder) => {
                programs = Some(folder);
                cross::Outcome::Passed
            }
            Err(why) => cross::Outcome::Skipped(why),
        })
    });
    let Some(programs) = programs else { return };
    let mut tests = session.cargo(&["test", "--package", "tests", "--test", "windows"]);
    tests.env("SLIPWAY_WINDOWS", programs);
    session.tests("Windows under Wine", tests);
}

/// The machine with the processor that this computer has not, whole, with the real docker.
fn other_processor(project: &Project, session: &mut Session) {
    let other = project.with_guest(Arch::NATIVE.other());
    let arch = other.guest;
    let mut busybox = None;
    session.outcome(&format!("a machine's image for {}", arch.debian()), || {
        if !cross::has_nightly() {
            return Ok(cross::Outcome::Skipped("no nightly toolchain".into()));
        }
        build::guest(&other)?;
        image::ensure(&other, false, false)?;
        busybox = Some(image::busybox(&other)?);
        Ok(cross::Outcome::Passed)
    });
    let Some(busybox) = busybox else { return };
    let mut tests = session.cargo(&["test", "--package", "tests", "--test", "docker_cli"]);
    tests
        .env("SLIPWAY_IMAGE_DIR", other.image())
        .env("SLIPWAY_TEST_TARGET", arch.target())
        .env("SLIPWAY_TEST_RUSTC", cross::compiler(project))
        .env("SLIPWAY_TEST_BUSYBOX", busybox);
    session.tests(&format!("docker on {}", arch.debian()), tests);
}

/// Known faults of what we depend on; their list is fetched, which not every network lets through.
fn advisories(project: &Project) -> Result<cross::Outcome> {
    let checked = Command::new("cargo-deny")
        .current_dir(&project.root)
        .args(["check", "advisories"])
        .output()
        .context("starting cargo-deny")?;
    let said = String::from_utf8_lossy(&checked.stderr);
    if checked.status.success() {
        return Ok(cross::Outcome::Passed);
    }
    if said.contains("failed to fetch advisory database") {
        let why = "the list of advisories can't be fetched from here";
        return Ok(cross::Outcome::Skipped(why.into()));
    }
    bail!("{said}")
}
