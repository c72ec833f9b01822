//! `docker load`: formats, names, bad archives, and what stays after a failure.

use images::{Digest, Kind, LoadOptions};

use crate::fixture::{Place, Tar, TestImage, docker_archive, gzip, listen, oci_archive, zstd};

#[tokio::test]
async fn a_docker_archive_becomes_an_image() {
    let place = Place::new();
    let image = TestImage::busybox();
    let loaded = place
        .load(&docker_archive(&[(
            &image,
            &["busybox:1", "localhost:5000/b:2"],
        )]))
        .await
        .unwrap();
    let lines: Vec<String> = loaded.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "Loaded image: busybox:1",
            "Loaded image: localhost:5000/b:2"
        ]
    );

    let found = place.store.resolve("busybox:1").unwrap();
    assert_eq!(found.id, image.id());
    assert_eq!(found.repo_tags, ["busybox:1", "localhost:5000/b:2"]);
    assert_eq!(found.repo_digests, Vec::<String>::new());
    assert_eq!(found.size, image.size());
    assert_eq!(found.created.as_deref(), Some("2026-01-02T03:04:05Z"));
    assert_eq!(
        (found.os.as_str(), found.architecture.as_str()),
        ("linux", "amd64")
    );
    assert_eq!(found.config.cmd().unwrap(), ["/bin/sh"]);
    assert_eq!(found.config.value()["x-unknown"]["kept"], true);
    assert_eq!(place.read(&found, "etc/motd"), b"upper");
    assert_eq!(
        place.read(&found, "bin/busybox"),
        std::fs::read("/bin/busybox").unwrap()
    );
    let layers = place.store.layers(&found).unwrap();
    assert!(
        layers[0].join("etc/motd").exists() && !layers[0].join("bin").exists(),
        "topmost first"
    );
    place.assert_holds(2, 2);
}

#[tokio::test]
async fn every_compression_and_layout_loads() {
    let image = TestImage::busybox();
    let plain = docker_archive(&[(&image, &["x:1"])]);
    let archives = [
        ("gzip", gzip(&plain)),
        ("zstd", zstd(&plain)),
        (
            "two gzip members",
            [gzip(&plain[..5000]), gzip(&plain[5000..])].concat(),
        ),
        (
            "oci, gzip layers",
            oci_archive(&image, "docker.io/library/x:1", gzip),
        ),
        ("oci, zstd layers", oci_archive(&image, "x:1", zstd)),
        (
            "oci, plain layers, compressed whole",
            gzip(&oci_archive(&image, "x:1", <[u8]>::to_vec)),
        ),
    ];
    for (what, archive) in archives {
        let place = Place::new();
        place
            .load(&archive)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = place.store.resolve("x:1").unwrap();
        assert_eq!((found.id, found.size), (image.id(), image.size()), "{what}");
        assert_eq!(place.read(&found, "etc/motd"), b"upper", "{what}");
    }
}

#[tokio::test]
async fn several_images_share_their_layers() {
    let place = Place::new();
    let one = TestImage::busybox();
    let mut layers = one.layers.clone();
    layers[1] = Tar::new().bytes("other", 0o644, b"other").end();
    let two = TestImage::new(layers);
    place
        .load(&docker_archive(&[(&one, &["one:1"]), (&two, &["two:1"])]))
        .await
        .unwrap();
    place.assert_holds(3, 3);
    let (one, two) = (
        place.store.resolve("one:1").unwrap(),
        place.store.resolve("two:1").unwrap(),
    );
    let bottom = |image| place.store.layers(image).unwrap().pop().unwrap();
    assert_eq!(bottom(&one), bottom(&two));
    assert_eq!(place.store.list().unwrap().len(), 2);
}

#[tokio::test]
async fn an_image_without_a_name_is_known_by_its_id() {
    let place = Place::new();
    let image = TestImage::busybox();
    let loaded = place.load(&docker_archive(&[(&image, &[])])).await.unwrap();
    assert_eq!(
        loaded[0].to_string(),
        format!("Loaded image ID: {}", image.id())
    );
    assert_eq!(
        place.store.resolve(&image.id().short()).unwrap().id,
        image.id()
    );
}

