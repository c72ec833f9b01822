//! Archives into a tree that others use, and archives that mean harm to it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;

use super::super::fixture::{Layer, Look};
use super::*;

/// A root with a directory `dest`, and a neighbour that nothing may touch.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/dest/sub")).unwrap();
        fs::create_dir_all(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/secret"), "untouched").unwrap();
        fs::write(dir.path().join("root/inside"), "root's").unwrap();
        Self { dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join("root").join(name)
    }

    fn extract(&self, archive: &[u8], how: &Extract) -> Result<()> {
        let root = fs::File::open(self.at("")).unwrap();
        let done = extract(archive, root.as_fd(), how).map(drop);
        let secret = self.dir.path().join("outside/secret");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "untouched");
        assert_eq!(fs::metadata(&secret).unwrap().nlink(), 1);
        assert_eq!(
            fs::read_dir(self.dir.path().join("outside"))
                .unwrap()
                .count(),
            1
        );
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 2);
        done
    }

    fn refused(&self, archive: &[u8]) -> String {
        self.extract(archive, &dest()).unwrap_err().to_string()
    }
}

fn dest() -> Extract {
    Extract {
        directory: b"/dest".to_vec(),
        keep_kinds: true,
        owner: None,
        whole: false,
    }
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    Layer::new()
        .add(
            b'0',
            name,
            Look {
                content,
                ..Look::default()
            },
        )
        .end()
}

#[test]
fn whiteout_names_are_plain_names() {
    let place = Place::new();
    place.extract(&file("sub/.wh.x", b"1"), &dest()).unwrap();
    place
        .extract(&file("sub/.wh..wh..opq", b"2"), &dest())
        .unwrap();
    assert_eq!(fs::read(place.at("dest/sub/.wh.x")).unwrap(), b"1");
    assert_eq!(fs::read(place.at("dest/sub/.wh..wh..opq")).unwrap(), b"2");
}

#[test]
fn the_directory_itself_stays_what_it_is() {
    let place = Place::new();
    let archive = Layer::new()
        .add(
            b'5',
            "./",
            Look {
                mode: 0o700,
                owner: (5, 5),
                ..Look::default()
            },
        )
        .add(
            b'0',
            "./a",
            Look {
                owner: (7, 8),
                ..Look::default()
            },
        )
        .end();
    place.extract(&archive, &dest()).unwrap();
    assert_eq!(fs::metadata(place.at("dest")).unwrap().uid(), 0);
    assert_eq!(fs::metadata(place.at("dest/a")).unwrap().uid(), 7);
    let how = Extract {
        owner: Some((33, 34)),
        ..dest()
    };
    place.extract(&archive, &how).unwrap();
    let meta = fs::metadata(place.at("dest/a")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (33, 34));
}

#[test]
fn kinds_are_kept_when_asked() {
    let place = Place::new();
    assert_eq!(
        place.refused(&file("sub", b"x")),
        "cannot overwrite directory \"/dest/sub\" with non-directory \"/dest\""
    );
    fs::write(place.at("dest/file"), "x").unwrap();
    let directory = Layer::new().add(b'5', "file/", Look::default()).end();
    assert_eq!(
        place.refused(&directory),
        "cannot overwrite non-directory \"/dest/file\" with directory \"/dest\""
    );
    let how = Extract {
        keep_kinds: false,
        ..dest()
    };
    place.extract(&directory, &how).unwrap();
    assert!(place.at("dest/file").is_dir());
    place.extract(&file("sub", b"x"), &how).unwrap();
    assert!(place.at("dest/sub").is_file());
}

#[test]
fn names_do_not_lead_out() {
    let place = Place::new();
    assert_eq!(
        place.refused(&file("../inside", b"x")),
        "\"../inside\" is outside of \"/dest\""
    );
    assert!(
        place
            .refused(&file("sub/../../inside", b"x"))
            .contains("is outside of")
    );
    assert!(place.refused(&file("..", b"x")).contains("is outside of"));
    place.extract(&file("/abs/../../x", b"x"), &dest()).unwrap();
    assert!(place.at("dest/x").is_file());
    assert_eq!(fs::read(place.at("inside")).unwrap(), b"root's");
}

#[test]
fn links_do_not_lead_out() {
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    let outside = outside.to_str().unwrap();
    // A link in the archive, and then a file through it.
    for target in [outside, "/", "sub"] {
        let archive = Layer::new()
            .symlink("way", target)
            .add(
                b'0',
                "way/secret",
                Look {
                    content: b"harm",
                    ..Look::default()
                },
            )
            .end();
        // Docker follows links of the container's own; whatever comes of it stays in there.
        let _ = place.extract(&archive, &dest());
        fs::remove_file(place.at("dest/way")).unwrap();
    }
    assert!(
        place
            .refused(&Layer::new().symlink("up", "../../outside").end())
            .contains("invalid symlink")
    );
    // Links that were there before.
    symlink(outside, place.at("dest/old")).unwrap();
    symlink("../../../../../outside", place.at("dest/far")).unwrap();
    for name in ["old/secret", "far/secret"] {
        let _ = place.extract(&file(name, b"harm"), &dest());
    }
    // The last component is replaced, not followed.
    symlink(format!("{outside}/secret"), place.at("dest/last")).unwrap();
    place.extract(&file("last", b"mine"), &dest()).unwrap();
    assert!(place.at("dest/last").symlink_metadata().unwrap().is_file());
}

