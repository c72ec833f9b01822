//! `/dev`: the nodes and links that every container has, and all of the host's for a privileged
//! one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dev, FileType, Mode, OFlags, major, makedev, minor};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use rustix::process::{Gid, Uid};

use super::mounts::attach_at;
use super::resolve;
use crate::error::{Context, Error};
use crate::spec::{Device, DeviceKind};

/// A device node to make, relative to `/dev`.
pub(super) struct Node {
    path: PathBuf,
    kind: FileType,
    device: Dev,
    mode: u32,
}

/// The character devices of every container (OCI runtime spec, default devices).
const STANDARD: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Symbolic links of every container.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// Fills a fresh `/dev` and returns its `null`, checked to be the real device
/// (CVE-2025-31133 masked paths with a `/dev/null` of the image's making).
pub(super) fn populate(dev: BorrowedFd<'_>, host: &[Node]) -> Result<OwnedFd, Error> {
    for (name, major, minor) in STANDARD {
        make_node(
            dev,
            name,
            FileType::CharacterDevice,
            makedev(major, minor),
            0o666,
        )?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, dev, name).at("make the link in /dev", name)?;
    }
    for node in host {
        if let Some(parent) = node.path.parent() {
            make_parents(dev, parent)?;
        }
        match make_node(dev, &node.path, node.kind, node.device, node.mode) {
            Err(Error::Path {
                source: Errno::EXIST,
                ..
            }) => {}
            other => other?,
        }
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let null = rustix::fs::openat(dev, "null", flags, Mode::empty()).at("open", "/dev/null")?;
    check_null(null.as_fd())?;
    Ok(null)
}

fn make_parents(dev: BorrowedFd<'_>, parent: &Path) -> Result<(), Error> {
    let mut path = PathBuf::new();
    for component in parent.components() {
        path.push(component);
        match rustix::fs::mkdirat(dev, &path, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).at("make the directory in /dev", &path),
        }
    }
    Ok(())
}

/// `mknod`, or a bind of the host's node where `mknod` is refused (an engine inside a container).
fn make_node(
    dev: BorrowedFd<'_>,
    name: impl AsRef<Path>,
    kind: FileType,
    device: Dev,
    mode: u32,
) -> Result<(), Error> {
    let name = name.as_ref();
    let mode = Mode::from_raw_mode(mode);
    match rustix::fs::mknodat(dev, name, kind, mode, device) {
        Ok(()) => rustix::fs::chmodat(dev, name, mode, AtFlags::empty())
            .at("set the mode of the device", name),
        Err(Errno::PERM) => bind_node(dev, name),
        Err(errno) => Err(errno).at("make the device", name),
    }
}

fn bind_node(dev: BorrowedFd<'_>, name: &Path) -> Result<(), Error> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let point =
        rustix::fs::openat(dev, name, flags, Mode::from_raw_mode(0o666)).at("make", name)?;
    let source = Path::new("/dev").join(name);
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, &source, flags).at("open the device", &source)?;
    attach_at(tree.as_fd(), point.as_fd()).at("bind the device", &source)
}

/// Makes the nodes that the container was given. One that is there already stays: it is of `/dev`
/// as every container has it, or of the image.
pub(super) fn make_asked_for(root: BorrowedFd<'_>, devices: &[Device]) -> Result<(), Error> {
    for device in devices {
        let path = Path::new(&device.path);
        let (Some(parent), Some(name)) = (path.parent().and_then(Path::to_str), path.file_name())
        else {
            return Err(Error::Invalid(format!(
                "invalid device path: {}",
                device.path
            )));
        };
        let parent = resolve::create_directories(root, parent)?;
        let kind = match device.kind {
            DeviceKind::Block => FileType::BlockDevice,
            DeviceKind::Character => FileType::CharacterDevice,
        };
        let numbers = makedev(device.major, device.minor);
        match rustix::fs::mknodat(&parent, name, kind, Mode::from_raw_mode(0o600), numbers) {
            Ok(()) => {}
            Err(Errno::EXIST) => continue,
            Err(errno) => return Err(errno).at("make the device", path),
        }
        rustix::fs::chownat(
            &parent,
            name,
            Some(Uid::from_raw(device.uid)),
            Some(Gid::from_raw(device.gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .at("set the owner of the device", path)?;
        let mode = Mode::from_raw_mode(device.mode & 0o7777);
        rustix::fs::chmodat(&parent, name, mode, AtFlags::empty())
            .at("set the mode of the device", path)?;
    }
    Ok(())
}

/// Errors unless the descriptor is character device 1:3.
pub(super) fn check_null(null: BorrowedFd<'_>) -> Result<(), Error> {
    let stat = rustix::fs::statat(null, "", AtFlags::EMPTY_PATH).at("look at", "/dev/null")?;
    let real = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3);
    if real {
        Ok(())
    } else {
        Err(Error::Invalid(
            "the container's /dev/null is not the null device".into(),
        ))
    }
}

/// Opens the null device for standard input.
pub(super) fn open_null() -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let null = rustix::fs::open("/dev/null", flags, Mode::empty()).at("open", "/dev/null")?;
    check_null(null.as_fd())?;
    Ok(null)
}

/// Every device node of the host, for a privileged container; none otherwise.
pub(super) fn host_nodes(privileged: bool) -> Result<Vec<Node>, Error> {
    let mut nodes = Vec::new();
    if privileged {
        collect(Path::new("/dev"), &mut nodes)?;
    }
    Ok(nodes)
}

fn collect(directory: &Path, nodes: &mut Vec<Node>) -> Result<(), Error> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    /// Mounted anew in every container, or of the host's own terminal.
    const OWN: [&str; 5] = [
        "/dev/pts",
        "/dev/shm",
        "/dev/mqueue",
        "/dev/console",
        "/dev/fd",
    ];
    for entry in std::fs::read_dir(directory).at("list", directory)? {
        let entry = entry.at("list", directory)?;
        let path = entry.path();
        if OWN.iter().any(|own| path == Path::new(own)) {
            continue;
        }
        let metadata = entry.metadata().at("look at", &path)?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            collect(&path, nodes)?;
        } else if kind.is_char_device() || kind.is_block_device() {
            nodes.push(Node {
                path: path.strip_prefix("/dev").unwrap_or(&path).to_owned(),
                kind: if kind.is_block_device() {
                    FileType::BlockDevice
                } else {
                    FileType::CharacterDevice
                },
                device: metadata.rdev(),
                mode: metadata.mode() & 0o777,
            });
        }
    }
    Ok(())
}
