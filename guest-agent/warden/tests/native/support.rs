//! The engine's side of the warden's protocol, and a root made of busybox.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use runtime::spec::{
    ContainerSpec, LogFormat, LogSpec, Namespace, Namespaces, Process, Resources, Seccomp,
    SharedMemory,
};
use runtime::view::{self, Root};
use warden::protocol::{
    AttachStreams, Call, Event, Exit, Failure, Message, Outcome, ProcessState, Request, Target,
};
use warden::wire::{Decoder, Encoder, Progress};

const HAND_OVER: &str = "SLIPWAY_TEST_HAND_OVER";
const PATIENCE: Duration = Duration::from_secs(30);

/// Not a test of its own: the warden starts this program as its engine, which hands the socket to
/// the test that started the warden and waits to be killed.
#[test]
fn agent_role() {
    let Some(path) = std::env::var_os(HAND_OVER) else {
        return;
    };
    let to = UnixStream::connect(path).unwrap();
    send(&to, &"engine", &[borrow_three()]);
    loop {
        std::thread::park();
    }
}

#[expect(unsafe_code, reason = "descriptor 3 is inherited by number")]
fn borrow_three() -> BorrowedFd<'static> {
    // SAFETY: the warden leaves it open for us, and nothing here closes it.
    unsafe { BorrowedFd::borrow_raw(3) }
}

/// A running warden.
pub(crate) struct Warden {
    child: Child,
    listener: UnixListener,
    engine: UnixStream,
    events: VecDeque<(Target, Exit)>,
    seq: u64,
    pub(crate) dir: tempfile::TempDir,
}

