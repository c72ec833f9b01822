//! Trees with all that makes up their files: through the whole form, through GNU tar, and by a copy.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{
    FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink,
};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use rustix::fs::{CWD, Mode, Timespec, Timestamps, XattrFlags};

use super::*;
use crate::unpack::{Extract, extract};

fn pack(tree: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let directory = fs::File::open(tree).unwrap();
    let mut packer = Packer::new(Form::Whole, |piece| {
        bytes.extend_from_slice(&piece);
        true
    });
    packer.directory(directory.as_fd(), b".").unwrap();
    packer.finish().unwrap();
    bytes
}

fn whole() -> Extract {
    Extract {
        whole: true,
        ..Extract::default()
    }
}

fn unpack(bytes: &[u8]) -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    let root = fs::File::open(out.path()).unwrap();
    extract(bytes, root.as_fd(), &whole()).unwrap();
    out
}

fn copy(tree: &Path) -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    let (from, to) = (
        fs::File::open(tree).unwrap(),
        fs::File::open(out.path()).unwrap(),
    );
    crate::copy_tree(from.as_fd(), to.as_fd()).unwrap();
    out
}

/// A line for all that is known of each path, the top's too. Files with several names are told
/// apart by the first of them.
fn look(tree: &Path) -> Vec<String> {
    let mut first: HashMap<u64, PathBuf> = HashMap::new();
    let mut lines = Vec::new();
    let mut todo = vec![tree.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(tree).unwrap().to_owned();
        let kind = meta.file_type();
        let content = if kind.is_symlink() {
            format!("{:?}", fs::read_link(&path).unwrap())
        } else if kind.is_file() {
            crate::Digest::of(&fs::read(&path).unwrap()).to_string()
        } else if kind.is_char_device() {
            format!("{:x}", meta.rdev())
        } else {
            String::new()
        };
        let same = first
            .entry(meta.ino())
            .or_insert_with(|| name.clone())
            .clone();
        let parent = fs::File::open(path.parent().unwrap()).unwrap();
        let last = std::ffi::CString::new(path.file_name().unwrap().as_bytes()).unwrap();
        let mut attributes = attributes_at(parent.as_fd(), &last);
        attributes.sort();
        lines.push(format!(
            "{name:?} {:o} {}:{} {}.{} {same:?} {content} {attributes:?}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
        ));
        if kind.is_dir() {
            let mut inner: Vec<_> = fs::read_dir(&path)
                .unwrap()
                .map(|e| e.unwrap().path())
                .collect();
            inner.sort();
            todo.extend(inner.into_iter().rev());
        }
    }
    lines
}

fn set_time(path: &Path, seconds: i64, nanoseconds: u32) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: i64::from(nanoseconds),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// As large as it looks, with data at these places only.
fn sparse(path: &Path, size: u64, data: &[u64]) {
    let file = fs::File::create(path).unwrap();
    file.set_len(size).unwrap();
    for at in data {
        file.write_all_at(b"data", *at).unwrap();
    }
}

fn blocks(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks()
}

fn mixed() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let at = |name: &str| tree.path().join(name);
    fs::create_dir_all(at("dir/deep")).unwrap();
    fs::write(at("dir/a"), "content").unwrap();
    fs::hard_link(at("dir/a"), at("dir/deep/b")).unwrap();
    symlink("/etc/passwd", at("absolute")).unwrap();
    symlink("../../out", at("dir/relative")).unwrap();
    fs::write(at(".wh.name"), "no whiteout").unwrap();
    fs::write(at("-n caf\u{e9}\n"), "").unwrap();
    fs::write(at(&"n".repeat(200)), "long").unwrap();
    sparse(&at("dir/holes"), 64 << 20, &[1 << 20, 40 << 20]);
    sparse(&at("dir/only-a-hole"), 1 << 20, &[]);
    sparse(&at("dir/ends-with-data"), (1 << 20) + 4, &[1 << 20]);
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(
        CWD,
        at("null"),
        kind,
        Mode::from(0o600),
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    rustix::fs::mknodat(CWD, at("whiteout"), kind, Mode::from(0o600), 0).unwrap();
    rustix::fs::mknodat(
        CWD,
        at("fifo"),
        rustix::fs::FileType::Fifo,
        Mode::from(0o640),
        0,
    )
    .unwrap();
    let set = |name: &str, key: &str, value: &[u8]| {
        rustix::fs::lsetxattr(at(name), key, value, XattrFlags::empty()).unwrap();
    };
    set("dir/a", "user.text", b"a=b\n\0c");
    set("dir/a", "trusted.overlay.origin", b"x");
    set("absolute", "trusted.of-a-link", b"y");
    set("", "user.of-the-top", b"top");
    // user::rwx, user:7:r--, group::r-x, mask::r-x, other::---, for what is made in it.
    let entry = |tag: u16, bits: u16, id: u32| {
        [
            tag.to_le_bytes().as_slice(),
            &bits.to_le_bytes(),
            &id.to_le_bytes(),
        ]
        .concat()
    };
    let none = u32::MAX;
    let acl = [
        2_u32.to_le_bytes().to_vec(),
        entry(1, 7, none),
        entry(2, 4, 7),
        entry(4, 5, none),
        entry(16, 5, none),
        entry(32, 0, none),
    ]
    .concat();
    // A file system may have none.
    let _ = rustix::fs::setxattr(
        at("dir"),
        "system.posix_acl_default",
        &acl,
        XattrFlags::empty(),
    );
    std::os::unix::fs::chown(at("dir/a"), Some(12), Some(3_000_000)).unwrap();
    let setgid = fs::Permissions::from_mode(0o2770);
    fs::set_permissions(at("dir"), setgid).unwrap();
    set_time(&at("dir/a"), 1_700_000_000, 123_456_789);
    set_time(&at("absolute"), -5, 250_000_000);
    set_time(&at("dir/deep"), 1, 1);
    set_time(&at("dir"), 2, 0);
    set_time(tree.path(), 3, 999_999_999);
    tree
}

