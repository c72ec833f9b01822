//! An engine under test, and the docker command pointed at it.

pub(crate) mod archive;
pub(crate) mod registry;
pub(crate) mod request;
pub(crate) mod stream;
pub(crate) mod tarball;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// A running engine; stopped when dropped.
pub(crate) struct Host {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) docker: PathBuf,
    tools: PathBuf,
    warden: Child,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Output {
    /// Expects success and returns the standard output without the last line feed.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout.trim_end().to_owned()
    }

    /// Expects this exit code and this text in the standard error.
    #[track_caller]
    pub(crate) fn bad(self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(text), "{:?} is not in {self:?}", text);
    }
}

/// Starts an engine with the test image, or says why the test is skipped.
macro_rules! host {
    () => {
        match crate::support::Host::start() {
            Ok(host) => host,
            Err(why) => return crate::support::skip(&why),
        }
    };
}
pub(crate) use host;

/// Says what isn't tested; only for want of root is that no failure of the set-up.
pub(crate) fn skip(why: &str) {
    if rustix::process::geteuid().is_root() {
        tests::steps::skip(why);
    } else {
        tests::steps::unable(why);
    }
}

impl Host {
    pub(crate) fn start() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("the engine needs root".into());
        }
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let tools = std::env::var_os("SLIPWAY_TEST_TOOLS")
            .map_or_else(|| workspace.join("target/tools/root"), PathBuf::from);
        let docker = tools.join("usr/bin/docker");
        if !docker.exists() {
            return Err(format!(
                "no docker command at {}: cargo xtask setup",
                docker.display()
            ));
        }
        let archive = archive::busybox()?;
        let dir = tempfile::Builder::new()
            .prefix("slipway-engine-")
            .tempdir()
            .unwrap();
        std::fs::write(dir.path().join("busybox.tar"), archive).unwrap();
        std::fs::create_dir_all(dir.path().join("root")).unwrap();
        std::fs::create_dir_all(dir.path().join("run")).unwrap();
        let script = "mount --make-rprivate / && { ip link set lo up || true; } && exec \"$@\"";
        let path = |name: &str| dir.path().join(name).display().to_string();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let warden = Command::new("unshare")
            .args(["-mn", "sh", "-c", script, "sh"])
            .arg(warden())
            .args(["--native", "--root", &path("root"), "--run", &path("run")])
            .args(["--agent", env!("CARGO_BIN_EXE_slipway-agent")])
            .args(["--link", &format!("unix:{}", path("run/link.sock"))])
            .args(["--api", &format!("unix:{}", path("run/docker.sock"))])
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .map_err(|e| format!("unshare: {e}"))?;
        let host = Self {
            dir,
            docker,
            tools,
            warden,
        };
        host.until("the engine answers", || host.docker(&["version"]).code == 0);
        host.docker(&["load", "-q", "-i", &host.path("busybox.tar")])
            .good();
        Ok(host)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Where the clients are unpacked.
    pub(crate) fn tools(&self) -> &Path {
        &self.tools
    }

    pub(crate) fn socket(&self) -> String {
        self.path("run/docker.sock")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.docker);
        command
            .args(args)
            .env("DOCKER_HOST", format!("unix://{}", self.socket()))
            .env("DOCKER_CONFIG", self.path("docker-config"))
            .env_remove("DOCKER_CONTEXT");
        command
    }

    /// Runs docker to its end.
    #[track_caller]
    pub(crate) fn docker(&self, args: &[&str]) -> Output {
        self.docker_with_input(args, "")
    }

    /// Runs docker to its end with something on its standard input.
    #[track_caller]
    pub(crate) fn docker_with_input(&self, args: &[&str], input: &str) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing closes its end.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        // Nothing may hang: `timeout` by hand, because a hang is the likeliest fault here.
        let pid = child.id();
        let (done, watched) = std::sync::mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            if watched.recv_timeout(LIMIT).is_err() {
                let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let output = child.wait_with_output().unwrap();
        let _ = done.send(());
        watchdog.join().unwrap();
        Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// What has happened so far.
    #[track_caller]
    pub(crate) fn events(&self, args: &[&str]) -> String {
        // docker cuts times to seconds: only the next second has all of this one.
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let until = (now.as_secs() + 1).to_string();
        let words = [&["events", "--since", "5m", "--until", &until], args].concat();
        self.docker(&words).good()
    }

    /// A field by `docker inspect -f`.
    #[track_caller]
    pub(crate) fn field(&self, name: &str, field: &str) -> String {
        self.docker(&["inspect", "-f", &format!("{{{{{field}}}}}"), name])
            .good()
    }

    /// Waits for a condition.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + LIMIT;
        while !condition() {
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(
                Instant::now() < end,
                "not within {LIMIT:?}: {what}\n{}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the warden has ended by itself, successfully.
    #[track_caller]
    pub(crate) fn until_ended(&mut self) {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.warden.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            assert!(Instant::now() < end, "the warden did not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Process id of the warden.
    pub(crate) fn warden_pid(&self) -> u32 {
        self.warden.id()
    }

    /// Process id of the agent, found as the warden's child.
    pub(crate) fn agent(&self) -> Option<i32> {
        let warden = self.warden.id().to_string();
        std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(Result::ok)
            .find_map(|entry| {
                let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
                let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
                let (name, rest) = stat.rsplit_once(')')?;
                let parent = rest.split_whitespace().nth(1)?;
                (name.contains("slipway-agent") && parent == warden).then_some(pid)
            })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // One that has ended already gives its number to somebody else.
        if self.warden.try_wait().is_ok_and(|status| status.is_none()) {
            let pid = rustix::process::Pid::from_child(&self.warden);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let end = Instant::now() + Duration::from_secs(20);
        while self.warden.try_wait().is_ok_and(|status| status.is_none()) {
            if Instant::now() > end {
                let _ = self.warden.kill();
                let _ = self.warden.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("--- the engine's log\n{log}");
        }
    }
}

/// Sends a request and returns status and body.
pub(crate) fn request(
    host: &Host,
    method: &str,
    path: &str,
    kind: &str,
    body: &str,
) -> (u16, String) {
    let answer = answer(host, method, path, kind, body);
    let status = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.trim_end().to_owned())
}

/// The whole answer to a request, head and body.
pub(crate) fn answer(host: &Host, method: &str, path: &str, kind: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(30)))
        .unwrap();
    let kind = if kind.is_empty() {
        String::new()
    } else {
        format!("Content-Type: {kind}\r\n")
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The warden beside the agent, built if need be.
fn warden() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let path = Path::new(env!("CARGO_BIN_EXE_slipway-agent")).with_file_name("slipway-warden");
    BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "warden"]);
        if path.parent().is_some_and(|dir| dir.ends_with("release")) {
            build.arg("--release");
        }
        assert!(
            build.status().unwrap().success(),
            "building the warden failed"
        );
    });
    path
}
