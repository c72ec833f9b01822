//! The real window, clicked under Xvfb by `window/run.mjs`; and the machine's independence of it.
#![allow(clippy::expect_used, reason = "a test that can't go on fails")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tests::steps::{say, skip};
use tests::{Driver, Machine, Program, places, wait};

/// A display without a screen; it ends with this value.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    fn open() -> Result<Self, String> {
        let program = places::in_path("Xvfb").ok_or("Xvfb (package xvfb) is not installed")?;
        // Without a reset after its last client: a window that opens in that moment is refused.
        let mut server = Command::new(program)
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1280x900x24",
                "-nolisten",
                "tcp",
                "-noreset",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut number = String::new();
        let output = server.stdout.take().expect("stdout is piped");
        // Ends with the number, or with an empty line when the server has died.
        BufReader::new(output)
            .read_line(&mut number)
            .map_err(|error| error.to_string())?;
        match number.trim() {
            "" => Err("Xvfb does not start".to_owned()),
            number => Ok(Self {
                server,
                name: format!(":{number}"),
            }),
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Everything that a window needs.
struct Stage {
    machine: Machine,
    display: Display,
    window: PathBuf,
}

fn stage() -> Result<Stage, String> {
    Ok(Stage {
        window: places::binary("slipway-desktop")?,
        machine: Machine::absent(Driver::Qemu)?,
        display: Display::open()?,
    })
}

/// The environment in which windows open.
fn on_stage(program: Program, stage: &Stage) -> Program {
    program
        .env("DISPLAY", &stage.display.name)
        .env("LANG", "en_US.UTF-8")
        .env("NO_AT_BRIDGE", "1")
        .env("SLIPWAY_HOME", stage.machine.home())
        .env("SLIPWAY_BIN_DIR", places::binaries())
        .env("SLIPWAY_IMAGE_DIR", places::image())
        .env("SLIPWAY_SLIPWAYD", places::binaries().join("slipwayd"))
        .env("SLIPWAY_DESKTOP", &stage.window)
        .env("SLIPWAY_MEMORY_MB", "768")
        .without("WAYLAND_DISPLAY")
}

#[test]
fn a_person_starts_the_machine_and_runs_a_container() {
    let script = places::workspace().join("tests/window/run.mjs");
    let tools = || -> Result<PathBuf, String> {
        places::in_path("WebKitWebDriver")
            .ok_or("WebKitWebDriver (package webkit2gtk-driver) is not installed")?;
        places::in_path("node").ok_or_else(|| "node is not installed".to_owned())
    };
    let (node, stage) = match tools().and_then(|node| Ok((node, stage()?))) {
        Ok(found) => found,
        Err(why) => return skip(&why),
    };
    let ran = on_stage(Program::new(&node).args([&script]), &stage)
        .within(Duration::from_secs(400))
        .run();
    for line in ran.stdout.lines().chain(ran.stderr.lines()) {
        say(&format!("    {line}"));
    }
    assert_eq!(ran.code, 0, "{ran}");
}

#[test]
fn the_machine_outlives_its_window() {
    let stage = match stage() {
        Ok(stage) => stage,
        Err(why) => return skip(&why),
    };
    stage.machine.start().ok();
    let pid = stage.machine.machine_pid();
    let service = stage.machine.service_pid();
    assert!(pid.is_some() && service.is_some());
    let window = on_stage(Program::new(&stage.window), &stage).start();
    wait::until_true("the window has opened", Duration::from_secs(60), || {
        assert!(
            wait::is_alive(window.pid()),
            "the window closed: {}",
            window.output()
        );
        has_window(&stage.display.name)
    });
    wait::signal(window.pid(), Signal::KILL);
    wait::until_true("the window is gone", Duration::from_secs(10), || {
        !wait::is_alive(window.pid())
    });
    assert_eq!(stage.machine.machine_pid(), pid);
    assert_eq!(stage.machine.service_pid(), service);
    assert_eq!(stage.machine.state(), "running");
    let said = stage.machine.docker(&["run", "--rm", "slipway/hello"]).ok();
    assert!(said.to_lowercase().contains("slipway"), "{said}");
}

/// Whether a window named Slipway is on the display.
fn has_window(display: &str) -> bool {
    let Some(program) = places::in_path("xwininfo") else {
        return true; // Then the window's process has to do.
    };
    let tree = Program::new(&program)
        .args(["-root", "-tree"])
        .env("DISPLAY", display)
        .run();
    tree.stdout.contains("Slipway")
}
