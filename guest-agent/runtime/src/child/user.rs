//! Users and groups of the image, by Docker's rules for `--user`.

use std::io::Read;
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::resolve;
use crate::error::{Context, Error};

/// Ids above this are refused, as Docker does.
const LARGEST_ID: u32 = i32::MAX as u32;

/// A passwd or group file longer than this is not read to its end.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// Who the process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// User.
    pub(crate) uid: Uid,
    /// Primary group.
    pub(crate) gid: Gid,
    /// Supplementary groups, the primary one included.
    pub(super) groups: Vec<Gid>,
    /// Home directory of the user's entry, `/` without one.
    pub(super) home: String,
}

impl Identity {
    /// Whether this is uid 0.
    pub(super) fn is_root(&self) -> bool {
        self.uid.is_root()
    }
}

/// Resolves `user` and the additional groups with the files in the root.
pub(crate) fn resolve(
    root: BorrowedFd<'_>,
    user: &str,
    additional: &[String],
) -> Result<Identity, Error> {
    let passwd = read(root, "/etc/passwd")?;
    let group = read(root, "/etc/group")?;
    identify(&passwd, &group, user, additional)
}

/// The text of a file, empty when it is missing or no regular file.
fn read(root: BorrowedFd<'_>, path: &str) -> Result<String, Error> {
    // O_NONBLOCK: a FIFO of that name must not hang the start.
    let file = match resolve::open(root, path, OFlags::RDONLY | OFlags::NONBLOCK) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(String::new()),
        other => other.at("open", path)?,
    };
    let stat = rustix::fs::fstat(&file).at("look at", path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    std::fs::File::from(file)
        .take(LARGEST_FILE)
        .read_to_end(&mut bytes)
        .at("read", path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of `/etc/passwd`.
struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// A line of `/etc/group`.
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn users(passwd: &str) -> impl Iterator<Item = User<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (_password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?);
        Some(User {
            name,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: fields.nth(1).unwrap_or_default(),
        })
    })
}

fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    group.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (_password, gid) = (fields.next()?, fields.next()?);
        Some(Group {
            name,
            gid: gid.parse().ok()?,
            members: fields.next().unwrap_or_default(),
        })
    })
}

fn identify(
    passwd: &str,
    group: &str,
    spec: &str,
    additional: &[String],
) -> Result<Identity, Error> {
    let (user_part, group_part) = spec.split_once(':').unwrap_or((spec, ""));
    let number = id(user_part)?;
    let entry = users(passwd).find(|user| {
        if user_part.is_empty() {
            user.uid == 0
        } else {
            user.name == user_part || number == Some(user.uid)
        }
    });
    let (uid, mut gid, home) = match (&entry, number) {
        (Some(user), _) => (user.uid, user.gid, user.home),
        (None, Some(uid)) => (uid, 0, ""),
        (None, None) if user_part.is_empty() => (0, 0, ""),
        (None, None) => return Err(Error::UnknownUser(user_part.to_owned())),
    };
    let mut others = Vec::new();
    if !group_part.is_empty() {
        gid = find_group(group, group_part)?;
    } else if let Some(user) = &entry {
        others.extend(
            groups(group)
                .filter(|group| group.members.split(',').any(|member| member == user.name))
                .map(|group| group.gid),
        );
    }
    for name in additional {
        others.push(find_group(group, name)?);
    }
    let mut all = vec![gid];
    for other in others {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    Ok(Identity {
        uid: Uid::from_raw(uid),
        gid: Gid::from_raw(gid),
        groups: all.into_iter().map(Gid::from_raw).collect(),
        home: if home.is_empty() { "/" } else { home }.to_owned(),
    })
}

fn find_group(group: &str, name: &str) -> Result<u32, Error> {
    let number = id(name)?;
    groups(group)
        .find(|group| group.name == name || number == Some(group.gid))
        .map(|group| group.gid)
        .or(number)
        .ok_or_else(|| Error::UnknownGroup(name.to_owned()))
}

/// A numeric id, `None` for a name, an error for a number out of range.
fn id(text: &str) -> Result<Option<u32>, Error> {
    let Ok(number) = text.parse::<i64>() else {
        return Ok(None);
    };
    match u32::try_from(number) {
        Ok(id) if id <= LARGEST_ID => Ok(Some(id)),
        _ => Err(Error::Invalid(format!(
            "uids and gids must be in range 0-{LARGEST_ID}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        daemon:x:1:1::/usr/sbin:/bin/false\nbroken\nann:x:1000:100:Ann:/home/ann:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,ann\nusers:x:100:\naudio:x:29:ann\n";

    fn ids(spec: &str, additional: &[&str]) -> (u32, u32, Vec<u32>, String) {
        let additional: Vec<String> = additional.iter().map(ToString::to_string).collect();
        let identity = identify(PASSWD, GROUP, spec, &additional).unwrap();
        (
            identity.uid.as_raw(),
            identity.gid.as_raw(),
            identity.groups.iter().map(|gid| gid.as_raw()).collect(),
            identity.home,
        )
    }

    #[test]
    fn docker_rules_for_user() {
        assert_eq!(ids("", &[]), (0, 0, vec![0, 10], "/root".into()));
        assert_eq!(
            ids("ann", &[]),
            (1000, 100, vec![100, 10, 29], "/home/ann".into())
        );
        assert_eq!(
            ids("1000", &[]),
            (1000, 100, vec![100, 10, 29], "/home/ann".into())
        );
        assert_eq!(
            ids("ann:audio", &[]),
            (1000, 29, vec![29], "/home/ann".into())
        );
        assert_eq!(ids("4242", &[]), (4242, 0, vec![0], "/".into()));
        assert_eq!(ids("4242:4343", &[]), (4242, 4343, vec![4343], "/".into()));
        assert_eq!(
            ids("4242:users", &["audio", "7"]),
            (4242, 100, vec![100, 29, 7], "/".into())
        );
    }

    #[test]
    fn unknown_names_and_wild_numbers_are_refused() {
        let message = |spec: &str| identify(PASSWD, GROUP, spec, &[]).unwrap_err().to_string();
        assert_eq!(
            message("foo"),
            "unable to find user foo: no matching entries in passwd file"
        );
        assert_eq!(
            message("ann:foo"),
            "unable to find group foo: no matching entries in group file"
        );
        assert_eq!(message("-1"), "uids and gids must be in range 0-2147483647");
        assert_eq!(
            message("4294967295"),
            "uids and gids must be in range 0-2147483647"
        );
    }

    #[test]
    fn an_image_without_files_still_has_root() {
        let identity = identify("", "", "", &[]).unwrap();
        assert_eq!((identity.uid.as_raw(), identity.home.as_str()), (0, "/"));
    }
}