#[tokio::test]
async fn old_archives_with_linked_layers_load() {
    let image = TestImage::busybox();
    let mut archive = Tar::new().bytes("real.tar", 0o644, &image.layers[0]);
    archive =
        archive
            .symlink("folder/layer.tar", "../real.tar")
            .bytes("up.tar", 0o644, &image.layers[1]);
    archive = archive.bytes("c.json", 0o644, &image.config);
    let manifest =
        br#"[{"Config":"c.json","RepoTags":["old:1"],"Layers":["folder/layer.tar","./up.tar"]}]"#;
    let place = Place::new();
    place
        .load(&archive.bytes("manifest.json", 0o644, manifest).end())
        .await
        .unwrap();
    assert_eq!(place.store.resolve("old:1").unwrap().id, image.id());
}

#[tokio::test]
async fn loading_tells_how_far_it_is() {
    let place = Place::new();
    let image = TestImage::busybox();
    let (sender, messages) = listen();
    place
        .store
        .load(
            docker_archive(&[(&image, &["x:1"])]).as_slice(),
            LoadOptions::default(),
            sender,
        )
        .await
        .unwrap();
    let messages = messages.await.unwrap();
    for layer in &image.layers {
        let id = Digest::of(layer).short();
        let last = messages
            .iter()
            .rfind(|message| message.id.as_deref() == Some(&id))
            .unwrap();
        assert_eq!(last.status, "Loading layer");
        let detail = last.progress_detail.unwrap();
        assert_eq!(
            (detail.current, detail.total),
            (Some(layer.len() as u64), Some(layer.len() as u64))
        );
    }
}

#[tokio::test]
async fn a_cut_archive_leaves_nothing() {
    let image = TestImage::busybox();
    let whole = docker_archive(&[(&image, &["x:1"])]);
    let mut cuts = vec![0, 1, 511, 512, 5000, whole.len() / 2];
    let end = whole.len() - 1024;
    // Somewhere in the last file, its header, and the layer before it.
    cuts.extend([end - 100, end - 600, end - 2000, end - 4000]);
    for compress in [<[u8]>::to_vec, gzip, zstd] {
        let whole = compress(&whole);
        for cut in cuts.iter().filter(|cut| **cut < whole.len()) {
            let place = Place::new();
            let error = place.load(&whole[..*cut]).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{cut}: {error}");
            assert!(place.store.list().unwrap().is_empty());
            place.assert_holds(0, 0);
        }
    }
}

#[tokio::test]
async fn damaged_archives_are_told_and_leave_nothing() {
    let image = TestImage::busybox();
    let other = Tar::new().bytes("evil", 0o755, b"evil").end();
    let swapped = TestImage {
        layers: vec![image.layers[0].clone(), other.clone()],
        ..image.clone()
    };
    let third = Tar::new().bytes("third", 0o644, b"third").end();
    let mut second = TestImage::new(vec![image.layers[0].clone(), third]);
    second.layers[1] = other.clone();
    let fewer = TestImage {
        layers: vec![image.layers[0].clone()],
        ..image.clone()
    };
    let no_config = Tar::new()
        .bytes(
            "manifest.json",
            0o644,
            br#"[{"Config":"c.json","Layers":[]}]"#,
        )
        .end();
    let wrong_name = format!(
        r#"[{{"Config":"{}.json","RepoTags":null,"Layers":null}}]"#,
        Digest::of(b"x").hex()
    );
    let wrong_config = Tar::new()
        .bytes(&format!("{}.json", Digest::of(b"x").hex()), 0o644, b"{}")
        .bytes("manifest.json", 0o644, wrong_name.as_bytes())
        .end();
    let mut oci = oci_archive(&image, "x:1", <[u8]>::to_vec);
    let at = oci.windows(5).position(|bytes| bytes == b"upper").unwrap();
    oci[at] = b'U';
    let bad_tag = docker_archive(&[(&image, &["Bad Name"])]);
    let hostile = TestImage::new(vec![
        image.layers[0].clone(),
        Tar::new().bytes(".wh...", 0o644, b"").end(),
    ]);
    for (archive, words) in [
        (
            docker_archive(&[(&swapped, &["x:1"])]),
            "layer verification failed",
        ),
        (
            docker_archive(&[(&image, &["good:1"]), (&second, &["x:1"])]),
            "layer verification failed",
        ),
        (docker_archive(&[(&fewer, &["x:1"])]), "lists 2 layers"),
        (no_config, "names \"c.json\" but does not hold it"),
        (wrong_config, "the archive is damaged"),
        (oci, "the archive is damaged"),
        (bad_tag, "invalid reference format"),
        (docker_archive(&[(&hostile, &["x:1"])]), "whiteout"),
        (other, "neither manifest.json nor index.json"),
        (
            b"hello, this is text".repeat(100),
            "archive/tar: invalid tar header",
        ),
        (b"BZh91AY&SY".to_vec(), "bzip2"),
    ] {
        Place::refuses(&archive, words).await;
    }
}

