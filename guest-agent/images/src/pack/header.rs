//! An entry's header: ustar, with PAX records for what ustar has no room for. As in Docker's
//! archives there are no user names, and except in the whole form no fractions of seconds and of
//! the extended attributes only a program's capabilities.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use tar_core::EntryType;
use tar_core::builder::EntryBuilder;

use crate::sparse::Region;
use crate::{Error, Result};

const CAPABILITY: &str = "security.capability";
/// `struct vfs_ns_cap_data` without its last field, the root user of a namespace.
const CAPABILITY_2: usize = 20;
/// Room for the names of as many attributes as files usually have.
const FEW: usize = 512;
/// XATTR_LIST_MAX and XATTR_SIZE_MAX.
const MOST: usize = 64 * 1024;
/// Where the revision is in it.
const REVISION: usize = 3;

/// What an entry has besides its name and what `stat` tells.
pub(super) enum Link<'a> {
    /// Nothing.
    None,
    /// It is a symbolic link with this text.
    Symbolic(&'a [u8]),
    /// It is another name of this earlier entry.
    Hard(&'a [u8]),
}

/// Name and value of an extended attribute.
pub(crate) type Attribute = (Vec<u8>, Vec<u8>);

/// What is told of an entry only where it matters.
#[derive(Default)]
pub(super) struct More {
    /// Extended attributes.
    pub(super) attributes: Vec<Attribute>,
    /// Times with their fractions.
    pub(super) fractions: bool,
    /// The content is a map of a sparse file and its data, so many bytes in all.
    pub(super) sparse: Option<u64>,
}

/// The header blocks of an entry.
pub(super) fn encode(name: &[u8], stat: &Stat, link: &Link<'_>, more: &More) -> Result<Vec<u8>> {
    let entry_type = match (link, FileType::from_raw_mode(stat.st_mode)) {
        (Link::Symbolic(_), _) => EntryType::Symlink,
        (Link::Hard(_), _) => EntryType::Link,
        (_, FileType::Directory) => EntryType::Directory,
        (_, FileType::CharacterDevice) => EntryType::Char,
        (_, FileType::BlockDevice) => EntryType::Block,
        (_, FileType::Fifo) => EntryType::Fifo,
        _ => EntryType::Regular,
    };
    let mut builder = EntryBuilder::new_ustar();
    match more.sparse {
        Some(_) => builder.path(sparse_name(name)),
        None => builder.path(name),
    };
    builder.entry_type(entry_type);
    if let Link::Symbolic(target) | Link::Hard(target) = link {
        builder.link_name(target);
    }
    let content = if entry_type == EntryType::Regular {
        more.sparse.unwrap_or_else(|| size(stat))
    } else {
        0
    };
    builder
        // The kind of file is told elsewhere; Go leaves its bits out, and clients compare.
        .mode(stat.st_mode & 0o7777)
        .and_then(|builder| builder.uid(u64::from(stat.st_uid)))
        .and_then(|builder| builder.gid(u64::from(stat.st_gid)))
        .and_then(|builder| builder.size(content))
        .map_err(unfit)?;
    let fraction = match more.fractions {
        true => u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        false => 0,
    };
    // Before 1970 there is no room for in the field of its own.
    let plain = u64::try_from(stat.st_mtime).ok();
    builder.mtime(plain.unwrap_or(0)).map_err(unfit)?;
    if plain.is_none() || fraction > 0 {
        builder.add_pax("mtime", time(stat.st_mtime as _, fraction));
    }
    if matches!(entry_type, EntryType::Char | EntryType::Block) {
        let (major, minor) = (
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
        );
        builder.device(major, minor).map_err(unfit)?;
    }
    for (name, value) in &more.attributes {
        match std::str::from_utf8(name) {
            // A record's key ends at the first of these.
            Ok(name) if !name.contains('=') => {
                builder.add_pax(&format!("SCHILY.xattr.{name}"), value);
            }
            _ => {
                tracing::warn!(name = %String::from_utf8_lossy(name), "an attribute does not fit into an archive")
            }
        }
    }
    if more.sparse.is_some() {
        builder
            .add_pax("GNU.sparse.major", "1")
            .add_pax("GNU.sparse.minor", "0")
            .add_pax("GNU.sparse.name", name)
            .add_pax("GNU.sparse.realsize", size(stat).to_string());
    }
    Ok(builder.finish_bytes())
}

/// Seconds with their fraction, which counts forward before 1970 as well.
fn time(seconds: i64, nanoseconds: u32) -> String {
    if nanoseconds == 0 {
        return seconds.to_string();
    }
    if seconds < 0 {
        let (whole, rest) = (seconds + 1, 1_000_000_000 - nanoseconds);
        let sign = if whole == 0 { "-" } else { "" };
        return format!("{sign}{whole}.{rest:09}");
    }
    format!("{seconds}.{nanoseconds:09}")
}

/// Under this name a reader that knows no sparse files finds the data: GNU tar's custom.
fn sparse_name(name: &[u8]) -> Vec<u8> {
    let start = name
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |at| at + 1);
    [&name[..start], b"GNUSparseFile.0/", &name[start..]].concat()
}

