//! The data disk: checked when its superblock says that it is needed, formatted only when it is
//! blank, mounted. A disk that holds anything is
//! never formatted, whatever state it is in.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount};

use crate::console;
use crate::error::{Error, PathContext};

/// How long the disk may take to appear.
const PATIENCE: Duration = Duration::from_secs(10);

/// A disk whose first bytes are all zero holds no file system: ext4's superblock, and every
/// partition table, lie within them.
const LOOKED_AT: usize = 64 * 1024;

/// Where ext4's superblock has its magic number, and the number.
const MAGIC_AT: usize = 1024 + 0x38;
const MAGIC: [u8; 2] = [0x53, 0xef];

/// The superblock's state follows: sound, and no error noticed since the last check. A journal to
/// replay does not change it, and the mount replays it.
const SOUND: [u8; 2] = [1, 0];

/// `e2fsck` exit codes from here on mean that errors are left or that it could not work.
const ERRORS_LEFT: i32 = 4;

/// Checks (or formats) and mounts the disk.
pub(super) fn mount_data(disk: &Path, target: &Path) -> Result<(), Error> {
    wait_for(disk)?;
    match look_at(disk)? {
        Content::Nothing => format(disk)?,
        Content::Sound => {}
        Content::Doubtful => check(disk)?,
        Content::Other => {
            return Err(Error::Machine(format!(
                "the data disk {} holds something, but no file system that Slipway can read; \
                 it was left as it is: move its file away to start with an empty one, or put a \
                 copy of yours back",
                disk.display()
            )));
        }
    }
    // Neither nosuid nor nodev: they would hold for the containers' roots too, whose layers are
    // here.
    mount(disk, target, "ext4", MountFlags::NOATIME, c"discard").map_err(|errno| {
        Error::Machine(format!(
            "the data disk {} can't be mounted ({errno}); its data is untouched",
            disk.display()
        ))
    })
}

/// Disks are found by the kernel while we already run.
pub(super) fn wait_for(disk: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    while !disk.exists() {
        if Instant::now() >= deadline {
            return Err(Error::Machine(format!(
                "the disk {} did not appear within {} s",
                disk.display(),
                PATIENCE.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// What is on the disk.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    /// Nothing was ever written to it.
    Nothing,
    /// An ext4 file system that e2fsck would call clean.
    Sound,
    /// An ext2, ext3 or ext4 file system that met an error, or whose superblock is odd.
    Doubtful,
    /// Anything else.
    Other,
}

fn look_at(disk: &Path) -> Result<Content, Error> {
    let mut head = vec![0; LOOKED_AT];
    let mut file = std::fs::File::open(disk).at("open the data disk", disk)?;
    file.read_exact(&mut head).at("read the data disk", disk)?;
    Ok(if head.iter().all(|byte| *byte == 0) {
        Content::Nothing
    } else if head[MAGIC_AT..MAGIC_AT + 2] == MAGIC {
        if head[MAGIC_AT + 2..MAGIC_AT + 4] == SOUND {
            Content::Sound
        } else {
            Content::Doubtful
        }
    } else {
        Content::Other
    })
}

fn format(disk: &Path) -> Result<(), Error> {
    console::note("formatting the data disk");
    let output = run(Command::new("/usr/sbin/mkfs.ext4")
        .args(["-q", "-F", "-m", "0", "-L", "slipway"])
        .args(["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"])
        .arg(disk))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(Error::Machine(format!(
            "the data disk {} can't be formatted: {}",
            disk.display(),
            last_words(&output)
        )))
    }
}

fn check(disk: &Path) -> Result<(), Error> {
    let output = run(Command::new("/usr/sbin/e2fsck").arg("-p").arg(disk))?;
    match output.status.code() {
        Some(0) => Ok(()),
        Some(code) if code < ERRORS_LEFT => {
            console::note(&format!("repaired the data disk: {}", last_words(&output)));
            Ok(())
        }
        _ => Err(Error::Machine(format!(
            "the data disk {} is damaged and can't be repaired without a decision of yours: {}",
            disk.display(),
            last_words(&output)
        ))),
    }
}

fn run(command: &mut Command) -> Result<Output, Error> {
    let program = command.get_program().to_owned();
    command.output().at("execute", program)
}

/// What a program said, in one line.
fn last_words(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_zeros_are_blank() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        assert_eq!(look_at(file.path()).unwrap(), Content::Nothing);
        let mut bytes = vec![0; 1 << 20];
        bytes[LOOKED_AT - 1] = 1;
        std::fs::write(file.path(), &bytes).unwrap();
        assert_eq!(look_at(file.path()).unwrap(), Content::Other);
        bytes[MAGIC_AT..MAGIC_AT + 2].copy_from_slice(&MAGIC);
        std::fs::write(file.path(), &bytes).unwrap();
        assert_eq!(look_at(file.path()).unwrap(), Content::Doubtful);
        bytes[MAGIC_AT + 2..MAGIC_AT + 4].copy_from_slice(&SOUND);
        std::fs::write(file.path(), &bytes).unwrap();
        assert_eq!(look_at(file.path()).unwrap(), Content::Sound);
        // The kernel noticed an error.
        bytes[MAGIC_AT + 2] = 3;
        std::fs::write(file.path(), &bytes).unwrap();
        assert_eq!(look_at(file.path()).unwrap(), Content::Doubtful);
        // Too small to be a disk of ours: an error, not an invitation to format.
        std::fs::write(file.path(), [0; 100]).unwrap();
        assert!(look_at(file.path()).is_err());
    }
}
