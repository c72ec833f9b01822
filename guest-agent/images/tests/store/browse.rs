//! Looking into images, what is different between two, what is wasted, the full check, and layers
//! that link to files of those below.

use images::{Image, Touch};
use serde_json::json;

use crate::fixture::{Place, Tar, TestImage, docker_archive};

/// Three layers: files, then changes of all kinds, then a link to a file of the first.
fn layers() -> Vec<Vec<u8>> {
    vec![
        Tar::new()
            .directory("etc", 0o755)
            .bytes("etc/kept", 0o644, b"kept")
            .bytes("etc/changed", 0o644, &[1; 1000])
            .bytes("etc/removed", 0o644, &[2; 500])
            .directory("opt/old", 0o755)
            .bytes("opt/old/file", 0o600, &[3; 300])
            .end(),
        Tar::new()
            .bytes("etc/changed", 0o644, b"new")
            .bytes("etc/.wh.removed", 0o644, b"")
            .bytes("opt/old/.wh..wh..opq", 0o644, b"")
            .bytes("opt/old/mine", 0o644, b"mine")
            .symlink("etc/link", "/etc/kept")
            .end(),
    ]
}

async fn loaded(place: &Place, name: &str, layers: Vec<Vec<u8>>) -> Image {
    let image = TestImage::new(layers).with_config(|config| {
        config["config"]["Env"] = json!(["PATH=/bin", format!("NAME={name}")]);
    });
    place
        .load(&docker_archive(&[(&image, &[name])]))
        .await
        .unwrap();
    place.store.resolve(name).unwrap()
}

fn paths(place: &Place, image: &Image, layer: Option<usize>, directory: &str) -> Vec<String> {
    let (entries, more) = place
        .store
        .tree(image, layer, directory, true, 1000)
        .unwrap();
    assert!(!more);
    let touch = |touch| match touch {
        Some(Touch::Added) => "A ",
        Some(Touch::Changed) => "C ",
        Some(Touch::Removed) => "D ",
        None => "",
    };
    let lines = entries
        .iter()
        .map(|entry| format!("{}{}", touch(entry.touch), entry.path));
    lines.collect()
}

#[tokio::test]
async fn files_are_seen_as_a_container_sees_them() {
    let place = Place::new();
    let image = loaded(&place, "x:1", layers()).await;
    assert_eq!(
        paths(&place, &image, None, "/etc"),
        ["/etc/changed", "/etc/kept", "/etc/link"]
    );
    assert_eq!(
        paths(&place, &image, None, "opt"),
        ["/opt/old", "/opt/old/mine"]
    );
    assert_eq!(
        paths(&place, &image, Some(1), "/"),
        [
            "/etc",
            "C /etc/changed",
            "A /etc/link",
            "D /etc/removed",
            "/opt",
            "C /opt/old",
            "A /opt/old/mine"
        ]
    );
    let (first, more) = place.store.tree(&image, None, "/", true, 2).unwrap();
    assert!(more && first.len() == 2);

    let read = |layer, path: &str| {
        let mut found = place.store.open_file(&image, layer, path)?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut found.file, &mut text).unwrap();
        Ok::<_, images::Error>((text, found.entry.layer))
    };
    assert_eq!(read(None, "/etc/changed").unwrap(), ("new".into(), 1));
    assert_eq!(read(None, "/etc/link").unwrap(), ("kept".into(), 0));
    assert_eq!(read(None, "etc/../etc/link").unwrap().0, "kept");
    assert_eq!(read(Some(0), "/etc/changed").unwrap().0.len(), 1000);
    for (layer, path, words) in [
        (None, "/etc/removed", "has no file"),
        (None, "/opt/old/file", "has no file"),
        (None, "/etc", "is no file but a directory"),
        (Some(7), "/etc/kept", "has 2 layers"),
    ] {
        let error = read(layer, path).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn links_lead_nowhere_outside() {
    let place = Place::new();
    let layer = Tar::new()
        .symlink("out", "../../../../../../../../etc/passwd")
        .symlink("loop", "loop")
        .symlink("up", "..")
        .bytes("mine", 0o644, b"mine")
        .end();
    let image = loaded(&place, "x:1", vec![layer]).await;
    let open = |path: &str| place.store.open_file(&image, None, path).map(|_| ());
    assert!(
        open("/out")
            .unwrap_err()
            .to_string()
            .contains("has no file")
    );
    assert!(
        open("/loop")
            .unwrap_err()
            .to_string()
            .contains("symbolic links")
    );
    open("/up/up/mine").unwrap();
}

#[tokio::test]
async fn waste_is_what_nobody_sees() {
    let place = Place::new();
    let image = loaded(&place, "x:1", layers()).await;
    let waste = place.store.waste(&image).unwrap();
    assert_eq!((waste.wasted, waste.total), (1800, image.size));
    let files: Vec<(&str, u64, u32, bool)> = waste
        .files
        .iter()
        .map(|file| (&*file.path, file.wasted, file.copies, file.removed))
        .collect();
    assert_eq!(
        files,
        [
            ("/etc/changed", 1000, 2, false),
            ("/etc/removed", 500, 1, true),
            ("/opt/old/file", 300, 1, true)
        ]
    );
}

#[tokio::test]
async fn two_images_are_compared() {
    let place = Place::new();
    let before = loaded(&place, "x:1", layers()[..1].to_vec()).await;
    let after = loaded(&place, "x:2", layers()).await;
    let changes = place.store.changes(&before, &after).unwrap();
    let files: Vec<String> = changes
        .files
        .iter()
        .map(|change| {
            let entry = change.after.as_ref().or(change.before.as_ref()).unwrap();
            format!("{:?} {}", change.touch, entry.path)
        })
        .collect();
    assert_eq!(
        files,
        [
            "Changed /etc/changed",
            "Added /etc/link",
            "Removed /etc/removed",
            "Removed /opt/old/file",
            "Added /opt/old/mine"
        ]
    );
    assert_eq!(
        changes.config,
        [("Env.NAME".to_owned(), json!("x:1"), json!("x:2"))]
    );
    assert_eq!(changes.shared_layers, before.layers);
    assert_eq!(changes.added_layers, after.layers[1..]);
    assert!(changes.removed_layers.is_empty());
    let same = place.store.changes(&after, &after).unwrap();
    assert!(same.files.is_empty() && same.config.is_empty());
}

#[tokio::test]
async fn a_layer_may_link_to_a_file_of_one_below() {
    let place = Place::new();
    let mut all = layers();
    all.push(
        Tar::new()
            .hard_link("etc/twin", "etc/kept")
            .hard_link("etc/triplet", "etc/kept")
            .end(),
    );
    let image = loaded(&place, "x:1", all.clone()).await;
    assert_eq!(place.read(&image, "etc/twin"), b"kept");
    let path = |name: &str| place.store.layers(&image).unwrap()[0].join(name);
    let inode =
        |name: &str| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path(name)).unwrap());
    assert_eq!(inode("etc/twin"), inode("etc/triplet"));
    assert!(place.store.check(true).unwrap().findings.is_empty());
    // Of a file that is gone, or never was.
    for target in ["etc/removed", "etc/nothing", "opt/old/file"] {
        let mut bad = layers();
        bad.push(Tar::new().hard_link("etc/twin", target).end());
        let image = TestImage::new(bad);
        let error = Place::new()
            .load(&docker_archive(&[(&image, &["x:1"])]))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("which neither the layer"),
            "{error}"
        );
    }
}

