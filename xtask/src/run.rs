//! `cargo xtask run`: from a fresh clone to a container that said hello, with the window if there
//! is a display.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::Args;

use crate::progress::{complain, output, run, say, step};
use crate::project::Project;
use crate::setup::Need;
use crate::{build, image, setup};

/// How to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Open no window
    #[arg(long)]
    headless: bool,
}

/// Sets up, builds, starts the machine, opens the window, runs a container.
pub(crate) fn command(project: &Project, options: &Options) -> Result<()> {
    let window = !options.headless && has_display();
    let mut needs = vec![Need::Build, Need::Image, Need::Machine];
    if window {
        needs.push(Need::Window);
    }
    setup::system(&needs)?;
    build::guest(project)?;
    if window {
        setup::page(project)?;
        build::page(project)?;
    }
    build::host(project, window)?;
    image::ensure(project, false, false)?;

    step("starting the machine", || {
        run(slipway(project).args(["machine", "start"]))
    })?;
    if window {
        open_window(project)?;
    }
    step("a container from the bundled image slipway/hello", || {
        run(slipway(project).args(["run", "--rm", "slipway/hello"]))
    })?;
    next_steps(project, window)
}

/// The `slipway` command, told where this tree's image is.
fn slipway(project: &Project) -> Command {
    let mut command = Command::new(program(project, "slipway"));
    command.env("SLIPWAY_IMAGE_DIR", project.image());
    command
}

fn program(project: &Project, name: &str) -> PathBuf {
    project.host_programs().join(name)
}

fn has_display() -> bool {
    std::env::consts::OS == "macos"
        || ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Starts the window and leaves it to the person.
fn open_window(project: &Project) -> Result<()> {
    let path = program(project, "slipway-desktop");
    Command::new(&path)
        .env("SLIPWAY_IMAGE_DIR", project.image())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Its own group: the terminal's Ctrl-C is not for the window.
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {}", path.display()))?;
    say("==> the window is open");
    Ok(())
}

fn next_steps(project: &Project, window: bool) -> Result<()> {
    let status = output(slipway(project).args(["status", "--json"]))?;
    let status: serde_json::Value =
        serde_json::from_str(&status).context("reading `slipway status --json`")?;
    let endpoint = status["api"]["endpoint"]
        .as_str()
        .context("`slipway status --json` has no api.endpoint")?;
    let command = program(project, "slipway");
    let command = command.display();
    say(format_args!(
        "
Slipway runs ({} on {}). The Engine API is at
    {endpoint}
Use it with any Docker client:
    export DOCKER_HOST={endpoint}
    docker run --rm slipway/hello
Or with Slipway's own command:
    {command} ps --all
    {command} run -it --rm alpine
    {command} machine stop",
        status["machine"]["driver"].as_str().unwrap_or("?"),
        status["machine"]["accelerator"].as_str().unwrap_or("?"),
    ));
    if !window {
        say("There is no window: run this again with a display and without --headless to see it.");
    }
    Ok(())
}

/// Ends the slipwayd of a home, by the process that its lock names.
pub(crate) fn end_service(home: &Path) {
    let Ok(pid) = fs::read_to_string(home.join("run/slipwayd.lock")) else {
        return;
    };
    if let Err(error) = run(Command::new("kill").arg(pid.trim())) {
        complain(&error);
    }
}
