//! Layers as images have them, and layers that mean harm.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use super::fixture::{Layer, Look, Place, invalid};
use super::*;

#[test]
fn every_kind_of_entry_arrives_as_it_was() {
    let place = Place::new();
    let capability =
        b"\x01\x00\x00\x02\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
            .to_vec();
    let long = format!("{}/{}", "d".repeat(180), "f".repeat(180));
    let layer = Layer::new()
        .add(
            b'5',
            "./",
            Look {
                mode: 0o711,
                ..Look::default()
            },
        )
        .add(
            b'5',
            "tmp/",
            Look {
                mode: 0o1777,
                ..Look::default()
            },
        )
        .add(
            b'0',
            "bin/su",
            Look {
                content: b"program",
                mode: 0o4755,
                owner: (1, 2),
                ..Look::default()
            },
        )
        .hard_link("bin/su2", "bin/su")
        .symlink("lib", "usr/lib")
        .add(
            b'3',
            "dev/null",
            Look {
                mode: 0o666,
                device: (1, 3),
                ..Look::default()
            },
        )
        .add(
            b'4',
            "dev/loop0",
            Look {
                mode: 0o660,
                device: (7, 0),
                ..Look::default()
            },
        )
        .add(
            b'6',
            "fifo",
            Look {
                mode: 0o620,
                ..Look::default()
            },
        )
        .add(
            b'0',
            "cap",
            Look {
                pax: vec![("SCHILY.xattr.security.capability", capability.clone())],
                ..Look::default()
            },
        )
        .add(
            b'0',
            "attr",
            Look {
                pax: vec![
                    ("SCHILY.xattr.trusted.empty", vec![]),
                    ("SCHILY.xattr.trusted.line", b"a\nb".to_vec()),
                ],
                ..Look::default()
            },
        )
        .add(
            b'0',
            "huge",
            Look {
                pax: vec![
                    ("uid", b"4000000000".to_vec()),
                    ("gid", b"2147483648".to_vec()),
                    ("mtime", b"-1.5".to_vec()),
                ],
                ..Look::default()
            },
        )
        .add(
            b'0',
            "x",
            Look {
                pax: vec![("path", long.clone().into_bytes())],
                ..Look::default()
            },
        );
    assert_eq!(place.unpack(layer).unwrap(), 14);
    assert_eq!(fs::metadata(place.root()).unwrap().mode() & 0o7777, 0o711);
    assert_eq!(place.meta("tmp").mode() & 0o7777, 0o1777);
    let su = place.meta("bin/su");
    assert_eq!(
        (su.mode() & 0o7777, su.uid(), su.gid(), su.nlink()),
        (0o4755, 1, 2, 2)
    );
    assert_eq!(su.mtime(), 1_000_000_000);
    assert_eq!(place.meta("tmp").mtime(), 1_000_000_000);
    assert_eq!(place.meta("bin/su2").ino(), su.ino());
    assert_eq!(
        fs::read_link(place.root().join("lib")).unwrap(),
        PathBuf::from("usr/lib")
    );
    assert_eq!(place.meta("dev/null").rdev(), rustix::fs::makedev(1, 3));
    assert_eq!(place.meta("dev/null").mode() & 0o7777, 0o666);
    assert!(place.meta("dev/loop0").file_type().is_block_device());
    assert!(place.meta("fifo").file_type().is_fifo());
    assert_eq!(
        place.xattr("cap", "security.capability").unwrap(),
        capability
    );
    assert_eq!(place.xattr("attr", "trusted.empty").unwrap(), b"");
    assert_eq!(place.xattr("attr", "trusted.line").unwrap(), b"a\nb");
    let huge = place.meta("huge");
    assert_eq!((huge.uid(), huge.gid()), (4_000_000_000, 2_147_483_648));
    assert_eq!((huge.mtime(), huge.mtime_nsec()), (-2, 500_000_000));
    assert!(place.root().join(long).exists());
}