/// A terabyte of nothing, and one byte.
fn holes(byte: u8) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_path("holes").unwrap();
    header.set_mode(0o644);
    header.set_size(1);
    let gnu = header.as_gnu_mut().unwrap();
    let octal = |field: &mut [u8; 12], number: u64| {
        field[..11].copy_from_slice(format!("{number:011o}").as_bytes());
    };
    // The field for the size has room for eight gigabytes in digits, and for more in binary.
    gnu.realsize[0] = 0x80;
    gnu.realsize[4..].copy_from_slice(&(1_u64 << 40).to_be_bytes());
    octal(&mut gnu.sparse[0].offset, 1 << 20);
    octal(&mut gnu.sparse[0].numbytes, 1);
    header.set_cksum();
    let mut layer = header.as_bytes().to_vec();
    layer.push(byte);
    layer.resize(1024, 0);
    layer
}

#[tokio::test]
async fn holes_are_not_read() {
    let place = Place::new();
    let mut images = Vec::new();
    for (name, byte) in [("x:1", b'1'), ("x:2", b'1'), ("x:3", b'3')] {
        let other = Tar::new().bytes("other", 0o644, name.as_bytes()).end();
        let layer = [holes(byte), other].concat();
        images.push(loaded(&place, name, vec![layer]).await);
    }
    let changed = |after: usize| {
        let changes = place.store.changes(&images[0], &images[after]).unwrap();
        let files = changes.files.into_iter();
        files
            .map(|change| change.after.unwrap().path)
            .collect::<Vec<_>>()
    };
    assert_eq!(changed(1), ["/other"]);
    assert_eq!(changed(2), ["/holes", "/other"]);
}

#[tokio::test]
async fn a_link_to_a_file_below_keeps_its_holes() {
    let upper = Tar::new().hard_link("twin", "holes").end();
    let place = Place::new();
    let image = loaded(&place, "x:1", vec![holes(b'x'), upper]).await;
    let twin = place.store.layers(&image).unwrap()[0].join("twin");
    let meta = std::fs::metadata(&twin).unwrap();
    assert_eq!(meta.len(), 1 << 40);
    assert!(std::os::unix::fs::MetadataExt::blocks(&meta) < 1000);
    let mut byte = [0];
    let file = std::fs::File::open(&twin).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, 1 << 20).unwrap();
    assert_eq!(&byte, b"x");
}

#[tokio::test]
async fn damage_is_found_by_the_full_check() {
    let place = Place::new();
    let image = loaded(&place, "x:1", layers()).await;
    let report = place.store.check(true).unwrap();
    assert!(report.is_sound() && report.findings.is_empty());
    assert_eq!((report.images, report.layers), (1, 2));
    let top = place.store.layers(&image).unwrap()[0].clone();
    let said = |deep| {
        let report = place.store.check(deep).unwrap();
        let all = report.findings.into_iter().map(|finding| finding.what);
        all.collect::<Vec<_>>().join("\n")
    };
    std::fs::write(top.join("etc/changed"), "longer than before").unwrap();
    assert_eq!(said(false), "");
    assert!(said(true).contains("its file /etc/changed has 18 bytes"));
    std::fs::remove_file(top.join("etc/changed")).unwrap();
    assert!(said(true).contains("its file /etc/changed is missing"));
    let blobs = place.root().join("blobs/sha256");
    for blob in std::fs::read_dir(&blobs).unwrap() {
        let path = blob.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(!place.store.check(true).unwrap().is_sound());
    std::fs::remove_dir_all(&blobs).unwrap();
    std::fs::create_dir(&blobs).unwrap();
    assert!(said(false).contains("its blob is missing"));
    std::fs::write(blobs.join("stranger"), "x").unwrap();
    assert!(said(false).contains("belongs to no image"));
}
