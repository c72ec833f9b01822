//! Our programs for Windows under Wine: a Windows of the test's own, with a home in which nothing was
//! started yet. Its processes are processes of this system, too, found by the prefix that they were
//! started with.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::machine::BOOT;
use crate::program::{Program, Ran};
use crate::{places, steps, wait};

/// slipwayd's file.
pub const SERVICE: &str = "slipwayd.exe";
/// QEMU's, as slipwayd looks for it.
pub const QEMU: &str = "qemu-system-x86_64.exe";

/// How long processes may take to end that were told to.
const END: Duration = Duration::from_secs(20);

/// A Windows; all of its processes end when it is dropped.
pub struct Wine {
    programs: PathBuf,
    wine: PathBuf,
    server: PathBuf,
    scratch: TempDir,
}

/// A process of it.
#[derive(Debug)]
pub struct Process {
    /// This system's number for it, not Windows'.
    pub pid: u32,
    /// The file's name.
    pub name: String,
}

impl Wine {
    /// Sets a Windows up for the programs in a folder.
    ///
    /// # Errors
    /// A reason to skip the test.
    ///
    /// # Panics
    /// When Wine can't be set up.
    pub fn new(programs: PathBuf) -> Result<Self, String> {
        let program =
            |name: &str| places::in_path(name).ok_or_else(|| format!("{name} is not installed"));
        places::machine_image()?;
        let scratch = tempfile::Builder::new().prefix("sw").tempdir_in("/tmp");
        let wine = Self {
            programs,
            wine: program("wine")?,
            server: program("wineserver")?,
            scratch: scratch.map_err(|error| error.to_string())?,
        };
        fs::create_dir(wine.home()).map_err(|error| error.to_string())?;
        let boot = Program::new(&wine.wine).args(["wineboot", "--init"]);
        wine.surroundings(boot).within(BOOT).run().ok();
        Ok(wine)
    }

    /// `SLIPWAY_HOME` as this system names it: with all that QEMU's options and Windows' code pages trip
    /// over.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.scratch.path().join("a home, ö 한글")
    }

    /// A path as Windows' programs name it.
    #[must_use]
    pub fn path(path: &Path) -> String {
        let path = std::path::absolute(path).expect("a path");
        format!("Z:{}", path.display()).replace('/', "\\")
    }

    /// The `slipway` command.
    #[must_use]
    pub fn slipway(&self, args: &[&str]) -> Program {
        self.program("slipway.exe").args(args).within(BOOT)
    }

    /// slipwayd, in the foreground.
    #[must_use]
    pub fn slipwayd(&self) -> Program {
        self.program(SERVICE)
    }

    fn program(&self, name: &str) -> Program {
        let path = Self::path(&self.programs.join(name));
        // Wine 8 kills one in a hundred programs with several threads while they end: another, which has
        // one, tells the code that they have ended with.
        let start = ["start", "/b", "/wait", "/exec"];
        self.surroundings(Program::new(&self.wine).args(start).args([path]))
    }

    fn surroundings(&self, program: Program) -> Program {
        // What a developer has set must not count: slipwayd is to find QEMU beside itself, and to try
        // the accelerator before it does without.
        let foreign = [
            "DISPLAY",
            "DOCKER_HOST",
            "SLIPWAY_ACCEL",
            "SLIPWAY_LINK",
            "SLIPWAY_PIPE",
            "SLIPWAY_QEMU",
            "SLIPWAY_SLIPWAYD",
            "WAYLAND_DISPLAY",
        ];
        let program = foreign.into_iter().fold(program, Program::without);
        // Wine hands its standard error on to whatever a program starts.
        program
            .leaving_others()
            .env("WINEPREFIX", self.prefix())
            .env("WINEDEBUG", "-all")
            // Neither .NET nor a browser is offered, and no menus are made.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=;winemenubuilder.exe=d")
            // Wine reads the file system's names by this.
            .env("LC_ALL", "C.UTF-8")
            .env("SLIPWAY_HOME", Self::path(&self.home()))
            .env("SLIPWAY_IMAGE_DIR", Self::path(&places::image()))
            .env("SLIPWAY_MEMORY_MB", "768")
            .env("SLIPWAY_DISK_GB", "8")
            .env("SLIPWAY_LOG", "debug")
            .env("NO_COLOR", "1")
    }

    /// `slipway status --json`.
    ///
    /// # Panics
    /// When it says something else.
    #[must_use]
    pub fn status(&self) -> Value {
        let text = self.slipway(&["status", "--json"]).run().ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON: {error}: {text}"))
    }

    /// `slipway machine start`.
    pub fn start(&self) -> Ran {
        self.slipway(&["machine", "start"]).run()
    }

    fn prefix(&self) -> PathBuf {
        self.scratch.path().join("prefix")
    }

    /// All of its processes, Wine's own among them.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        let mark = format!("WINEPREFIX={}", self.prefix().display());
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let surroundings = fs::read(entry.path().join("environ")).ok()?;
                let ours = surroundings
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == mark.as_bytes());
                let command = fs::read(entry.path().join("cmdline")).ok()?;
                let path = command.split(|byte| *byte == 0).next()?;
                let path = String::from_utf8_lossy(path);
                let name = path.rsplit(['\\', '/']).next()?.to_owned();
                (ours && wait::is_alive(pid)).then_some(Process { pid, name })
            })
            .collect()
    }

    /// The only process of a program, if it runs.
    ///
    /// # Panics
    /// When there are several.
    #[must_use]
    pub fn process(&self, name: &str) -> Option<u32> {
        let mut all = self.processes();
        all.retain(|process| process.name == name);
        assert!(all.len() < 2, "{all:?}");
        all.first().map(|process| process.pid)
    }

    /// `kill -9` of a program's only process, and waits until it is gone.
    ///
    /// # Panics
    /// When it does not run, or goes on.
    pub fn kill(&self, name: &str) {
        let pid = self.process(name).unwrap_or_else(|| panic!("no {name}"));
        wait::signal(pid, Signal::KILL);
        wait::until_true(&format!("{name} is gone"), END, || !wait::is_alive(pid));
    }

    /// Ends Windows itself: Wine's own processes, and whatever else is left.
    ///
    /// # Panics
    /// When some go on.
    pub fn shut_down(&self) {
        let server = Program::new(&self.server).args(["-k"]);
        // It says so when there is none any more.
        self.surroundings(server).run();
        wait::until_true("all of Wine's processes are gone", END, || {
            self.processes().is_empty()
        });
    }

    /// Everything that helps to understand a failure.
    #[must_use]
    pub fn logs(&self) -> String {
        let names = [
            "console.log",
            "slipwayd.log",
            "slipwayd.stderr",
            "qemu.stderr",
        ];
        names.map(|name| self.log(name)).concat()
    }

    fn log(&self, name: &str) -> String {
        let log = fs::read_to_string(self.home().join("logs").join(name)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(30)..].join("\n");
        format!("--- {name}\n{last}\n")
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            steps::say(&self.logs());
        }
        // No assertion here: a panic while another is under way would abort the whole test.
        for Process { pid, .. } in self.processes() {
            wait::signal(pid, Signal::KILL);
        }
    }
}
