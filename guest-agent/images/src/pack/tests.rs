//! Trees through an archive and back.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use proptest::prelude::*;
use rustix::fs::{CWD, Mode, XattrFlags};

use super::*;
use crate::unpack::{Extract, Nothing, extract, unpack};

fn archive(form: Form, tree: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let directory = fs::File::open(tree).unwrap();
    let mut packer = Packer::new(form, |piece| {
        bytes.extend_from_slice(&piece);
        true
    });
    packer.members(directory.as_fd(), b"")?;
    packer.finish()?;
    assert!(bytes.len().is_multiple_of(512));
    Ok(bytes)
}

/// Every path of a tree with all that an archive keeps of it.
fn look(tree: &Path) -> Vec<String> {
    fn go(top: &Path, at: &Path, lines: &mut Vec<String>) {
        let mut entries: Vec<_> = fs::read_dir(at)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            let meta = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(top).unwrap();
            let content = if meta.is_symlink() {
                format!("{:?}", fs::read_link(&path).unwrap())
            } else if meta.is_file() {
                format!("{:?}", crate::Digest::of(&fs::read(&path).unwrap()))
            } else {
                String::new()
            };
            lines.push(format!(
                "{name:?} {:o} {}:{} {} {} {content}",
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.mtime(),
                if meta.is_dir() { 0 } else { meta.nlink() },
            ));
            if meta.is_dir() {
                go(top, &path, lines);
            }
        }
    }
    let mut lines = Vec::new();
    go(tree, tree, &mut lines);
    lines
}

fn back(bytes: &[u8]) -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    let root = fs::File::open(out.path()).unwrap();
    extract(bytes, root.as_fd(), &Extract::default()).unwrap();
    out
}