#[tokio::test]
async fn an_archive_that_stops_arriving_leaves_nothing() {
    let place = Place::new();
    let whole = docker_archive(&[(&TestImage::busybox(), &["x:1"])]);
    let broken = tokio_test_reader(whole[..whole.len() / 2].to_vec());
    let (sender, _messages) = listen();
    let error = place
        .store
        .load(broken, LoadOptions::default(), sender)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("did not arrive in full"),
        "{error}"
    );
    place.assert_holds(0, 0);
}

/// Yields the bytes, then an error.
fn tokio_test_reader(bytes: Vec<u8>) -> impl tokio::io::AsyncRead + Send + Unpin {
    struct Broken(std::io::Cursor<Vec<u8>>);
    impl tokio::io::AsyncRead for Broken {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _context: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            let count = std::io::Read::read(&mut self.0, buffer.initialize_unfilled())?;
            if count == 0 {
                return std::task::Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
            }
            buffer.advance(count);
            std::task::Poll::Ready(Ok(()))
        }
    }
    Broken(std::io::Cursor::new(bytes))
}

#[tokio::test]
async fn the_store_survives_a_restart_and_sweeps_leftovers() {
    let place = Place::new();
    let image = TestImage::busybox();
    place
        .load(&docker_archive(&[(&image, &["x:1"])]))
        .await
        .unwrap();
    let home = place.home;
    let root = home.path().join("images");
    drop(place.store);
    std::fs::create_dir_all(root.join("tmp/half/tree/deep")).unwrap();
    std::fs::create_dir_all(root.join("layers").join("0".repeat(64))).unwrap();
    std::fs::write(root.join("blobs/sha256").join("1".repeat(64)), "x").unwrap();
    let place = Place {
        store: images::Store::open(&root).unwrap(),
        home,
    };
    assert_eq!(place.store.resolve("x:1").unwrap().id, image.id());
    place.assert_holds(2, 2);
}

#[tokio::test]
async fn what_is_saved_loads_again() {
    let place = Place::new();
    let image = TestImage::busybox();
    place
        .load(&docker_archive(&[(
            &image,
            &["busybox:1", "busybox:2", "mine:1"],
        )]))
        .await
        .unwrap();
    let save = async |names: &[&str]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut archive = Vec::new();
        place
            .store
            .save(&names, None, &mut archive)
            .await
            .map(|_| archive)
    };
    for (names, tags) in [
        (vec!["busybox"], vec!["busybox:1", "busybox:2"]),
        (vec!["busybox:2", "mine:1"], vec!["busybox:2", "mine:1"]),
        (vec![&*image.id().short()], vec![]),
    ] {
        let archive = save(&names).await.unwrap();
        assert_eq!(
            archive,
            save(&names).await.unwrap(),
            "the same bytes each time"
        );
        let other = Place::new();
        other.load(&archive).await.unwrap();
        let found = other.store.resolve(&image.id().to_string()).unwrap();
        assert_eq!(found.repo_tags, tags);
        assert_eq!(other.read(&found, "etc/motd"), b"upper");
        // As an OCI layout it says the same.
        let mut entries = tar::Archive::new(archive.as_slice());
        let mut layout = tar::Builder::new(Vec::new());
        for entry in entries.entries().unwrap().map(Result::unwrap) {
            if entry.path().unwrap().as_os_str() != "manifest.json" {
                layout.append(&entry.header().clone(), entry).unwrap();
            }
        }
        let other = Place::new();
        other.load(&layout.into_inner().unwrap()).await.unwrap();
        assert_eq!(other.store.get(&image.id()).unwrap().repo_tags, tags);
    }
    let error = save(&["busybox", "nope"]).await.unwrap_err();
    assert_eq!(error.to_string(), "No such image: nope");
    // Someone who stops reading is an error, not a hang.
    let (writer, reader) = tokio::io::duplex(1000);
    drop(reader);
    let error = place
        .store
        .save(&["busybox".to_owned()], None, writer)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("nobody takes the archive"),
        "{error}"
    );
}