#[test]
fn everything_comes_back() {
    let tree = mixed();
    let bytes = pack(tree.path());
    assert!(bytes.len() < 4 << 20, "holes take room: {}", bytes.len());
    let wanted = look(tree.path());
    let all = wanted.join("\n");
    for name in [
        "user.text",
        "trusted.overlay.origin",
        "trusted.of-a-link",
        "user.of-the-top",
    ] {
        assert!(
            all.contains(&format!("{:?}", name.as_bytes())),
            "{name} is not seen: {all}"
        );
    }
    for out in [unpack(&bytes), copy(tree.path())] {
        assert_eq!(look(out.path()), wanted);
        for name in ["dir/holes", "dir/only-a-hole", "dir/ends-with-data"] {
            let now = blocks(&out.path().join(name));
            assert_eq!(now, blocks(&tree.path().join(name)), "{name}");
        }
    }
}

#[test]
fn gnu_tar_reads_it() {
    let tree = mixed();
    let out = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar")
        .args([
            "--xattrs",
            "--xattrs-include=*",
            "--numeric-owner",
            "-xpf",
            "-",
            "-C",
        ])
        .arg(out.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = pack(tree.path());
    std::io::Write::write_all(&mut tar.stdin.take().unwrap(), &bytes).unwrap();
    assert!(tar.wait().unwrap().success());
    assert_eq!(look(out.path()), look(tree.path()));
    assert_eq!(
        blocks(&out.path().join("dir/holes")),
        blocks(&tree.path().join("dir/holes"))
    );
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("a"), vec![1; 700]).unwrap();
    fs::write(tree.path().join("b"), "").unwrap();
    let bytes = pack(tree.path());
    for end in (0..bytes.len() - 1024).step_by(256) {
        let out = tempfile::tempdir().unwrap();
        let root = fs::File::open(out.path()).unwrap();
        let cut = extract(&bytes[..end], root.as_fd(), &whole());
        assert!(cut.unwrap_err().to_string().contains("cut off"), "{end}");
    }
    unpack(&bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn any_tree_survives(files in proptest::collection::vec(
        ("[a-c./]{1,8}", 0..6_u8, proptest::collection::vec(any::<u8>(), 0..900),
         (0..0o10000_u32, 0..9_u32, -9_i64..9, 0..1_000_000_000_u32)),
        0..12
    )) {
        let tree = tempfile::tempdir().unwrap();
        let mut made: Vec<PathBuf> = Vec::new();
        for (name, kind, content, (mode, owner, seconds, nanoseconds)) in files {
            let inner: Vec<&str> = name.split('/').filter(|p| !matches!(*p, "" | "." | "..")).collect();
            if inner.is_empty() {
                continue;
            }
            let path = tree.path().join(inner.join("/"));
            // Names may clash: what cannot be made is left out.
            let _ = fs::create_dir_all(path.parent().unwrap());
            if path.symlink_metadata().is_ok() {
                continue;
            }
            let done = match kind {
                0 => fs::write(&path, &content),
                1 => symlink("x/y", &path),
                2 => fs::create_dir(&path),
                3 => made.last().map_or(Ok(()), |first| fs::hard_link(first, &path)),
                4 => fs::File::create(&path).and_then(|file| {
                    file.set_len(300_000)?;
                    file.write_all_at(&content, 70_000)
                }),
                _ => rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0)
                    .map_err(Into::into),
            };
            if done.is_err() || path.symlink_metadata().is_err() {
                continue;
            }
            std::os::unix::fs::lchown(&path, Some(owner), Some(owner + 1)).unwrap();
            if kind != 1 && !path.is_symlink() {
                let mode = fs::Permissions::from_mode(mode);
                fs::set_permissions(&path, mode).unwrap();
            }
            let _ = rustix::fs::lsetxattr(&path, "trusted.t", &content[..content.len().min(99)], XattrFlags::empty());
            set_time(&path, seconds, nanoseconds);
            if !path.is_dir() {
                made.push(path);
            }
        }
        let wanted = look(tree.path());
        prop_assert_eq!(look(unpack(&pack(tree.path())).path()), wanted.clone());
        prop_assert_eq!(look(copy(tree.path()).path()), wanted);
    }
}