#[test]
fn whiteouts_become_overlayfs_ones() {
    let place = Place::new();
    let layer = Layer::new()
        .file("etc/.wh.passwd", "")
        .file(".wh.gone", "")
        .directory("var/")
        .file("var/.wh..wh..opq", "")
        .file("var/kept", "x")
        // Hidden below and brought anew, in both orders.
        .file(".wh.first", "")
        .directory("first/")
        .directory("second/")
        .file(".wh.second", "")
        .file(".wh.file", "")
        .file("file", "new")
        .file(".wh..wh.plnk/1.2", "aufs");
    place.unpack(layer).unwrap();
    assert!(place.is_whiteout("etc/passwd") && place.is_whiteout("gone"));
    assert_eq!(place.xattr("var", "trusted.overlay.opaque").unwrap(), b"y");
    assert_eq!(place.read("var/kept"), "x");
    assert_eq!(
        place.xattr("first", "trusted.overlay.opaque").unwrap(),
        b"y"
    );
    assert_eq!(
        place.xattr("second", "trusted.overlay.opaque").unwrap(),
        b"y"
    );
    assert_eq!(place.read("file"), "new");
    assert!(!place.root().join(".wh..wh.plnk").exists());
}

#[test]
fn later_entries_replace_earlier_ones() {
    let place = Place::new();
    let layer = Layer::new()
        .file("a", "old")
        .file("a", "new")
        .file("dir/inner", "x")
        .file("dir", "a file now")
        .symlink("link", "a")
        .file("link", "not through the link")
        .file("b", "b")
        .hard_link("b", "b");
    place.unpack(layer).unwrap();
    assert_eq!(place.read("a"), "new");
    assert_eq!(place.read("dir"), "a file now");
    assert_eq!(place.read("link"), "not through the link");
    assert_eq!(place.read("b"), "b");
}

#[test]
fn names_count_from_the_layers_root() {
    let place = Place::new();
    let layer = Layer::new()
        .file("/abs", "1")
        .file("../../../up", "2")
        .file("a/../../b", "3");
    place.unpack(layer).unwrap();
    assert_eq!(
        (place.read("abs"), place.read("up"), place.read("b")),
        ("1".into(), "2".into(), "3".into())
    );
}

#[test]
fn links_lead_nowhere_outside() {
    let place = Place::new();
    let outside = place.outside();
    // Absolute and relative links to a real directory outside, then names through them.
    for target in [outside.as_str(), "../outside", "/proc/self/root"] {
        let _ = place.unpack(Layer::new().symlink("way", target).file("way/planted", "x"));
        let _ = place.unpack(
            Layer::new()
                .symlink("way", target)
                .file("way/.wh.secret", ""),
        );
        let _ = place.unpack(
            Layer::new()
                .symlink("way", target)
                .file("way/.wh..wh..opq", ""),
        );
        let _ = place.unpack(Layer::new().symlink("way", target).directory("way"));
        let _ = place.unpack(
            Layer::new()
                .symlink("way", target)
                .hard_link("mine", "way/secret"),
        );
        let _ = place.unpack(Layer::new().symlink("way", target).add(
            b'3',
            "way/null",
            Look {
                device: (1, 3),
                ..Look::default()
            },
        ));
        let _ = place.unpack(Layer::new().symlink("way", target).symlink("way/link", "x"));
        assert!(!place.root().join("mine").exists());
    }
    // Inside the root a link is followed as a container would follow it.
    let layer = Layer::new()
        .directory("usr/lib/")
        .symlink("lib", "/usr/lib")
        .file("lib/x", "merged");
    place.unpack(layer).unwrap();
    assert_eq!(place.read("usr/lib/x"), "merged");
}