#[test]
fn every_kind_of_file_comes_back_as_it_was() {
    let tree = tempfile::tempdir().unwrap();
    let at = |name: &str| tree.path().join(name);
    fs::create_dir_all(at("dir/empty")).unwrap();
    fs::set_permissions(at("dir"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(at("dir/program"), vec![7; 1_000_000]).unwrap();
    std::os::unix::fs::chown(at("dir/program"), Some(12), Some(3_000_000)).unwrap();
    fs::set_permissions(at("dir/program"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(at("dir/program"), at("dir/same")).unwrap();
    symlink("../nowhere", at("dir/link")).unwrap();
    fs::hard_link(at("dir/link"), at("dir/link2")).unwrap();
    fs::write(at(".wh.plain"), "only a name").unwrap();
    let long = "n".repeat(200);
    fs::create_dir_all(at(&long)).unwrap();
    fs::write(at(&format!("{long}/{long}")), "").unwrap();
    symlink("t".repeat(180), at("long-link")).unwrap();
    fs::write(at("caf\u{e9} \u{ff}"), "name").unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(CWD, at("fifo"), fifo, Mode::from(0o640), 0).unwrap();
    let kind = rustix::fs::FileType::CharacterDevice;
    let device = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(CWD, at("null"), kind, Mode::from(0o600), device).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let old = rustix::fs::Timespec {
        tv_sec: -86_400,
        tv_nsec: 0,
    };
    let times = rustix::fs::Timestamps {
        last_access: old,
        last_modification: old,
    };
    rustix::fs::utimensat(CWD, at("fifo"), &times, AtFlags::empty()).unwrap();

    let out = back(&archive(Form::Plain, tree.path()).unwrap());
    fs::remove_file(at("socket")).unwrap();
    assert_eq!(look(out.path()), look(tree.path()));
    assert!(
        fs::symlink_metadata(out.path().join("null"))
            .unwrap()
            .file_type()
            .is_char_device()
    );
}

#[test]
fn a_headers_mode_is_permissions_alone() {
    let tree = tempfile::tempdir().unwrap();
    let file = tree.path().join("file");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4640)).unwrap();
    let bytes = archive(Form::Plain, tree.path()).unwrap();
    assert_eq!(&bytes[100..108], b"0004640\0");
}

#[test]
fn deeper_than_descriptors_go() {
    let tree = tempfile::tempdir().unwrap();
    let mut path = tree.path().to_owned();
    for level in 0..300 {
        path.push("d");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a"), level.to_string()).unwrap();
        fs::write(path.join("z"), level.to_string()).unwrap();
    }
    let out = back(&archive(Form::Plain, tree.path()).unwrap());
    assert_eq!(look(out.path()), look(tree.path()));
}

#[test]
fn a_changed_layer_is_what_it_was() {
    let upper = tempfile::tempdir().unwrap();
    let at = |name: &str| upper.path().join(name);
    fs::create_dir_all(at("etc/new")).unwrap();
    fs::write(at("etc/new/file"), "content").unwrap();
    let whiteout = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(CWD, at("etc/gone"), whiteout, Mode::empty(), 0).unwrap();
    rustix::fs::mknodat(CWD, at("top"), whiteout, Mode::empty(), 0).unwrap();
    let opaque = "trusted.overlay.opaque";
    rustix::fs::setxattr(at("etc/new"), opaque, b"y", XattrFlags::empty()).unwrap();

    let layer = archive(Form::Layer, upper.path()).unwrap();
    let out = tempfile::tempdir().unwrap();
    unpack(layer.as_slice(), out.path(), &Nothing).unwrap();
    let paths = |tree: &Path| {
        let lines = look(tree).into_iter();
        lines
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(paths(out.path()), paths(upper.path()));
    for gone in ["etc/gone", "top"] {
        let meta = fs::symlink_metadata(out.path().join(gone)).unwrap();
        assert!(
            meta.file_type().is_char_device() && meta.rdev() == 0,
            "{gone}"
        );
    }
    let mut value = [0; 4];
    let length = rustix::fs::getxattr(out.path().join("etc/new"), opaque, &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"y");
}

#[test]
fn an_empty_layer_has_dockers_digest() {
    let upper = tempfile::tempdir().unwrap();
    let layer = archive(Form::Layer, upper.path()).unwrap();
    assert_eq!(
        crate::Digest::of(&layer).to_string(),
        "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    );
}

#[test]
fn names_that_a_layer_cannot_hold_are_refused() {
    let upper = tempfile::tempdir().unwrap();
    fs::create_dir(upper.path().join("data")).unwrap();
    fs::write(upper.path().join("data/.wh.victim"), "").unwrap();
    let error = archive(Form::Layer, upper.path()).unwrap_err().to_string();
    assert!(error.contains("/data/.wh.victim"), "{error}");
    assert!(archive(Form::Plain, upper.path()).is_ok());
}

#[test]
fn nobody_who_wants_it_ends_it() {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("big"), vec![0; 3 * PIECE]).unwrap();
    let directory = fs::File::open(tree.path()).unwrap();
    let mut packer = Packer::new(Form::Plain, |_| false);
    let outcome = packer
        .members(directory.as_fd(), b"")
        .and_then(|()| packer.finish());
    assert!(matches!(outcome, Err(Error::Interrupted)));
}

#[test]
fn a_file_keeps_its_written_size_whatever_becomes_of_it() {
    let tree = tempfile::tempdir().unwrap();
    let (file, other) = (tree.path().join("a"), tree.path().join("b"));
    fs::write(&file, vec![1; 4 * PIECE]).unwrap();
    fs::write(&other, "after").unwrap();
    let directory = fs::File::open(tree.path()).unwrap();
    let mut bytes = Vec::new();
    let mut packer = Packer::new(Form::Plain, |piece| {
        // The file shrinks while it is sent.
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(10)
            .unwrap();
        bytes.extend_from_slice(&piece);
        true
    });
    packer.members(directory.as_fd(), b"").unwrap();
    packer.finish().unwrap();
    let out = back(&bytes);
    let got = fs::read(out.path().join("a")).unwrap();
    assert_eq!(got.len(), 4 * PIECE);
    assert!(got.ends_with(&[0; 1000]));
    assert_eq!(fs::read(out.path().join("b")).unwrap(), b"after");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn any_tree_survives(files in proptest::collection::vec(
        ("[a-c.\u{e9}/]{1,12}", 0..3_u8, proptest::collection::vec(any::<u8>(), 0..2000)), 0..12
    )) {
        let tree = tempfile::tempdir().unwrap();
        for (name, kind, content) in files {
            let inner: Vec<&str> = name.split('/').filter(|p| !matches!(*p, "" | "." | "..")).collect();
            if inner.is_empty() {
                continue;
            }
            let path = tree.path().join(inner.join("/"));
            // Names may clash: what cannot be made is left out.
            let _ = fs::create_dir_all(path.parent().unwrap());
            let _ = match kind {
                0 => fs::write(&path, &content),
                1 => symlink("x/y", &path),
                _ => fs::create_dir(&path),
            };
        }
        let out = back(&archive(Form::Plain, tree.path()).unwrap());
        prop_assert_eq!(look(out.path()), look(tree.path()));
    }
}
