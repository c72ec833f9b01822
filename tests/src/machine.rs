//! A machine with a home of its own, and the clients that a person uses on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::docker::Docker;
use crate::http::{self, Answer};
use crate::program::{Program, Ran};
use crate::{busybox, places, wait};

/// How long a machine may take to boot: emulated, on a busy host with two processors.
pub const BOOT: Duration = Duration::from_secs(180);

/// What runs the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// The virtual machine.
    Qemu,
    /// The engine on this host.
    Native,
    /// Docker's own daemon, to check the expectations themselves.
    Docker,
}

impl Driver {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Native => "native",
            Self::Docker => "docker",
        }
    }
}

/// Names the socket of a Docker daemon that was started by hand.
pub const PEER: &str = "SLIPWAY_TEST_PEER";

/// A machine; stopped, with everything that belongs to it, when dropped.
pub struct Machine {
    home: TempDir,
    socket: PathBuf,
    driver: Driver,
    slipway: PathBuf,
    slipwayd: PathBuf,
    docker: Docker,
    settings: Vec<(String, String)>,
}

impl Machine {
    /// A home in which nothing was started yet.
    ///
    /// # Errors
    /// A reason to skip the test.
    pub fn absent(driver: Driver) -> Result<Self, String> {
        let slipway = places::binary("slipway")?;
        let slipwayd = places::binary("slipwayd")?;
        let docker = places::tool("docker")?;
        match driver {
            Driver::Qemu => {
                places::machine_image()?;
                let qemu = format!("qemu-system-{}", places::guest_arch());
                places::in_path(&qemu).ok_or_else(|| format!("{qemu} is not installed"))?;
            }
            Driver::Native => {
                places::binary("slipway-warden")?;
                places::binary("slipway-agent")?;
                if !rustix::process::geteuid().is_root() {
                    return Err("the native engine needs root".to_owned());
                }
            }
            Driver::Docker => return Self::peer(),
        }
        Self::at(driver, slipway, slipwayd, docker, None)
    }

    /// Docker's own daemon in the place of a machine.
    ///
    /// # Errors
    /// A reason to skip the test.
    pub fn peer() -> Result<Self, String> {
        let socket = std::env::var_os(PEER)
            .ok_or_else(|| format!("{PEER} doesn't name the socket of a Docker daemon"))?;
        let docker = places::tool("docker")?;
        Self::at(
            Driver::Docker,
            PathBuf::new(),
            PathBuf::new(),
            docker,
            Some(socket.into()),
        )
    }

    fn at(
        driver: Driver,
        slipway: PathBuf,
        slipwayd: PathBuf,
        docker: PathBuf,
        socket: Option<PathBuf>,
    ) -> Result<Self, String> {
        // A short path: the socket's address holds 107 bytes.
        let home = tempfile::Builder::new().prefix("sw").tempdir_in("/tmp");
        let home = home.map_err(|error| error.to_string())?;
        let config = home.path().join("docker-config");
        fs::create_dir(&config).map_err(|error| error.to_string())?;
        if let Some(plugins) = places::docker_plugins() {
            std::os::unix::fs::symlink(plugins, config.join("cli-plugins"))
                .map_err(|error| error.to_string())?;
        }
        let socket = socket.unwrap_or_else(|| home.path().join("run/docker.sock"));
        Ok(Self {
            docker: Docker::new(docker, &socket, config),
            socket,
            home,
            driver,
            slipway,
            slipwayd,
            settings: vec![
                (
                    "SLIPWAY_IMAGE_DIR".into(),
                    places::image().display().to_string(),
                ),
                ("SLIPWAY_MEMORY_MB".into(), "768".into()),
                ("SLIPWAY_DISK_GB".into(), "8".into()),
            ],
        })
    }

    /// A machine that runs.
    ///
    /// # Errors
    /// A reason to skip the test.
    pub fn started(driver: Driver) -> Result<Self, String> {
        let machine = Self::absent(driver)?;
        machine.start().ok();
        Ok(machine)
    }

    /// Changes an environment variable of all programs of this machine.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// The same on a machine that exists; counts from the next start of slipwayd on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(key, _)| key != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// `slipway machine start`.
    pub fn start(&self) -> Ran {
        self.slipway(&["machine", "start", "--driver", self.driver.name()])
            .within(BOOT)
            .run()
    }

    /// `slipway machine stop`.
    pub fn stop(&self) -> Ran {
        self.slipway(&["machine", "stop"]).within(BOOT).run()
    }

    /// The `slipway` command.
    #[must_use]
    pub fn slipway(&self, args: &[&str]) -> Program {
        self.surroundings(Program::new(&self.slipway)).args(args)
    }

    /// slipwayd, in the foreground.
    #[must_use]
    pub fn slipwayd(&self) -> Program {
        self.surroundings(Program::new(&self.slipwayd))
    }

    fn surroundings(&self, program: Program) -> Program {
        let program = program
            .env("SLIPWAY_HOME", self.home())
            .env("SLIPWAY_SLIPWAYD", &self.slipwayd)
            .env("NO_COLOR", "1")
            .without("DOCKER_HOST");
        self.settings
            .iter()
            .fold(program, |program, (key, value)| program.env(key, value))
    }

    /// The docker CLI, to its end.
    pub fn docker(&self, args: &[&str]) -> Ran {
        self.docker.command(args).run()
    }