impl Warden {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let agent = dir.path().join("agent");
        let own = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\nexec {} support::agent_role --exact --nocapture --test-threads 1\n",
            own.display()
        );
        std::fs::write(&agent, script).unwrap();
        std::fs::set_permissions(&agent, PermissionsExt::from_mode(0o755)).unwrap();
        make_root(&dir.path().join("layer"));
        let socket = dir.path().join("hand-over");
        let listener = UnixListener::bind(&socket).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_slipway-warden"))
            .arg("--native")
            .args([
                Path::new("--root"),
                dir.path(),
                Path::new("--agent"),
                &agent,
            ])
            .env(HAND_OVER, &socket)
            .spawn()
            .unwrap();
        let engine = accept(&listener);
        Self {
            child,
            listener,
            engine,
            events: VecDeque::new(),
            seq: 0,
            dir,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The engine's pid, from the warden's children.
    pub(crate) fn agent_pid(&self) -> i32 {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = std::fs::read_to_string(path).unwrap();
        children
            .split_whitespace()
            .find(|pid| {
                std::fs::read(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.windows(10).any(|part| part == b"agent_role"))
            })
            .and_then(|pid| pid.parse().ok())
            .unwrap()
    }

    /// Waits for the next engine that the warden starts and becomes it.
    pub(crate) fn take_new_engine(&mut self) {
        self.engine = accept(&self.listener);
        self.events.clear();
    }

    pub(crate) fn call(&mut self, call: Call, fds: &[BorrowedFd<'_>]) -> Outcome {
        self.seq += 1;
        let request = Request {
            seq: self.seq,
            call,
        };
        send(&self.engine, &request, fds);
        loop {
            match self.receive() {
                Message::Reply(reply) if reply.seq == self.seq => return reply.outcome,
                Message::Reply(reply) => panic!("a reply to {} instead", reply.seq),
                Message::Event(Event::Exited { target, exit }) => {
                    self.events.push_back((target, exit));
                }
                Message::Event(Event::LogRotated { .. }) => {}
            }
        }
    }

    fn receive(&self) -> Message {
        let (body, _) = receive(&self.engine);
        serde_json::from_slice(&body).unwrap()
    }

    pub(crate) fn done(&mut self, call: Call) {
        match self.call(call, &[]) {
            Outcome::Done => {}
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn list(&mut self) -> Vec<ProcessState> {
        match self.call(Call::List, &[]) {
            Outcome::Processes { processes } => processes,
            other => panic!("{other:?}"),
        }
    }

    /// A busybox container that runs `args`.
    pub(crate) fn spec(&self, name: &str, args: &[&str]) -> ContainerSpec {
        let dir = self.dir.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        ContainerSpec {
            id: name.to_owned(),
            readonly_root: false,
            hostname: "box".into(),
            domainname: String::new(),
            process: process(args),
            mounts: Vec::new(),
            namespaces: Namespaces {
                net: Namespace::New,
                pid: Namespace::New,
                ipc: Namespace::New,
                uts: Namespace::New,
                cgroup: Namespace::New,
            },
            cgroup: format!("slipway-test-{}/{name}", self.pid()).into(),
            resources: Resources::default(),
            masked_paths: ["/proc/kcore", "/proc/keys", "/sys/firmware", "/no/such"]
                .map(str::to_owned)
                .to_vec(),
            readonly_paths: ["/proc/sys", "/proc/sysrq-trigger"]
                .map(str::to_owned)
                .to_vec(),
            sysctls: BTreeMap::new(),
            shm: SharedMemory::Own(64 << 20),
            devices: Vec::new(),
            device_rules: Vec::new(),
            privileged: false,
            writable_cgroups: false,
            log: LogSpec {
                path: Some(dir.join("log")),
                format: LogFormat::JsonFile,
                attrs: String::new(),
                compress: false,
                max_size: None,
                max_files: 1,
            },
        }
    }

    /// The root of a container of that name.
    fn root(&self, name: &str) -> OwnedFd {
        let part = |part: &str| -> PathBuf {
            let path = self.dir.path().join(name).join(part);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        view::root(&Root {
            lower: vec![self.dir.path().join("layer")],
            upper: part("upper"),
            work: part("work"),
        })
        .unwrap()
    }

    /// Starts a container with one client.
    pub(crate) fn launch(
        &mut self,
        spec: ContainerSpec,
        stdin: bool,
    ) -> Result<(Target, UnixStream), Failure> {
        let target = Target {
            container: spec.id.clone(),
            exec: None,
        };
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let root = self.root(&spec.id);
        let call = Call::Start {
            attach: vec![all(stdin, spec.process.tty)],
            spec: Box::new(spec),
        };
        match self.call(call, &[root.as_fd(), theirs.as_fd()]) {
            Outcome::Started { pid, .. } => assert!(pid > 0),
            Outcome::Failed(failure) => return Err(failure),
            other => panic!("{other:?}"),
        }
        Ok((target, ours))
    }

    /// Starts an exec session with one client.
    pub(crate) fn launch_exec(
        &mut self,
        container: &str,
        exec: &str,
        process: Process,
        stdin: bool,
    ) -> Result<(Target, UnixStream), Failure> {
        let target = Target {
            container: container.to_owned(),
            exec: Some(exec.to_owned()),
        };
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let call = Call::Exec {
            container: container.to_owned(),
            exec: exec.to_owned(),
            attach: vec![all(stdin, process.tty)],
            process: Box::new(process),
        };
        match self.call(call, &[theirs.as_fd()]) {
            Outcome::Started { .. } => Ok((target, ours)),
            Outcome::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn wait(&mut self, target: &Target) -> Exit {
        loop {
            if let Some(at) = self.events.iter().position(|(known, _)| known == target) {
                return self.events.remove(at).unwrap().1;
            }
            match self.receive() {
                Message::Event(Event::Exited { target, exit }) => {
                    self.events.push_back((target, exit));
                }
                Message::Event(Event::LogRotated { .. }) => {}
                Message::Reply(reply) => panic!("an unasked reply to {}", reply.seq),
            }
        }
    }

    /// Runs to the end: exit, output, errors.
    pub(crate) fn run(&mut self, spec: ContainerSpec) -> (i32, String, String) {
        let tty = spec.process.tty;
        let (target, client) = self.launch(spec, false).unwrap();
        let (out, err) = read_all(client, tty);
        (self.wait(&target).code, out, err)
    }

    /// Runs a shell line in a default container and returns what it printed.
    pub(crate) fn sh(&mut self, name: &str, line: &str) -> String {
        let spec = self.spec(name, &["sh", "-c", line]);
        let (code, out, err) = self.run(spec);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        out
    }

    pub(crate) fn kill(&mut self, target: &Target, signal: i32) {
        self.done(Call::Signal {
            target: target.clone(),
            signal,
        });
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        // The orderly way first: containers and the fake engine must not stay behind.
        let pid = rustix::process::Pid::from_child(&self.child);
        if self.child.try_wait().unwrap().is_none() {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
        let cgroups = Path::new("/sys/fs/cgroup");
        for root in [cgroups.to_owned(), cgroups.join("unified")] {
            let _ = std::fs::remove_dir(root.join(format!("slipway-test-{}", self.pid())));
        }
    }
}

fn accept(listener: &UnixListener) -> UnixStream {
    let (from, _) = listener.accept().unwrap();
    let (_, mut fds) = receive(&from);
    let engine = UnixStream::from(fds.remove(0));
    engine.set_read_timeout(Some(PATIENCE)).unwrap();
    engine
}

fn send(socket: &UnixStream, message: &impl serde::Serialize, fds: &[BorrowedFd<'_>]) {
    let mut encoder = Encoder::default();
    let owned = fds.iter().map(|fd| fd.try_clone_to_owned().unwrap());
    encoder.push(message, owned.collect()).unwrap();
    encoder.flush(socket.as_fd()).unwrap();
}

fn receive(socket: &UnixStream) -> (Vec<u8>, Vec<OwnedFd>) {
    match Decoder::default().read(socket.as_fd()).unwrap() {
        Progress::Message(body, fds) => (body, fds),
        Progress::Blocked => panic!("the warden is silent"),
        Progress::End => panic!("the warden is gone"),
    }
}

fn all(stdin: bool, raw: bool) -> AttachStreams {
    AttachStreams {
        stdin,
        stdout: true,
        stderr: true,
        raw,
    }
}

pub(crate) fn process(args: &[&str]) -> Process {
    Process {
        args: args.iter().map(ToString::to_string).collect(),
        env: vec!["PATH=/bin".into(), "LANG=C".into()],
        cwd: "/".into(),
        user: String::new(),
        additional_groups: Vec::new(),
        tty: false,
        console_size: None,
        capabilities: DEFAULT_CAPABILITIES
            .map(|name| format!("CAP_{name}"))
            .to_vec(),
        no_new_privileges: false,
        oom_score_adj: 0,
        rlimits: Vec::new(),
        seccomp: Seccomp::Default,
        open_stdin: false,
        stdin_once: false,
    }
}

const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// Splits Docker's frames into the two streams.
pub(crate) fn read_all(mut client: UnixStream, tty: bool) -> (String, String) {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    if tty {
        return (String::from_utf8(bytes).unwrap(), String::new());
    }
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[4..8].try_into().unwrap()) as usize;
        assert_eq!(rest[1..4], [0, 0, 0]);
        match rest[0] {
            1 => out.extend_from_slice(&rest[8..8 + length]),
            2 => err.extend_from_slice(&rest[8..8 + length]),
            other => panic!("stream {other}"),
        }
        rest = &rest[8 + length..];
    }
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn make_root(root: &Path) {
    for directory in ["bin", "etc", "tmp", "root"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::set_permissions(root, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(root.join("tmp"), PermissionsExt::from_mode(0o1777)).unwrap();
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .map(Path::new)
        .find(|path| path.exists())
        .expect("the package busybox-static is not installed");
    std::fs::copy(busybox, root.join("bin/busybox")).unwrap();
    for name in [
        "sh", "ls", "cat", "echo", "id", "grep", "sleep", "true", "hostname", "tty", "stty",
        "mount", "ps", "pwd", "touch", "printf", "head", "dd", "kill", "readlink", "stat", "env",
        "mkdir", "wc", "yes", "test", "df", "unshare", "chroot", "nc", "ping", "dmesg", "mknod",
    ] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    std::fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n",
    )
    .unwrap();
    std::fs::write(
        root.join("etc/group"),
        "root:x:0:\nann:x:1000:\naudio:x:29:ann\n",
    )
    .unwrap();
    std::fs::write(root.join("etc/not-executable"), "text").unwrap();
    std::fs::write(root.join("bin/bad-format"), "\0garbage").unwrap();
    std::fs::set_permissions(
        root.join("bin/bad-format"),
        PermissionsExt::from_mode(0o755),
    )
    .unwrap();
}

/// An owned copy, for a client that the test hands over later.
pub(crate) fn pair() -> (UnixStream, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    (ours, theirs.into())
}