/// A file system of a few megabytes, as root can make one; the test is skipped otherwise.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(megabytes: u32) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let options = std::ffi::CString::new(format!("size={megabytes}m")).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        match rustix::mount::mount("tmpfs", home.path(), "tmpfs", flags, options.as_c_str()) {
            Ok(()) => Some(Self(home)),
            Err(errno) => {
                tests::steps::unable(&format!("cannot mount a small file system: {errno}"));
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_cleaned() {
    let Some(small) = Small::mount(8) else { return };
    let store = images::Store::open(&small.0.path().join("images")).unwrap();
    let big = TestImage::new(vec![
        Tar::new().bytes("big", 0o644, &vec![7; 10 << 20]).end(),
    ]);
    let (sender, _messages) = listen();
    let error = store
        .load(
            docker_archive(&[(&big, &["big:1"])]).as_slice(),
            LoadOptions::default(),
            sender,
        )
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NoSpace, "{error}");
    assert!(
        error.to_string().contains("free on the data disk"),
        "{error}"
    );
    assert!(store.list().unwrap().is_empty());
    for directory in ["layers", "blobs/sha256", "tmp"] {
        assert_eq!(
            std::fs::read_dir(small.0.path().join("images").join(directory))
                .unwrap()
                .count(),
            0
        );
    }
    // And it works again with something that fits.
    let little = TestImage::new(vec![Tar::new().bytes("little", 0o644, b"x").end()]);
    let (sender, _messages) = listen();
    store
        .load(
            docker_archive(&[(&little, &["little:1"])]).as_slice(),
            LoadOptions::default(),
            sender,
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn damage_anywhere_in_an_archive_is_told_or_harmless() {
    let image = TestImage::busybox();
    let mut small = image.clone();
    small.layers[0] = Tar::new()
        .directory("etc", 0o755)
        .bytes("etc/motd", 0o644, b"lower")
        .symlink("etc/link", "motd")
        .end();
    let small = TestImage::new(small.layers);
    let mut state = 7_u64;
    let mut next = |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % limit
    };
    let whole = [
        docker_archive(&[(&small, &["x:1"])]),
        oci_archive(&small, "x:1", gzip),
        oci_archive(&small, "x:1", zstd),
        gzip(&oci_archive(&small, "x:1", <[u8]>::to_vec)),
    ];
    for round in 0..160 {
        let mut archive = whole[round % whole.len()].clone();
        for _ in 0..=next(3) {
            let at = next(archive.len());
            match next(3) {
                0 => archive[at] ^= 1 << next(8),
                1 => archive.truncate(at.max(1)),
                _ => {
                    let end = (at + next(600)).min(archive.len());
                    archive.drain(at..end);
                }
            }
            if archive.is_empty() {
                break;
            }
        }
        let place = Place::new();
        let loaded = place.load(&archive).await;
        let report = place.store.check(true).unwrap();
        assert!(report.findings.is_empty(), "round {round}: {report:?}");
        if let Err(error) = loaded {
            assert_eq!(error.kind(), Kind::Invalid, "round {round}: {error}");
            place.assert_holds(0, 0);
        }
    }
}
