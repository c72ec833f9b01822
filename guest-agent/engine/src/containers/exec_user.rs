//! Whether the user of an exec exists in the running container, so that the answer comes before
//! the client's connection is taken over. The runtime looks again when the process starts.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::Error;

/// User databases beyond this size are not read: nobody has such a file by accident.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Fails with Docker's words when `user` (`name`, `name:group`, numbers) isn't in the container.
pub(crate) fn check(pid: i32, user: &str) -> Result<(), Error> {
    let root = format!("/proc/{pid}/root");
    let (name, group) = user.split_once(':').unwrap_or((user, ""));
    for (wanted, file, word) in [(name, "etc/passwd", "user"), (group, "etc/group", "group")] {
        if wanted.is_empty() || wanted.parse::<u32>().is_ok() {
            continue;
        }
        let text = read(Path::new(&root), file).unwrap_or_default();
        if !text
            .lines()
            .any(|line| line.split(':').next() == Some(wanted))
        {
            let base = file.trim_start_matches("etc/");
            return Err(Error::Invalid(format!(
                "unable to find {word} {wanted}: no matching entries in {base} file"
            )));
        }
    }
    Ok(())
}

/// Reads a file of the container; links in it never lead out of its root.
fn read(root: &Path, file: &str) -> Option<String> {
    let dir = rustix::fs::openat(
        CWD,
        root,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat2(
        &dir,
        file,
        flags,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
    .ok()?;
    let file = File::from(fd);
    // A pipe or a device in its place could block or never end.
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn finds_users_of_this_very_system() {
        let own = std::process::id().cast_signed();
        for user in ["root", "root:root", "12345", "12345:6", "0:root"] {
            check(own, user).unwrap();
        }
        assert_eq!(
            check(own, "no-such-user").unwrap_err().to_string(),
            "unable to find user no-such-user: no matching entries in passwd file"
        );
        assert_eq!(
            check(own, "root:no-such").unwrap_err().to_string(),
            "unable to find group no-such: no matching entries in group file"
        );
    }
}
