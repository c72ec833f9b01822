//! Layers as images have them, and layers that mean harm.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use super::*;

/// A layer in the making.
struct Layer(Vec<u8>);

/// What an entry of a test layer looks like besides its name and kind.
struct Look<'a> {
    content: &'a [u8],
    target: &'a str,
    mode: u32,
    owner: (u64, u64),
    pax: Vec<(&'a str, Vec<u8>)>,
    device: (u32, u32),
}

impl Default for Look<'_> {
    fn default() -> Self {
        Self {
            content: b"",
            target: "",
            mode: 0o644,
            owner: (0, 0),
            pax: Vec::new(),
            device: (0, 0),
        }
    }
}

impl Layer {
    fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends an entry by hand: the library refuses to write names that attack.
    fn add(mut self, kind: u8, name: &str, look: Look<'_>) -> Self {
        if !look.pax.is_empty() {
            let mut records = Vec::new();
            for (key, value) in &look.pax {
                let rest = key.len() + value.len() + 3;
                let mut length = rest + 1;
                while length != rest + length.to_string().len() {
                    length += 1;
                }
                records.extend(format!("{length} {key}=").into_bytes());
                records.extend_from_slice(value);
                records.push(b'\n');
            }
            self.block(
                b'x',
                "pax",
                &Look {
                    content: &records,
                    ..Look::default()
                },
            );
        }
        self.block(kind, name, &look);
        self
    }

    fn block(&mut self, kind: u8, name: &str, look: &Look<'_>) {
        let mut header = tar::Header::new_ustar();
        let raw = header.as_ustar_mut().unwrap();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..look.target.len()].copy_from_slice(look.target.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(look.mode);
        header.set_uid(look.owner.0);
        header.set_gid(look.owner.1);
        header.set_mtime(1_000_000_000);
        header.set_size(look.content.len() as u64);
        header.set_device_major(look.device.0).unwrap();
        header.set_device_minor(look.device.1).unwrap();
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(look.content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.add(
            b'0',
            name,
            Look {
                content: content.as_bytes(),
                ..Look::default()
            },
        )
    }

    fn directory(self, name: &str) -> Self {
        self.add(
            b'5',
            name,
            Look {
                mode: 0o755,
                ..Look::default()
            },
        )
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.add(
            b'2',
            name,
            Look {
                target,
                mode: 0o777,
                ..Look::default()
            },
        )
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.add(
            b'1',
            name,
            Look {
                target,
                ..Look::default()
            },
        )
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A destination with a neighbour that nothing may touch.
struct Place {
    home: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("layer")).unwrap();
        fs::create_dir(home.path().join("outside")).unwrap();
        fs::write(home.path().join("outside/secret"), "untouched").unwrap();
        Self { home }
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("layer")
    }

    fn outside(&self) -> String {
        self.home
            .path()
            .join("outside")
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn unpack(&self, layer: Layer) -> Result<u64> {
        let unpacked = unpack(layer.end().as_slice(), &self.root());
        let outside: Vec<_> = fs::read_dir(self.outside())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(outside, ["secret"], "something appeared outside");
        let secret = self.home.path().join("outside/secret");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "untouched");
        assert_eq!(
            fs::metadata(&secret).unwrap().nlink(),
            1,
            "the secret got another name"
        );
        assert_eq!(
            fs::read_dir(self.home.path()).unwrap().count(),
            2,
            "something appeared beside"
        );
        unpacked
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).unwrap()
    }

    fn meta(&self, name: &str) -> fs::Metadata {
        fs::symlink_metadata(self.root().join(name)).unwrap()
    }

    fn xattr(&self, name: &str, xattr: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; 256];
        let length = rustix::fs::lgetxattr(self.root().join(name), xattr, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    }

    fn is_whiteout(&self, name: &str) -> bool {
        let meta = self.meta(name);
        meta.file_type().is_char_device() && meta.rdev() == 0
    }
}

fn invalid(result: Result<u64>) -> String {
    match result {
        Err(Error::Invalid(message)) => message,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

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
    assert_eq!(place.unpack(layer).unwrap(), 7);
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
fn cut_archives_are_noticed() {
    let whole = Layer::new()
        .file("a", &"x".repeat(2000))
        .file("b", "y")
        .end();
    for cut in [100, 512, 700, 2600, 3100] {
        let place = Place::new();
        let message = invalid(unpack(&whole[..cut], &place.root()));
        assert!(message.contains("cut off"), "{cut}: {message}");
    }
    // Without the closing zeros, at an entry's end, it is whole.
    unpack(&whole[..whole.len() - 1024], &Place::new().root()).unwrap();
    let garbage = vec![0x55; 4096];
    assert!(invalid(unpack(garbage.as_slice(), &Place::new().root())).contains("not a valid tar"));
}

#[test]
fn sparse_files_keep_their_holes() {
    let place = Place::new();
    let made = place.home.path().join("outside/secret");
    let _ = made;
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
            unpack(output.stdout.as_slice(), &place.root()).unwrap(),
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
        let _ = unpack(whole.as_slice(), &Place::new().root());
    }
}
