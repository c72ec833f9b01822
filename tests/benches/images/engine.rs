//! An engine with a registry in its own network, and what is asked of both.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tests::peers::Peer;
use tests::{http, places, wait};

/// How long a pull may take.
const LIMIT: Duration = Duration::from_secs(300);

/// An engine and its registry, which share their network.
pub(crate) struct Served {
    engine: Peer,
    registry: Child,
}

impl Served {
    /// Starts a registry beside an engine. All of them have the same storage.
    pub(crate) fn new(engine: Peer, storage: &Path) -> Self {
        let config = engine.dir().join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: '127.0.0.1:5000'}}\n",
            storage.display()
        );
        std::fs::write(&config, text).expect("the registry's configuration");
        let registry = inside(&engine)
            .arg(places::tool("docker-registry").expect("docker-registry"))
            .arg("serve")
            .arg(&config)
            .stdout(File::create(engine.dir().join("requests")).expect("a log"))
            .stderr(Stdio::null())
            .spawn()
            .expect("the registry");
        let served = Self { engine, registry };
        wait::until_true("the registry answers", Duration::from_secs(20), || {
            served.curl(&["-s", "-o", "/dev/null", "http://127.0.0.1:5000/v2/"])
        });
        served
    }

    /// Runs curl in the engine's network.
    pub(crate) fn curl(&self, arguments: &[&str]) -> bool {
        inside(&self.engine)
            .arg("curl")
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Runs a shell's script in the engine's network.
    pub(crate) fn shell(&self, script: &str) -> bool {
        inside(&self.engine)
            .args(["sh", "-c", script])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn ask(&self, method: &str, path: &str) -> http::Answer {
        let answer = http::unix(self.engine.socket(), method, path, b"")
            .unwrap_or_else(|error| panic!("{}: {method} {path}: {error}", self.engine.name()));
        assert!(answer.status < 400, "{path}: {}", answer.text());
        answer
    }

    pub(crate) fn pull(&self, name: &str, tag: &str) {
        let path = format!("/images/create?fromImage=127.0.0.1:5000/{name}&tag={tag}");
        self.stream("POST", &path, None, |text| {
            assert!(!text.contains("errorDetail"), "{text}");
        });
    }

    pub(crate) fn remove(&self, name: &str) {
        self.ask("DELETE", &format!("/images/127.0.0.1:5000/{name}?force=1"));
    }

    pub(crate) fn tag(&self, name: &str, repository: &str, tag: &str) {
        let path = format!("/images/127.0.0.1:5000/{name}/tag?repo={repository}&tag={tag}");
        self.ask("POST", &path);
    }

    pub(crate) fn list(&self) {
        let list = self.ask("GET", "/images/json").json();
        assert!(list.as_array().is_some_and(|list| !list.is_empty()));
    }

    /// Saves an image into a file, or nowhere.
    pub(crate) fn save(&self, name: &str, into: Option<&Path>) {
        let mut file = into.map(|path| File::create(path).expect("the archive"));
        let path = format!("/images/127.0.0.1:5000/{name}/get");
        let mut stream = self.open("GET", &path, 0);
        // The file begins after the head; chunks would have to be taken apart, so the old protocol
        // version was asked for.
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(stream.read(&mut byte).expect("a head"), 1);
            head.push(byte[0]);
        }
        let mut piece = vec![0; 1 << 18];
        loop {
            let count = stream.read(&mut piece).expect("an archive");
            if count == 0 {
                break;
            }
            if let Some(file) = &mut file {
                file.write_all(&piece[..count]).expect("the archive");
            }
        }
    }

    pub(crate) fn load(&self, archive: &Path) {
        self.stream("POST", "/images/load?quiet=1", Some(archive), |text| {
            assert!(text.contains("Loaded image"), "{text}");
        });
    }

    fn open(&self, method: &str, path: &str, length: u64) -> UnixStream {
        let mut stream = UnixStream::connect(self.engine.socket()).expect("the engine");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: bench\r\nContent-Type: application/x-tar\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("the engine");
        stream
    }

    fn stream(&self, method: &str, path: &str, body: Option<&Path>, check: impl Fn(&str)) {
        let length = body.map_or(0, |path| path.metadata().expect("the archive").len());
        let mut stream = self.open(method, path, length);
        if let Some(path) = body {
            let mut file = File::open(path).expect("the archive");
            std::io::copy(&mut file, &mut stream).expect("the engine");
        }
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        check(&text);
    }

    /// The process that pulls.
    fn agent(&self) -> u32 {
        let warden = self.engine.pid();
        let children = format!("/proc/{warden}/task/{warden}/children");
        let text = std::fs::read_to_string(children).expect("the engine's processes");
        let mut pids = text.split_whitespace();
        pids.next()
            .and_then(|pid| pid.parse().ok())
            .expect("the agent")
    }

    /// Counts memory anew.
    pub(crate) fn forget_memory(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.agent()), "5").expect("clear_refs");
    }

    /// The most memory that it took since, in MiB.
    pub(crate) fn most_memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.agent()));
        let status = status.expect("the agent");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number
            .and_then(|text| text.parse::<f64>().ok())
            .expect("VmHWM")
            / 1024.0
    }

    /// Bytes of these blobs that the registry has sent, as its log of requests says.
    pub(crate) fn sent(&self, blobs: &[String]) -> f64 {
        let log = std::fs::read_to_string(self.engine.dir().join("requests")).expect("the log");
        // `… "GET /v2/big/blobs/sha256:… HTTP/1.1" 200 1234 …`
        let bytes = log.lines().filter_map(|line| {
            let (_, rest) = line.split_once("\"GET /v2/")?;
            let (path, rest) = rest.split_once(' ')?;
            let known = blobs.iter().any(|blob| path.ends_with(blob));
            let size = rest.split_whitespace().nth(2)?;
            known.then(|| size.parse::<f64>().ok()).flatten()
        });
        bytes.sum()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
    }
}

/// A command in the engine's network.
fn inside(engine: &Peer) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--net", "--target", &engine.pid().to_string(), "--"]);
    command
}
