//! Network namespaces, and two bare ones on a bridge.

use std::fs::File;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd;

/// The address of the far end on the bare bridge.
pub(crate) const ADDRESS: &str = "10.254.7.2";

/// A network namespace.
pub(crate) struct Space(File);

impl Space {
    /// Of a process.
    pub(crate) fn of(pid: u32) -> Self {
        Self(File::open(format!("/proc/{pid}/ns/net")).expect("a namespace"))
    }

    /// Runs something in it, on a thread of its own.
    pub(crate) fn run<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.0.as_fd(), kind).expect("to enter it");
                body()
            });
            inside.join().expect("the thread")
        })
    }
}

/// Two namespaces on a bridge, which is in a third.
pub(crate) struct Bare {
    pub(crate) from: Space,
    pub(crate) to: Space,
    processes: Vec<std::process::Child>,
}

impl Bare {
    pub(crate) fn make() -> Result<Self, std::io::Error> {
        let mut processes = Vec::new();
        for _ in 0..3 {
            let sleeper = Command::new("unshare")
                .args(["--net", "sleep", "100000"])
                .spawn()?;
            processes.push(sleeper);
        }
        let pids: Vec<u32> = processes.iter().map(std::process::Child::id).collect();
        let inside = |pid: u32| format!("nsenter --net --target {pid} ip");
        let (bridge, from, to) = (inside(pids[0]), inside(pids[1]), inside(pids[2]));
        let mut script = format!(
            "set -e; sleep 0.2; {bridge} link add br0 up type bridge;
             nsenter --net --target {} sysctl -q -w net.bridge.bridge-nf-call-iptables=0 || true;",
            pids[0]
        );
        for (ip, pid, number) in [(&from, pids[1], 1), (&to, pids[2], 2)] {
            script += &format!(
                "{bridge} link add p{number} type veth peer name eth0 netns {pid};\
                 {bridge} link set p{number} master br0 up;\
                 {ip} addr add 10.254.7.{number}/24 dev eth0; {ip} link set eth0 up; {ip} link set lo up;"
            );
        }
        let made = Command::new("sh").args(["-c", &script]).status()?;
        assert!(made.success(), "the bare bridge");
        Ok(Self {
            from: Space::of(pids[1]),
            to: Space::of(pids[2]),
            processes,
        })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
