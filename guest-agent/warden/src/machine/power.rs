//! The machine's end: processes, file systems, power.

use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::process::{Signal, WaitOptions};
use rustix::system::{RebootCommand, reboot};

use crate::console;
use crate::error::{Context, Error};

/// How long processes may take to end after SIGTERM, and after SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Says why the machine can't go on, and switches it off.
pub fn give_up(error: &Error) {
    console::failed(&error.in_full());
    let _ = off();
}

/// Ends all processes, writes everything to disk, and switches the machine off.
pub(super) fn off() -> Result<Infallible, Error> {
    for signal in [Signal::TERM, Signal::KILL] {
        // Process group 1 stands for `kill(-1)`: every process but ourselves.
        let _ = rustix::process::kill_process_group(rustix::process::Pid::INIT, signal);
        reap_all();
    }
    rustix::fs::sync();
    let data = Path::new(super::STATE);
    match unmount(data, UnmountFlags::empty()) {
        // EINVAL: it never was mounted.
        Ok(()) | Err(Errno::INVAL) => {}
        // Something still holds it; read-only it is as clean as unmounted.
        Err(errno) => {
            console::note(&format!("the data disk is still in use: {errno}"));
            let _ = mount_remount(data, MountFlags::RDONLY, c"");
            let _ = unmount(data, UnmountFlags::DETACH);
            rustix::fs::sync();
        }
    }
    // What was just said is to leave the serial port before the power does.
    let _ = rustix::termios::tcdrain(rustix::stdio::stderr());
    reboot(RebootCommand::PowerOff).step("switch the machine off")?;
    // The kernel halts instead when it can't switch off; nothing is left to do.
    loop {
        std::thread::park();
    }
}

fn reap_all() {
    let deadline = Instant::now() + GRACE;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Nobody is left, or nobody listens.
            Ok(None) | Err(_) => return,
        }
    }
}
