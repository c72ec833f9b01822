//! The machine as a snapshot: slipwayd keeps the state of a machine that waits here, and starts
//! later machines from it. So all that holds for every start is done before, and what belongs to
//! one start comes after: the clock, the randomness, the disk's content, the engine.
#![expect(unsafe_code, reason = "this ioctl has no safe form")]

use std::os::fd::AsRawFd;
use std::path::Path;

use super::cmdline::Settings;
use super::{AGENT, SELF, kernel_took, modules, order, tuning};
use crate::error::{Error, PathContext};

/// `include/uapi/linux/fs.h`: forgets what was read of a disk.
const BLKFLSBUF: libc::Ioctl = 0x1261;

/// Prepares all that is the same for every start, and waits until one begins; its settings.
pub(super) fn wait(port: &str) -> Result<Settings, Error> {
    modules::load_list(Path::new("/lib/modules.disk"), |_| {});
    tuning::set_kernel();
    modules::load_in_background()?;
    for program in [SELF, AGENT] {
        // Read now, it need not be read in every start.
        std::fs::read(program).at("read", program)?;
    }
    let settings = order::receive(port, Some("ready for a snapshot"))?;
    forget_content(&settings.data).at("look anew at", &settings.data)?;
    Ok(settings)
}

fn forget_content(disk: &Path) -> std::io::Result<()> {
    let disk = std::fs::File::open(disk)?;
    // SAFETY: BLKFLSBUF takes nothing.
    kernel_took(unsafe { libc::ioctl(disk.as_raw_fd(), BLKFLSBUF) })
}