#[test]
fn hard_links_stay_in_the_layer() {
    for target in [
        "../outside/secret",
        "/etc/hostname",
        "missing",
        "../../../../etc/passwd",
    ] {
        let message = invalid(Place::new().unpack(Layer::new().hard_link("mine", target)));
        assert!(message.contains("hard link"), "{message}");
    }
    assert!(
        invalid(Place::new().unpack(Layer::new().directory("d").hard_link("e", "d")))
            .contains("directory")
    );
    let place = Place::new();
    let outside = format!("{}/secret", place.outside());
    // A link to a link is the link itself, never what it points to.
    place
        .unpack(
            Layer::new()
                .symlink("way", &outside)
                .hard_link("mine", "way"),
        )
        .unwrap();
    assert!(place.meta("mine").is_symlink());
}

#[test]
fn hostile_names_are_refused() {
    for name in ["a/.wh...", ".wh..", ".wh.", "dir/.wh.."] {
        assert!(
            invalid(Place::new().unpack(Layer::new().file(name, ""))).contains("whiteout"),
            "{name}"
        );
    }
    let loops = Layer::new()
        .symlink("a", "b")
        .symlink("b", "a")
        .file("a/x", "");
    assert!(invalid(Place::new().unpack(loops)).contains("loop"));
    let dangling = Layer::new().symlink("a", "nowhere").file("a/x", "");
    assert!(invalid(Place::new().unpack(dangling)).contains("nowhere"));
    let through_a_file = Layer::new().file("a", "").file("a/x", "");
    assert!(invalid(Place::new().unpack(through_a_file)).contains("not a directory"));
    let nul = Layer::new().add(
        b'0',
        "x",
        Look {
            pax: vec![("path", b"a\0b".to_vec())],
            ..Look::default()
        },
    );
    assert!(invalid(Place::new().unpack(nul)).contains("NUL"));
    let long = Layer::new().add(
        b'0',
        "x",
        Look {
            pax: vec![("path", "n".repeat(300).into_bytes())],
            ..Look::default()
        },
    );
    assert!(invalid(Place::new().unpack(long)).contains("too long"));
    for (key, value) in [
        ("uid", "4294967295"),
        ("uid", "99999999999"),
        ("gid", "-1"),
        ("size", "x"),
    ] {
        let layer = Layer::new().add(
            b'0',
            "x",
            Look {
                pax: vec![(key, value.into())],
                ..Look::default()
            },
        );
        invalid(Place::new().unpack(layer));
    }
}

#[test]
fn overlayfs_marks_cannot_be_brought_along() {
    let place = Place::new();
    let pax = vec![
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc".to_vec()),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y".to_vec()),
        ("SCHILY.xattr.trusted.fine", b"1".to_vec()),
    ];
    place
        .unpack(Layer::new().add(
            b'5',
            "d",
            Look {
                pax,
                ..Look::default()
            },
        ))
        .unwrap();
    assert_eq!(place.xattr("d", "trusted.overlay.redirect"), None);
    assert_eq!(place.xattr("d", "trusted.overlay.opaque"), None);
    assert_eq!(place.xattr("d", "trusted.fine").unwrap(), b"1");
}

#[test]
fn what_is_replaced_does_not_count() {
    let layer = Layer::new()
        .file("a", "12345")
        .hard_link("b", "a")
        .file("a", "1")
        .symlink("c", "target")
        .directory("d")
        .file("d/e", "123")
        .file("d", "12");
    // `b` keeps the first content.
    assert_eq!(Place::new().unpack(layer).unwrap(), 5 + 1 + 6 + 2);
}

#[test]
fn cut_archives_are_noticed() {
    let whole = Layer::new()
        .file("a", &"x".repeat(2000))
        .file("b", "y")
        .end();
    for cut in [100, 512, 700, 2600, 3100] {
        let place = Place::new();
        let message = invalid(unpack(&whole[..cut], &place.root(), &Nothing).map(|w| w.size));
        assert!(message.contains("cut off"), "{cut}: {message}");
    }
    // Without the closing zeros, at an entry's end, it is whole.
    unpack(&whole[..whole.len() - 1024], &Place::new().root(), &Nothing).unwrap();
    let garbage = vec![0x55; 4096];
    let refused = unpack(garbage.as_slice(), &Place::new().root(), &Nothing);
    assert!(invalid(refused.map(|w| w.size)).contains("invalid tar header"));
}

