//! The container's terminal: a pseudo-terminal of its own devpts instance, so that `tty` inside
//! the container finds it; the master side goes to the warden.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::mounts::attach_at;
use super::{Streams, resolve};
use crate::error::{Context, Error};
use crate::report;
use crate::spec::Process;

/// `DEVPTS_SUPER_MAGIC` of linux/magic.h.
const DEVPTS_MAGIC: i64 = 0x1cd1;

/// The devpts of a running container, checked to be one.
pub(super) fn open_pts(root: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let pts = resolve::open_without_links(root, "/dev/pts", flags).at("open", "/dev/pts")?;
    let stat = rustix::fs::fstatfs(&pts).at("look at", "/dev/pts")?;
    if stat.f_type as i64 == DEVPTS_MAGIC {
        Ok(pts)
    } else {
        Err(Error::Invalid(
            "the container's /dev/pts is not a devpts".into(),
        ))
    }
}

/// Makes a pair in `pts`, sends the master away, and returns the slave.
pub(super) fn make(
    pts: BorrowedFd<'_>,
    process: &Process,
    streams: &Streams,
) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let master = rustix::fs::openat(pts, "ptmx", flags, Mode::empty()).at("open", "/dev/ptmx")?;
    rustix::pty::unlockpt(&master).step("unlock the terminal")?;
    let slave = rustix::pty::ioctl_tiocgptpeer(
        &master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )
    .step("open the terminal")?;
    if let Some((rows, cols)) = process.console_size {
        let size = Winsize {
            ws_row: rows,
            ws_col: cols,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&master, size).step("set the terminal's size")?;
    }
    report::send_terminal(streams.channel.as_fd(), master.as_fd())
        .step("hand over the terminal")?;
    Ok(slave)
}

/// Binds the terminal on `/dev/console`. Both ends are descriptors of our own making: a link in
/// the image can't redirect the bind (CVE-2025-52565).
pub(super) fn bind_console(root: BorrowedFd<'_>, slave: BorrowedFd<'_>) -> Result<(), Error> {
    let dev = resolve::open_without_links(root, "/dev", OFlags::PATH | OFlags::DIRECTORY)
        .at("open", "/dev")?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let point = match rustix::fs::openat(&dev, "console", flags, Mode::from_raw_mode(0o620)) {
        // Somebody mounted a `/dev` with a console of its own.
        Err(Errno::EXIST) => return Ok(()),
        other => other.at("make", "/dev/console")?,
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(slave, "", flags).at("open", "/dev/console")?;
    rustix::fs::statat(&tree, "", AtFlags::EMPTY_PATH).at("look at", "/dev/console")?;
    attach_at(tree.as_fd(), point.as_fd()).at("mount on", "/dev/console")
}