/// The list that comes before a sparse file's data: GNU's PAX format 1.0.
pub(super) fn sparse_map(regions: &[Region], size: u64) -> Vec<u8> {
    let mut all = regions.to_vec();
    if all
        .last()
        .is_none_or(|(offset, length)| offset + length < size)
    {
        // Says where the hole at the end ends.
        all.push((size, 0));
    }
    let mut text = format!("{}\n", all.len());
    for (offset, length) in all {
        text += &format!("{offset}\n{length}\n");
    }
    let mut map = text.into_bytes();
    map.resize(map.len().next_multiple_of(512), 0);
    map
}

/// A small file without content, owned by root.
pub(super) fn empty_file(name: &[u8]) -> Result<Vec<u8>> {
    let mut builder = EntryBuilder::new_ustar();
    builder.path(name).entry_type(EntryType::Regular);
    builder
        .mode(0o600)
        .and_then(|builder| builder.uid(0))
        .and_then(|builder| builder.gid(0))
        .and_then(|builder| builder.size(0))
        .and_then(|builder| builder.mtime(0))
        .map_err(unfit)?;
    Ok(builder.finish_bytes())
}

/// A file's size.
pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// What a program may do, if that is noted on it. The root user of a user namespace makes no sense
/// outside of it and is left out.
pub(super) fn capability(file: BorrowedFd<'_>) -> Option<Attribute> {
    let mut value = vec![0; 64];
    let count = rustix::fs::fgetxattr(file, CAPABILITY, value.as_mut_slice()).ok()?;
    value.truncate(count);
    if value.get(REVISION) == Some(&3) && value.len() > CAPABILITY_2 {
        value[REVISION] = 2;
        value.truncate(CAPABILITY_2);
    }
    Some((CAPABILITY.into(), value))
}

/// All extended attributes of an open file or directory.
pub(crate) fn attributes(file: BorrowedFd<'_>) -> Vec<Attribute> {
    all(
        |names| rustix::fs::flistxattr(file, names),
        |name, value| rustix::fs::fgetxattr(file, name, value),
    )
}

/// All extended attributes of what is not to be opened: a link, a device.
pub(crate) fn attributes_at(parent: BorrowedFd<'_>, name: &CStr) -> Vec<Attribute> {
    let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    all(
        |names| rustix::fs::llistxattr(path.as_slice(), names),
        |name, value| rustix::fs::lgetxattr(path.as_slice(), name, value),
    )
}

/// Reads attributes with room for as much as Linux allows. A file system without any has none.
fn all(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&CStr, &mut [u8]) -> rustix::io::Result<usize>,
) -> Vec<Attribute> {
    // Most files have none or few.
    let mut names = vec![0; FEW];
    let listed = match list(&mut names) {
        Err(Errno::RANGE) => {
            names.resize(MOST, 0);
            list(&mut names)
        }
        listed => listed,
    };
    let count = match listed {
        Ok(0) | Err(_) => return Vec::new(),
        Ok(count) => count,
    };
    let mut value = vec![0; MOST];
    let mut attributes = Vec::new();
    for name in names[..count].split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        if let Ok(count) = get(name, &mut value) {
            attributes.push((name.to_bytes().to_vec(), value[..count].to_vec()));
        }
    }
    attributes
}

fn unfit(error: impl std::fmt::Display) -> Error {
    Error::invalid(format!("a file does not fit into an archive: {error}"))
}