#[test]
fn hard_links_do_not_lead_out() {
    let place = Place::new();
    let outside = place.dir.path().join("outside/secret");
    symlink(place.dir.path().join("outside"), place.at("dest/way")).unwrap();
    for target in ["../inside", "../../outside/secret", "sub/../../inside"] {
        let error = place.refused(&Layer::new().hard_link("stolen", target).end());
        assert!(error.contains("invalid hardlink"), "{target}: {error}");
    }
    for target in [outside.to_str().unwrap(), "way/secret", "."] {
        let error = place.refused(&Layer::new().hard_link("stolen", target).end());
        assert!(!error.is_empty(), "{target}");
        assert!(!place.at("dest/stolen").exists());
    }
}

#[test]
fn who_takes_a_name_away_meanwhile_changes_nothing_elsewhere() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    let place = Place::new();
    let secret = place.dir.path().join("outside/secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let look = || Look {
        mode: 0o777,
        ..Look::default()
    };
    let archive = Layer::new()
        .add(b'6', "fifo", look())
        .add(b'0', "implied/file", look())
        .end();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // A process of the container puts links in the place of what has just been made.
        scope.spawn(|| {
            let link = place.at("dest/link");
            while !over.load(Ordering::Relaxed) {
                for name in ["dest/fifo", "dest/implied"] {
                    let name = place.at(name);
                    let _ = symlink(&secret, &link);
                    let _ = fs::remove_dir_all(&name);
                    let _ = fs::rename(&link, &name);
                }
            }
        });
        for _ in 0..3000 {
            for name in ["dest/fifo", "dest/implied"] {
                let _ = fs::remove_file(place.at(name));
            }
            let _ = place.extract(&archive, &dest());
        }
        over.store(true, Ordering::Relaxed);
    });
    let mode = fs::metadata(&secret).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o600, "the neighbour's mode was changed");
}

#[test]
fn damaged_archives_are_told_apart_from_short_ones() {
    let place = Place::new();
    place.extract(b"", &dest()).unwrap();
    place.extract(&[0; 1024], &dest()).unwrap();
    let whole = file("a", &[1; 5000]);
    for cut in [100, 512, 600, 4000] {
        assert!(place.extract(&whole[..cut], &dest()).is_err(), "{cut}");
    }
    assert!(
        place
            .extract(b"this is no archive at all", &dest())
            .is_err()
    );
    for size in [
        "-1",
        "99999999999999999999",
        "18446744073709551615",
        "9223372036854775807",
        "x",
    ] {
        let pax = vec![("size", size.as_bytes().to_vec())];
        let archive = Layer::new()
            .add(
                b'0',
                "a",
                Look {
                    pax,
                    ..Look::default()
                },
            )
            .end();
        assert!(place.extract(&archive, &dest()).is_err(), "{size}");
    }
}

proptest::proptest! {
    #[test]
    fn no_name_or_target_reaches_the_neighbour(entries in proptest::collection::vec(
        (proptest::sample::select(vec![b'0', b'1', b'2', b'5']),
         proptest::sample::select(vec!["a", "b/c", "../x", "a/../../y", "/abs", "sub", ".", "..", "a/b/.wh.c", "sub/.."]),
         proptest::sample::select(vec!["../../outside/secret", "/", "../outside", "a", "sub", "/dest/../..", "..", "x/../../.."])),
        0..8), keep_kinds in proptest::bool::ANY)
    {
        let place = Place::new();
        let mut archive = Layer::new();
        for (kind, name, target) in entries {
            archive = archive.add(kind, name, Look { target, mode: 0o755, ..Look::default() });
        }
        let _ = place.extract(&archive.end(), &Extract { keep_kinds, ..dest() });
        proptest::prop_assert_eq!(fs::read(place.at("inside")).unwrap(), b"root's");
    }
}

#[test]
fn a_whole_tree_stays_inside() {
    let whole = Extract {
        whole: true,
        ..Extract::default()
    };
    for (archive, why) in [
        (file("../out", b"x"), "is outside of"),
        (file("a/../../out", b"x"), "is outside of"),
        (
            Layer::new().hard_link("link", "../outside/secret").end(),
            "does not hold",
        ),
    ] {
        let error = Place::new().extract(&archive, &whole).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    // A link may say anything; what is written through it stays inside all the same.
    let place = Place::new();
    let archive = Layer::new()
        .symlink("link", "/etc")
        .symlink("up", "../../outside")
        .directory("etc")
        .file("link/slipway-was-here", "x")
        .file("up/secret", "x")
        .end();
    let _ = place.extract(&archive, &whole);
    assert!(place.at("etc/slipway-was-here").is_file());
    assert_eq!(
        fs::read_link(place.at("link")).unwrap(),
        PathBuf::from("/etc")
    );
}
