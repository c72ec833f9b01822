//! The files of several layers as a container would see them, without mounting anything. Nothing
//! is followed unless asked for, and then never out of the layers.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::pack::is_whiteout;
use crate::{Digest, Error, Result};

/// As many links are followed as by the kernel.
const MAX_LINKS: usize = 40;

/// Layers, topmost first.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    id: Digest,
    root: OwnedFd,
    path: PathBuf,
}

/// Something that can be seen.
#[derive(Debug)]
pub(crate) struct Node {
    /// Clean path, empty for the root.
    pub(crate) path: Vec<u8>,
    /// What it is, in the layer that shows it.
    pub(crate) stat: Stat,
    /// Places of the layers in which it is: the first shows it, the others add to a directory.
    layers: Vec<usize>,
}

/// Something that one layer holds.
pub(crate) struct Raw<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) stat: &'a Stat,
    /// It stands for a removed file of the layers below.
    pub(crate) whiteout: bool,
    /// It is a directory that hides the one below.
    pub(crate) opaque: bool,
}

impl Node {
    /// The place of the layer that shows it, counted from the topmost.
    pub(crate) fn place(&self) -> usize {
        self.layers.first().copied().unwrap_or(0)
    }

    pub(crate) fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }
}

impl Merged {
    /// Opens layers, topmost first.
    pub(crate) fn open_all(layers: Vec<(Digest, PathBuf)>) -> Result<Self> {
        let open = |(id, path): (Digest, PathBuf)| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = rustix::fs::openat(CWD, &path, flags, Mode::empty())
                .map_err(|errno| Error::io("open layer", &path)(errno.into()))?;
            Ok(Layer { id, root, path })
        };
        Ok(Self {
            layers: layers.into_iter().map(open).collect::<Result<_>>()?,
        })
    }

    /// The layer that shows a node.
    pub(crate) fn layer(&self, node: &Node) -> Digest {
        self.layers[node.place()].id
    }

    /// What a clean path names. Links on the way are not followed.
    pub(crate) fn look(&self, path: &[u8]) -> Result<Option<Node>> {
        let Some(mut node) = self.root()? else {
            return Ok(None);
        };
        for component in path.split(|&byte| byte == b'/') {
            if component.is_empty() {
                continue;
            }
            match self.step(&node, component)? {
                Some(next) => node = next,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// What a path names once all links are followed.
    pub(crate) fn follow(&self, path: &[u8]) -> Result<Option<Node>> {
        let mut todo: Vec<Vec<u8>> = split(path).rev().collect();
        let mut done: Vec<Node> = self.root()?.into_iter().collect();
        let mut links = 0;
        while let Some(component) = todo.pop() {
            match &*component {
                b"." => continue,
                b".." => {
                    if done.len() > 1 {
                        done.pop();
                    }
                    continue;
                }
                _ => {}
            }
            let Some(at) = done.last() else {
                return Ok(None);
            };
            let Some(next) = self.step(at, &component)? else {
                return Ok(None);
            };
            if FileType::from_raw_mode(next.stat.st_mode) != FileType::Symlink {
                done.push(next);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Error::invalid("too many levels of symbolic links"));
            }
            let target = self.target(&next)?;
            if target.starts_with(b"/") {
                done.truncate(1);
            }
            todo.extend(split(&target).rev());
        }
        Ok(done.pop())
    }

    fn root(&self) -> Result<Option<Node>> {
        let Some(top) = self.layers.first() else {
            return Ok(None);
        };
        let stat = rustix::fs::fstat(&top.root)
            .map_err(|errno| Error::io("inspect", &top.path)(errno.into()))?;
        let mut layers = Vec::new();
        for (place, layer) in self.layers.iter().enumerate() {
            layers.push(place);
            if is_opaque(&layer.root) {
                break;
            }
        }
        Ok(Some(Node {
            path: Vec::new(),
            stat,
            layers,
        }))
    }

    /// A member of a directory.
    fn step(&self, at: &Node, name: &[u8]) -> Result<Option<Node>> {
        if !at.is_directory() {
            return Ok(None);
        }
        let mut path = at.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let mut node: Option<Node> = None;
        for &place in &at.layers {
            let layer = &self.layers[place];
            let handle = match open_in(layer, &path, OFlags::PATH | OFlags::NOFOLLOW) {
                Ok(handle) => handle,
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                Err(errno) => return Err(failed(layer, &path, errno)),
            };
            let stat = rustix::fs::fstat(&handle).map_err(|errno| failed(layer, &path, errno))?;
            let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            match &mut node {
                None if is_whiteout(&stat) => return Ok(None),
                None => {
                    node = Some(Node {
                        path: path.clone(),
                        stat,
                        layers: vec![place],
                    });
                }
                Some(_) if !directory => break,
                Some(node) => node.layers.push(place),
            }
            if !directory {
                break;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let readable =
                open_in(layer, &path, flags).map_err(|errno| failed(layer, &path, errno))?;
            if is_opaque(&readable) {
                break;
            }
        }
        Ok(node)
    }

    /// What is in a directory, by name.
    pub(crate) fn members(&self, at: &Node) -> Result<BTreeMap<Vec<u8>, Node>> {
        let mut names: Vec<Vec<u8>> = Vec::new();
        for &place in &at.layers {
            names.extend(self.names(place, &at.path)?);
        }
        names.sort();
        names.dedup();
        let mut members = BTreeMap::new();
        for name in names {
            if let Some(node) = self.step(at, &name)? {
                members.insert(name, node);
            }
        }
        Ok(members)
    }

    fn names(&self, place: usize, path: &[u8]) -> Result<Vec<Vec<u8>>> {
        let layer = &self.layers[place];
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let handle = open_in(layer, path, flags).map_err(|errno| failed(layer, path, errno))?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&handle).map_err(|errno| failed(layer, path, errno))? {
            let entry = entry.map_err(|errno| failed(layer, path, errno))?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.to_vec());
            }
        }
        Ok(names)
    }

    /// Tells everything that one layer itself holds, whiteouts too, directories before their
    /// members. Ends early when `visit` says so.
    pub(crate) fn walk_layer(
        &self,
        place: usize,
        visit: &mut dyn FnMut(&Raw<'_>) -> bool,
    ) -> Result<()> {
        let layer = &self.layers[place];
        let mut directories: Vec<Vec<u8>> = vec![Vec::new()];
        while let Some(directory) = directories.pop() {
            let mut names = self.names(place, &directory)?;
            names.sort();
            for name in names {
                let mut path = directory.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(&name);
                let handle = open_in(layer, &path, OFlags::PATH | OFlags::NOFOLLOW)
                    .map_err(|errno| failed(layer, &path, errno))?;
                let stat =
                    rustix::fs::fstat(&handle).map_err(|errno| failed(layer, &path, errno))?;
                let kind = FileType::from_raw_mode(stat.st_mode);
                let mut opaque = false;
                if kind == FileType::Directory {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                    let readable = open_in(layer, &path, flags)
                        .map_err(|errno| failed(layer, &path, errno))?;
                    opaque = is_opaque(&readable);
                    directories.push(path.clone());
                }
                let raw = Raw {
                    path: &path,
                    stat: &stat,
                    whiteout: is_whiteout(&stat),
                    opaque,
                };
                if !visit(&raw) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The layers that a node comes from, topmost first.
    pub(crate) fn origin(&self, node: &Node) -> Vec<Digest> {
        let layers = node.layers.iter();
        layers.map(|&place| self.layers[place].id).collect()
    }

    /// How many layers there are.
    pub(crate) fn depth(&self) -> usize {
        self.layers.len()
    }

    /// A regular file's content.
    pub(crate) fn open(&self, node: &Node) -> Result<File> {
        let layer = &self.layers[node.place()];
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let handle =
            open_in(layer, &node.path, flags).map_err(|errno| failed(layer, &node.path, errno))?;
        Ok(handle.into())
    }

    /// Where a symbolic link points to.
    pub(crate) fn target(&self, node: &Node) -> Result<Vec<u8>> {
        let layer = &self.layers[node.place()];
        let target = open_in(layer, &node.path, OFlags::PATH | OFlags::NOFOLLOW)
            .and_then(|handle| rustix::fs::readlinkat(handle, "", Vec::new()))
            .map_err(|errno| failed(layer, &node.path, errno))?;
        Ok(target.into_bytes())
    }

    /// Extended attributes, but for overlayfs's own.
    pub(crate) fn attributes(&self, node: &Node) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let layer = &self.layers[node.place()];
        let failed = |errno| failed(layer, &node.path, errno);
        let handle = open_in(layer, &node.path, OFlags::PATH | OFlags::NOFOLLOW).map_err(failed)?;
        // A handle of this kind reads no attributes itself.
        let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
        let mut list = vec![0; 64 * 1024];
        let length = match rustix::fs::listxattr(&path, &mut list[..]) {
            Err(Errno::OPNOTSUPP) => 0,
            listed => listed.map_err(failed)?,
        };
        let mut attributes = Vec::new();
        for name in list[..length].split(|&byte| byte == 0) {
            if name.is_empty() || name.starts_with(b"trusted.overlay.") {
                continue;
            }
            let mut value = vec![0; 64 * 1024];
            let size = rustix::fs::getxattr(&path, name, &mut value[..]).map_err(failed)?;
            value.truncate(size);
            attributes.push((name.to_vec(), value));
        }
        Ok(attributes)
    }
}

fn split(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|component| !component.is_empty())
        .map(<[u8]>::to_vec)
        .collect::<Vec<_>>()
        .into_iter()
}

fn open_in(layer: &Layer, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() {
        b".".as_slice()
    } else {
        path
    };
    // A link that is the last component is opened itself, with the flags for that.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = flags | OFlags::CLOEXEC;
    loop {
        match rustix::fs::openat2(&layer.root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

fn is_opaque(directory: &OwnedFd) -> bool {
    let mut value = [0; 2];
    let name = "trusted.overlay.opaque";
    rustix::fs::fgetxattr(directory.as_fd(), name, &mut value[..]).is_ok_and(|n| n == 1)
        && value[0] == b'y'
}

fn failed(layer: &Layer, path: &[u8], errno: Errno) -> Error {
    let shown = layer.path.join(String::from_utf8_lossy(path).as_ref());
    Error::io("read", &shown)(errno.into())
}