    /// The docker CLI, to be set up further.
    #[must_use]
    pub fn docker_command(&self, args: &[&str]) -> Program {
        self.docker.command(args)
    }

    /// The docker CLI on a terminal.
    #[must_use]
    pub fn docker_terminal(&self, args: &[&str]) -> crate::terminal::Terminal {
        let mut command = vec![self.docker.program().as_os_str()];
        command.extend(args.iter().map(std::ffi::OsStr::new));
        crate::terminal::Terminal::start(
            &command,
            &[
                ("DOCKER_HOST", format!("unix://{}", self.socket().display())),
                (
                    "DOCKER_CONFIG",
                    self.home().join("docker-config").display().to_string(),
                ),
            ],
        )
    }

    /// A container of the test image that runs to its end: `docker run --rm OPTIONS IMAGE COMMAND`.
    pub fn run(&self, options: &[&str], command: &[&str]) -> Ran {
        let mut args = vec!["run", "--rm"];
        args.extend(options);
        args.push(busybox::NAME);
        args.extend(command);
        self.docker(&args)
    }

    /// A container of the test image in the background; its id.
    pub fn run_detached(&self, options: &[&str], command: &[&str]) -> String {
        let mut args = vec!["run", "-d"];
        args.extend(options);
        args.push(busybox::NAME);
        args.extend(command);
        self.docker(&args).text()
    }

    /// `kill -9` of the engine in the virtual machine, by a container that sees its processes. What
    /// leads published ports is the same program.
    pub fn kill_engine(&self) {
        let script = "kill -9 $(grep -l '[w]arden-fd' /proc/[0-9]*/cmdline | cut -d / -f 3)";
        // The engine can't tell how it ends.
        self.run(&["--privileged", "--pid", "host"], &["sh", "-c", script]);
    }

    /// A request to the API socket.
    pub fn api(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        http::unix(&self.socket(), method, path, body).expect("an answer of the API")
    }

    /// `slipway status --json`.
    #[must_use]
    pub fn status(&self) -> Value {
        let text = self.slipway(&["status", "--json"]).run().ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON: {error}: {text}"))
    }

    /// The machine's state in words.
    #[must_use]
    pub fn state(&self) -> String {
        let status = self.status();
        status["machine"]["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// `SLIPWAY_HOME`.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The API socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// What runs it.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// slipwayd's process id, if it runs.
    #[must_use]
    pub fn service_pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.home().join("run/slipwayd.lock")).ok()?;
        let pid = text.trim().parse().ok()?;
        // After a crash the number may belong to somebody else.
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (name.trim() == "slipwayd" && wait::is_alive(pid)).then_some(pid)
    }

    /// Process id of QEMU or the warden, if the machine runs.
    #[must_use]
    pub fn machine_pid(&self) -> Option<u32> {
        let pid = self.status()["machine"]["pid"].as_u64();
        pid.and_then(|pid| pid.try_into().ok())
    }

    /// Loads the test image from an archive.
    ///
    /// # Errors
    /// A reason to skip the test.
    pub fn load_busybox(&self) -> Result<busybox::Image, String> {
        let image = busybox::Image::make()?;
        let archive = self.home().join("busybox.tar");
        image.write_archive(&archive);
        let archive = archive.to_str().expect("a short path");
        let said = self.docker(&["load", "-i", archive]).text();
        // It says so before, when it takes the name from another image.
        let last = format!("Loaded image: {}", busybox::NAME);
        assert!(said.ends_with(&last), "{said}");
        Ok(image)
    }

    /// Everything that helps to understand a failure.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for name in ["console.log", "slipwayd.log", "slipwayd.stderr"] {
            let log = fs::read_to_string(self.home().join("logs").join(name)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(30)..].join("\n");
            text.push_str(&format!("--- {name}\n{last}\n"));
        }
        text
    }

    /// Ends slipwayd and waits for it; it stops the machine itself.
    pub fn end_service(&self, with: Signal) {
        let Some(pid) = self.service_pid() else {
            return;
        };
        wait::signal(pid, with);
        wait::until_true("slipwayd has ended", BOOT, || !wait::is_alive(pid));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            crate::steps::say(&self.logs());
        }
        let Some(service) = self.service_pid() else {
            return;
        };
        let status = http::unix(&self.socket(), "GET", "/slipway/machine", b"");
        let machine = status.ok().and_then(|answer| {
            let status: Value = serde_json::from_slice(&answer.body).ok()?;
            u32::try_from(status["machine"]["pid"].as_u64()?).ok()
        });
        // No assertion here: a panic while another is under way would abort the whole test.
        for signal in [Signal::TERM, Signal::KILL] {
            wait::signal(service, signal);
            if gone(service, Duration::from_secs(60)) {
                break;
            }
        }
        if let Some(machine) = machine.filter(|pid| wait::is_alive(*pid)) {
            crate::steps::say(&format!("process {machine} outlived slipwayd; killing it"));
            wait::signal(machine, Signal::KILL);
            gone(machine, Duration::from_secs(10));
        }
    }
}

fn gone(pid: u32, limit: Duration) -> bool {
    let deadline = std::time::Instant::now() + limit;
    while wait::is_alive(pid) {
        if std::time::Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    true
}
