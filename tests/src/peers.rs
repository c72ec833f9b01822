//! Engines to measure: ours without a machine, as it is shipped, and Docker's own daemon from
//! Debian's packages. Each runs in mount and network namespaces of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::docker::Docker;
use crate::{http, places, wait};

/// Names the folder with Docker's daemon and all it needs, as `cargo xtask bench` unpacks it.
pub const PEERS: &str = "SLIPWAY_PEERS";
/// How long an engine may take to come up.
const START: Duration = Duration::from_secs(60);

/// Enters the tree of the daemon and becomes it. The host's devices and cgroups are seen in it.
const DOCKERD: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount --rbind /sys/fs/cgroup "$1/sys/fs/cgroup"
mount -t tmpfs tmp "$1/tmp"
ip link set lo up
cd "$1"
pivot_root . old
busybox umount -l /old
busybox mount --make-rshared /
export PATH=/usr/sbin:/usr/bin HOME=/root
exec dockerd --host unix:///run/docker.sock --storage-driver overlay2
"#;

/// Becomes our warden, in a network of its own where bridges are as in the machine.
const WARDEN: &str = r#"
mount --make-rprivate / && { ip link set lo up || true; }
for setting in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do
  [ -e "$setting" ] && echo 0 > "$setting"
done
exec "$@"
"#;

/// An engine that runs until it is dropped.
pub struct Peer {
    name: &'static str,
    socket: PathBuf,
    docker: Docker,
    process: Child,
    dir: TempDir,
}

impl Peer {
    /// Our engine: the programs of the machine's image, without the machine.
    ///
    /// # Errors
    /// Why it can't run here.
    pub fn ours() -> Result<Self, String> {
        let programs = places::guest_programs();
        let dir = folder()?;
        for name in ["root", "run"] {
            std::fs::create_dir(dir.path().join(name)).map_err(|error| error.to_string())?;
        }
        let path = |name: &str| dir.path().join(name).display().to_string();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "sh", "-c", WARDEN, "sh"])
            .arg(programs.join("slipway-warden"))
            .args(["--native", "--root", &path("root"), "--run", &path("run")])
            .arg("--agent")
            .arg(programs.join("slipway-agent"))
            .args(["--link", &format!("unix:{}", path("run/link.sock"))])
            .args(["--api", &format!("unix:{}", path("run/docker.sock"))]);
        let socket = dir.path().join("run/docker.sock");
        Self::start("slipway", command, socket, dir)
    }

    /// Docker's daemon.
    ///
    /// # Errors
    /// Why it can't run here.
    pub fn dockerd() -> Result<Self, String> {
        let root = std::env::var_os(PEERS)
            .map(PathBuf::from)
            .ok_or_else(|| format!("{PEERS} does not name the folder of Docker's daemon"))?;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "sh", "-c", DOCKERD, "sh"])
            .arg(&root);
        let socket = root.join("run/docker.sock");
        // What an earlier one left would be taken for an answer.
        let _ = std::fs::remove_file(&socket);
        let _ = std::fs::remove_file(root.join("run/docker.pid"));
        Self::start("dockerd", command, socket, folder()?)
    }

    fn start(
        name: &'static str,
        mut command: Command,
        socket: PathBuf,
        dir: TempDir,
    ) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err(format!("{name} needs root"));
        }
        let docker = Docker::new(places::tool("docker")?, &socket, dir.path().to_owned());
        let log = File::create(dir.path().join("log")).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let process = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{name} does not start: {error}"))?;
        let peer = Self {
            name,
            socket,
            docker,
            process,
            dir,
        };
        wait::until_true(&format!("{name} answers"), START, || {
            http::unix(&peer.socket, "GET", "/_ping", b"").is_ok_and(|answer| answer.status == 200)
        });
        Ok(peer)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its API socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A docker command that talks to it.
    #[must_use]
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// The process that was started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A place for files, gone with it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        wait::signal(self.process.id(), Signal::TERM);
        let _ = self.process.wait();
    }
}

fn folder() -> Result<TempDir, String> {
    let folder = tempfile::Builder::new().prefix("sw").tempdir_in("/tmp");
    folder.map_err(|error| error.to_string())
}
