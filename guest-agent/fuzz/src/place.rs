//! A directory to write into, and a neighbour that nothing may touch. As root it lies on a small file
//! system of its own that goes with the process, so that nothing can fill the disk.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use rustix::thread::UnshareFlags;

/// What there is room for.
const SIZE: &std::ffi::CStr = c"size=256m,nr_inodes=100k,mode=755";

/// The variable that names the directory of corpus and findings.
const KEPT: &str = "SLIPWAY_FUZZ_DIR";

/// The directory and its neighbour.
#[derive(Debug)]
pub struct Place {
    top: PathBuf,
    before: Vec<Fact>,
}

/// Everything that the kernel tells of a file; also when it was last changed in any way.
#[derive(Debug, PartialEq)]
struct Fact {
    path: PathBuf,
    numbers: Vec<i64>,
    content: Vec<u8>,
}

impl Place {
    /// Makes them.
    #[must_use]
    pub fn new() -> Self {
        let top = std::env::temp_dir().join("slipway-fuzz");
        fs::create_dir_all(&top).unwrap();
        let top = if mount_own(&top) {
            top
        } else {
            // Without privileges: one for each process, left behind.
            top.join(std::process::id().to_string())
        };
        let beside = top.join("beside");
        fs::create_dir_all(beside.join("directory")).unwrap();
        fs::write(beside.join("secret"), "outside").unwrap();
        fs::write(beside.join("directory/file"), "outside, too").unwrap();
        std::os::unix::fs::symlink("secret", beside.join("link")).unwrap();
        let mut place = Self {
            top,
            before: Vec::new(),
        };
        place.before = place.facts();
        place
    }

    /// Where the neighbour is.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// An empty directory of this name, beside the neighbour.
    #[must_use]
    pub fn fresh(&self, name: &str) -> PathBuf {
        let path = self.top.join(name);
        if path.symlink_metadata().is_ok() {
            images::remove_tree(&path).unwrap();
        }
        fs::create_dir(&path).unwrap();
        path
    }

    /// Makes the place all that this process sees, but for `/proc` and where findings are kept.
    pub(crate) fn enclose(&mut self) {
        let mut kept = vec![PathBuf::from("/proc")];
        kept.extend(std::env::var_os(KEPT).map(PathBuf::from));
        for path in kept {
            let inside = self.top.join(path.strip_prefix("/").unwrap());
            fs::create_dir_all(&inside).unwrap();
            mount_bind_recursive(&path, &inside).unwrap();
        }
        rustix::process::chroot(&self.top).unwrap();
        rustix::process::chdir("/").unwrap();
        self.top = PathBuf::from("/");
        self.before = self.facts();
    }

    /// Fails when the neighbour is not what it was.
    pub fn check(&self) {
        assert_eq!(self.facts(), self.before, "something outside was touched");
    }

    fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        let mut todo = vec![self.top.join("beside")];
        while let Some(path) = todo.pop() {
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_dir() {
                let mut names: Vec<_> = fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
                    .collect();
                names.sort();
                todo.extend(names);
                Vec::new()
            } else if meta.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            let (ino, links) = (meta.ino().cast_signed(), meta.nlink().cast_signed());
            let numbers = [
                [
                    ino,
                    links,
                    meta.mode().into(),
                    meta.uid().into(),
                    meta.gid().into(),
                ],
                [
                    meta.mtime(),
                    meta.mtime_nsec(),
                    meta.ctime(),
                    meta.ctime_nsec(),
                    meta.size().cast_signed(),
                ],
            ];
            facts.push(Fact {
                path,
                numbers: numbers.concat(),
                content,
            });
        }
        facts
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

/// Mounts a file system that only this process sees; false when it may not.
fn mount_own(at: &Path) -> bool {
    if leave(UnshareFlags::NEWNS).is_err() {
        return false;
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).unwrap();
    mount("tmpfs", at, "tmpfs", MountFlags::empty(), SIZE).unwrap();
    true
}

/// Leaves namespaces.
#[expect(unsafe_code, reason = "unshare is unsafe for CLONE_FILES only")]
pub(crate) fn leave(what: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: the descriptor table is not unshared.
    unsafe { rustix::thread::unshare_unsafe(what) }
}
