//! An engine of the test's own, and the two commands that speak to it.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The programs that the test needs.
pub(crate) struct Programs {
    folder: PathBuf,
    docker: PathBuf,
    pub(crate) unshare: PathBuf,
    pub(crate) ip: PathBuf,
}

impl Programs {
    /// Finds them.
    ///
    /// # Errors
    /// A reason to skip the test.
    pub(crate) fn find() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("the native engine needs root".to_owned());
        }
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let setting = |name: &str, otherwise: PathBuf| {
            std::env::var_os(name).map_or(otherwise, PathBuf::from)
        };
        let folder = setting("SLIPWAY_BIN_DIR", target.join("debug"));
        let folder = std::path::absolute(&folder).map_err(|error| error.to_string())?;
        for name in ["slipwayd", "slipway-warden", "slipway-agent"] {
            if !folder.join(name).is_file() {
                return Err(format!("{} is not built", folder.join(name).display()));
            }
        }
        let tools = setting("SLIPWAY_TEST_TOOLS", target.join("tools/root"));
        let unpacked = tools.join("usr/bin/docker");
        let docker = if unpacked.is_file() {
            unpacked
        } else {
            in_path("docker")?
        };
        in_path("busybox")?;
        Ok(Self {
            folder,
            docker,
            unshare: in_path("unshare")?,
            ip: in_path("ip")?,
        })
    }
}

/// A program of the system.
pub(crate) fn in_path(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| format!("{name} is not installed"))
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Docker,
    Slipway,
}

/// An engine with a home of its own; stopped when dropped.
pub(crate) struct Engine {
    home: tempfile::TempDir,
    folder: PathBuf,
    docker: PathBuf,
}

impl Engine {
    /// Starts one.
    pub(crate) fn start(programs: &Programs) -> Self {
        let home = tempfile::Builder::new()
            .prefix("sc")
            .tempdir_in("/tmp")
            .unwrap();
        let engine = Self {
            home,
            folder: programs.folder.clone(),
            docker: programs.docker.clone(),
        };
        engine
            .slipway(&["machine", "start", "--driver", "native"])
            .exits(0);
        engine
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn slipway(&self, words: &[&str]) -> Ran {
        self.run(Client::Slipway, words, "")
    }

    pub(crate) fn run(&self, client: Client, words: &[&str], input: &str) -> Ran {
        let mut child = self
            .command(client, words)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without reading all of it.
        let mut stdin = child.stdin.take().unwrap();
        let input = input.as_bytes().to_vec();
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let out = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran {
            code: out.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }

    /// Starts `slipway` and lets it run.
    pub(crate) fn spawn(&self, words: &[&str]) -> Running {
        let mut child = self
            .command(Client::Slipway, words)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let reader = BufReader::new(child.stdout.take().unwrap());
        Running {
            child,
            reader,
            said: String::new(),
        }
    }

    pub(crate) fn command(&self, client: Client, words: &[&str]) -> Command {
        let mut command = match client {
            Client::Docker => Command::new(&self.docker),
            Client::Slipway => Command::new(env!("CARGO_BIN_EXE_slipway")),
        };
        let socket = self.home().join("run/docker.sock");
        command
            .args(words)
            .env("SLIPWAY_HOME", self.home())
            .env("SLIPWAY_SLIPWAYD", self.folder.join("slipwayd"))
            .env("SLIPWAY_GUEST_DIR", &self.folder)
            .env_remove("SLIPWAY_HOST")
            .env("DOCKER_HOST", format!("unix://{}", socket.display()))
            .env("DOCKER_CONFIG", self.home().join("docker-config"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let ran = self.slipway(&["machine", "stop"]);
        let pid = std::fs::read_to_string(self.home().join("run/slipwayd.lock")).ok();
        let pid = pid.and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        if !std::thread::panicking() {
            ran.exits(0);
        }
    }
}

/// A `slipway` that runs.
pub(crate) struct Running {
    child: Child,
    reader: BufReader<std::process::ChildStdout>,
    said: String,
}

impl Running {
    /// Waits for a line; the command's end is the deadline.
    pub(crate) fn wait_for(&mut self, line: &str) {
        while !self.said.ends_with(line) {
            let count = self.reader.read_line(&mut self.said).unwrap();
            assert!(count > 0, "it ended and said {:?}", self.said);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) fn finish(mut self) -> Ran {
        self.reader.read_to_string(&mut self.said).unwrap();
        let out = self.child.wait_with_output().unwrap();
        Ran {
            code: out.status.code().unwrap_or(-1),
            stdout: self.said,
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }
}

/// What a command left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn exits(&self, code: i32) {
        assert_eq!(self.code, code, "{self}");
    }

    /// What docker says went wrong, without its way of saying it.
    pub(crate) fn lines_of_its_error(&self) -> Vec<String> {
        let ours = |line: &str| {
            !line.is_empty()
                && !line.starts_with("Run 'docker")
                && !line.starts_with("Error: failed to")
                && line != "exit status 1"
                // Logged by docker beside the same words.
                && !line.starts_with("time=")
        };
        self.stderr
            .lines()
            .filter(|line| ours(line))
            .map(|line| {
                let line = line.strip_prefix("docker: ").unwrap_or(line);
                let line = line
                    .strip_prefix("Error response from daemon: ")
                    .unwrap_or(line);
                line.strip_prefix("Error: ").unwrap_or(line).to_owned()
            })
            .collect()
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "exit code {}\n--- stdout\n{}--- stderr\n{}---",
            self.code, self.stdout, self.stderr
        )
    }
}