#[test]
fn sparse_files_keep_their_holes() {
    let place = Place::new();
    let work = tempfile::tempdir().unwrap();
    for format in ["gnu", "posix"] {
        let file = fs::File::create(work.path().join("sparse")).unwrap();
        file.set_len(64 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 32 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"end", (64 << 20) - 3).unwrap();
        drop(file);
        let output = std::process::Command::new("tar")
            .args(["--sparse", "--format", format, "-cf", "-", "sparse"])
            .current_dir(work.path())
            .output()
            .unwrap();
        assert!(output.status.success() && output.stdout.len() < 1 << 20);
        assert_eq!(
            unpack(output.stdout.as_slice(), &place.root(), &Nothing)
                .unwrap()
                .size,
            64 << 20
        );
        let meta = place.meta("sparse");
        assert_eq!(meta.len(), 64 << 20);
        assert!(meta.blocks() * 512 < 1 << 20, "the holes were filled");
        let bytes = fs::read(place.root().join("sparse")).unwrap();
        assert_eq!(&bytes[32 << 20..(32 << 20) + 6], b"middle");
        assert!(bytes.ends_with(b"end"));
    }
}

#[test]
fn permissions_do_not_stop_the_unpacking() {
    let place = Place::new();
    let layer = Layer::new()
        .add(
            b'5',
            "closed",
            Look {
                mode: 0,
                ..Look::default()
            },
        )
        .file("closed/x", "in");
    place.unpack(layer).unwrap();
    assert_eq!(place.meta("closed").permissions().mode() & 0o7777, 0);
    assert_eq!(place.meta("closed").mtime(), 1_000_000_000);
}

#[test]
fn a_link_cannot_replace_what_it_links_to() {
    let place = Place::new();
    let layer = Layer::new().file("a/file", "x").hard_link("a", "a/file");
    assert!(invalid(place.unpack(layer)).contains("a hard link in the place of"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    /// Any series of entries over a few names either unpacks or is refused, and stays inside.
    #[test]
    fn nothing_escapes(entries in proptest::collection::vec((
        proptest::sample::select(vec![b'0', b'1', b'2', b'3', b'5', b'6']),
        proptest::collection::vec(proptest::sample::select(vec!["a", "b", "c", "..", ".", "", "outside", ".wh.a", ".wh..wh..opq", "secret"]), 1..5),
        proptest::collection::vec(proptest::sample::select(vec!["a", "b", "..", "", "outside", "secret"]), 1..5),
    ), 1..12)) {
        let place = Place::new();
        let mut layer = Layer::new();
        for (kind, name, target) in &entries {
            let (name, target) = (name.join("/"), target.join("/"));
            if name.is_empty() { continue; }
            let content: &[u8] = if *kind == b'0' { b"content" } else { b"" };
            layer = layer.add(*kind, &name, Look { content, target: &target, mode: 0o755, ..Look::default() });
        }
        match place.unpack(layer) {
            Ok(_) | Err(Error::Invalid(_)) => {}
            Err(other) => proptest::prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn damage_never_panics(position in 0_usize..4096, byte in 0_u8..=255) {
        let mut whole = Layer::new().directory("d").file("d/a", &"x".repeat(600)).symlink("s", "d")
            .add(b'0', "p", Look { pax: vec![("mtime", b"1.5".to_vec())], ..Look::default() }).end();
        let position = position % whole.len();
        whole[position] = byte;
        let _ = unpack(whole.as_slice(), &Place::new().root(), &Nothing);
    }
}
