//! Paths in a container: the lexical rules of Go's `filepath`, which clients rely on, and links
//! resolved step by step with the container's root as `/`.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// As many links as Docker follows.
const MOST_LINKS: usize = 255;

/// `filepath.Join("/", path)`: absolute, without `.`, `..` and double slashes.
pub(crate) fn clean(path: &str) -> String {
    let mut components: Vec<&str> = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    format!("/{}", components.join("/"))
}

/// Gives a cleaned path the ending `/` or `/.` of what it was cleaned from: both say that it must
/// be a directory.
pub(super) fn keep_ending(mut cleaned: String, original: &str) -> String {
    if base(original) == "." && base(&cleaned) != "." {
        if !cleaned.ends_with('/') {
            cleaned.push('/');
        }
        cleaned.push('.');
    }
    if original.ends_with('/') && !cleaned.ends_with('/') {
        cleaned.push('/');
    }
    cleaned
}

/// `filepath.Base`: the last component, `/` for the root and `.` for nothing.
pub(super) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/";
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

/// Directory (with its slash) and last component.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rfind('/')
        .map_or(("", path), |at| path.split_at(at + 1))
}

/// A handle of what is at a path, which is not opened, and what it is. A link at the end is not
/// followed.
pub(super) fn look(root: BorrowedFd<'_>, path: &str) -> Result<(OwnedFd, Stat), Errno> {
    let handle = open(root, path, OFlags::PATH | OFlags::NOFOLLOW)?;
    let stat = rustix::fs::fstat(&handle)?;
    Ok((handle, stat))
}

/// Opens a path. Whatever links are on the way, it stays in the root.
pub(crate) fn open(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { "." } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            // Something was renamed while the kernel was on its way.
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

/// Follows all links of a path, the last one too, as far as there is anything: the rest is taken
/// as it is. Returns a clean absolute path.
pub(super) fn follow(root: BorrowedFd<'_>, path: &str) -> Result<String, Errno> {
    let mut todo: VecDeque<String> = components(path).collect();
    let mut done: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(component) = todo.pop_front() {
        if component == ".." {
            done.pop();
            continue;
        }
        done.push(component);
        let so_far = format!("/{}", done.join("/"));
        let (handle, stat) = match look(root, &so_far) {
            Ok(found) => found,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Errno::LOOP);
        }
        let target = rustix::fs::readlinkat(&handle, "", Vec::new())?;
        let target = target.to_string_lossy().into_owned();
        done.pop();
        if target.starts_with('/') {
            done.clear();
        }
        for component in components(&target).collect::<Vec<_>>().into_iter().rev() {
            todo.push_front(component);
        }
    }
    Ok(format!("/{}", done.join("/")))
}

fn components(path: &str) -> impl Iterator<Item = String> + '_ {
    path.split('/')
        .filter(|component| !component.is_empty() && *component != ".")
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_go_s() {
        for (path, cleaned, ending, last) in [
            ("", "/", "/.", "."),
            ("/", "/", "/", "/"),
            ("a", "/a", "/a", "a"),
            ("/a/", "/a", "/a/", "a"),
            ("/a/.", "/a", "/a/.", "."),
            ("/a/..", "/", "/", ".."),
            ("../../etc", "/etc", "/etc", "etc"),
            ("/a//b/../c/", "/a/c", "/a/c/", "c"),
            ("/.", "/", "/.", "."),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
            assert_eq!(keep_ending(clean(path), path), ending, "{path}");
            assert_eq!(base(path), last, "{path}");
        }
        assert_eq!(split("/a/b"), ("/a/", "b"));
        assert_eq!(split("/b"), ("/", "b"));
    }

    /// A root with links of every kind, and a neighbour that no path may reach.
    fn place() -> (tempfile::TempDir, OwnedFd) {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(place.path().join("secret"), "outside").unwrap();
        std::fs::write(root.join("a/b/file"), "inside").unwrap();
        for (name, target) in [
            ("up", "../../../secret"),
            ("abs", "/a/b"),
            ("rel", "a/./b/../b"),
            ("loop", "loop"),
            ("gone", "nowhere/x"),
            ("a/root", "/"),
            ("a/b/out", "../../../../.."),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(&root, flags, Mode::empty()).unwrap();
        (place, handle)
    }

    #[test]
    fn links_are_followed_in_the_root() {
        let (_place, root) = place();
        for (path, expected) in [
            ("/abs/file", Ok("/a/b/file")),
            ("rel/out/a/root/abs", Ok("/a/b")),
            ("/up", Ok("/secret")),
            ("/gone/y", Ok("/nowhere/x/y")),
            ("/a/b/out", Ok("/")),
            ("/loop", Err(Errno::LOOP)),
            ("/a/b/file/x", Err(Errno::NOTDIR)),
        ] {
            let found = follow(root.as_fd(), path);
            assert_eq!(found, expected.map(str::to_owned), "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_outside_is_ever_reached(parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "..", ".", "", "a", "b", "file", "up", "abs", "rel", "loop", "gone", "root", "out",
                "secret", "proc", "self", "...", "\u{e9}",
            ]), 0..10)
        ) {
            let (place, root) = place();
            let path = parts.join("/");
            let cleaned = clean(&path);
            prop_assert!(cleaned.starts_with('/') && !cleaned.contains("//"));
            prop_assert!(!cleaned.split('/').any(|part| part == ".." || part == "."));
            prop_assert_eq!(clean(&cleaned), cleaned.clone());
            if let Ok(followed) = follow(root.as_fd(), &path) {
                prop_assert!(!followed.split('/').any(|part| part == ".."));
            }
            let secret = std::fs::metadata(place.path().join("secret")).unwrap();
            use std::os::unix::fs::MetadataExt as _;
            for path in [&path, &cleaned] {
                if let Ok((_, stat)) = look(root.as_fd(), path) {
                    prop_assert_ne!(stat.st_ino, secret.ino());
                }
                if let Ok(opened) = open(root.as_fd(), path, OFlags::RDONLY | OFlags::NONBLOCK) {
                    let stat = rustix::fs::fstat(&opened).unwrap();
                    prop_assert_ne!(stat.st_ino, secret.ino());
                }
            }
        }
    }
}
