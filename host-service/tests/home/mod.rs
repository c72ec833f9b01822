//! A home of its own for each test, a slipwayd in it, and stand-ins for QEMU.
#![allow(clippy::unwrap_used, dead_code, reason = "each test uses a part")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use client::{Client, Home};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// What a stand-in for QEMU does when it is to start a machine.
pub(crate) const SLEEP: &str = "exec sleep 1000";

pub(crate) struct Service {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
    child: Option<Child>,
}

impl Service {
    /// A home with an image of next to empty files and a stand-in for QEMU.
    pub(crate) fn new(qemu: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::create_dir(&image).unwrap();
        let mut kernel = vec![0; 0x202];
        kernel.extend(b"HdrS");
        fs::write(image.join("vmlinux"), kernel).unwrap();
        for file in ["root.ext2", "initramfs.cpio"] {
            fs::write(image.join(file), "").unwrap();
        }
        let program = dir.path().join("qemu");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in\n--version) echo 'QEMU emulator version 8.1.0';;\n\
             '-accel help') printf 'Accelerators supported in QEMU binary:\\ntcg\\n';;\n\
             *) {qemu};;\nesac\n"
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut service = Self {
            dir,
            env: Vec::new(),
            child: None,
        };
        service.set("SLIPWAY_IMAGE_DIR", image.to_str().unwrap());
        service.set("SLIPWAY_QEMU", program.to_str().unwrap());
        service.set("SLIPWAY_ACCEL", "tcg");
        service
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn home(&self) -> Home {
        Home::at(self.dir.path().join("home"))
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipwayd"));
        command
            .env("SLIPWAY_HOME", self.home().root())
            .stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs slipwayd where it is expected to end by itself.
    pub(crate) fn run(&self) -> Output {
        self.command().output().unwrap()
    }

    /// Starts slipwayd and waits until it answers.
    pub(crate) async fn start(&mut self) -> Client {
        self.child = Some(self.command().stderr(Stdio::null()).spawn().unwrap());
        let client = Client::new(&self.home());
        eventually("slipwayd answers", async || client.status().await.is_ok()).await;
        client
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Kills slipwayd without a word.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Tells slipwayd to end, and waits until it has; its exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        signal(child.id(), rustix::process::Signal::TERM);
        let mut code = None;
        eventually("slipwayd ends", async || match child.try_wait().unwrap() {
            Some(status) => {
                code = status.code();
                true
            }
            None => false,
        })
        .await;
        code
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.home().run_dir().join("machine.json")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // A machine that is left over.
        if let Ok(text) = fs::read_to_string(self.record())
            && let Ok(record) = serde_json::from_str::<serde_json::Value>(&text)
            && let Some(pid) = record["pid"].as_u64()
        {
            signal(u32::try_from(pid).unwrap(), rustix::process::Signal::KILL);
        }
    }
}

pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

pub(crate) fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A process that has ended but that nobody has asked for is a zombie.
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until it is so.
pub(crate) async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !so().await {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
