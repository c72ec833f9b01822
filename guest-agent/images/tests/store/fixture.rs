//! Images made for a test, the archives that hold them, and a store in a fresh directory.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use images::{Digest, LoadOptions, PullProgress, Store};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// An image in the making: its layers as plain tar streams, lowest first.
#[derive(Clone)]
pub(crate) struct TestImage {
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) config: Vec<u8>,
}

impl TestImage {
    pub(crate) fn new(layers: Vec<Vec<u8>>) -> Self {
        let diff_ids: Vec<String> = layers
            .iter()
            .map(|layer| Digest::of(layer).to_string())
            .collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z",
            "config": { "Cmd": ["/bin/sh"], "Env": ["PATH=/bin"] },
            "x-unknown": { "kept": true },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        Self {
            layers,
            config: serde_json::to_vec(&config).unwrap(),
        }
    }

    /// Two layers: the machine's busybox with links, and a file above it that replaces one.
    pub(crate) fn busybox() -> Self {
        let program = std::fs::read("/bin/busybox").unwrap();
        let mut lower = Tar::new()
            .directory("bin", 0o755)
            .bytes("bin/busybox", 0o755, &program);
        for link in ["sh", "true", "cat"] {
            lower = lower.symlink(&format!("bin/{link}"), "busybox");
        }
        let lower = lower
            .directory("etc", 0o755)
            .bytes("etc/motd", 0o644, b"lower")
            .end();
        let upper = Tar::new()
            .directory("etc", 0o755)
            .bytes("etc/motd", 0o644, b"upper")
            .end();
        Self::new(vec![lower, upper])
    }

    pub(crate) fn with_config(mut self, change: impl FnOnce(&mut serde_json::Value)) -> Self {
        let mut value: serde_json::Value = serde_json::from_slice(&self.config).unwrap();
        change(&mut value);
        self.config = serde_json::to_vec(&value).unwrap();
        self
    }

    pub(crate) fn id(&self) -> Digest {
        Digest::of(&self.config)
    }

    /// The files' sizes, as `docker images` counts.
    pub(crate) fn size(&self) -> u64 {
        let sum = |layer: &Vec<u8>| -> u64 {
            tar::Archive::new(layer.as_slice())
                .entries()
                .unwrap()
                .map(|entry| {
                    let entry = entry.unwrap();
                    match entry.header().entry_type() {
                        tar::EntryType::Symlink => entry.link_name_bytes().unwrap().len() as u64,
                        _ => entry.size(),
                    }
                })
                .sum()
        };
        self.layers.iter().map(sum).sum()
    }
}

/// A tar stream in the making.
pub(crate) struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn header(kind: tar::EntryType, mode: u32, size: usize) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size as u64);
        header.set_mtime(1_700_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    pub(crate) fn bytes(mut self, name: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = Self::header(tar::EntryType::Regular, mode, content.len());
        self.0.append_data(&mut header, name, content).unwrap();
        self
    }

    pub(crate) fn directory(mut self, name: &str, mode: u32) -> Self {
        let mut header = Self::header(tar::EntryType::Directory, mode, 0);
        self.0
            .append_data(&mut header, name, std::io::empty())
            .unwrap();
        self
    }

    pub(crate) fn symlink(mut self, name: &str, target: &str) -> Self {
        let mut header = Self::header(tar::EntryType::Symlink, 0o777, 0);
        self.0.append_link(&mut header, name, target).unwrap();
        self
    }

    pub(crate) fn hard_link(mut self, name: &str, target: &str) -> Self {
        let mut header = Self::header(tar::EntryType::Link, 0o644, 0);
        self.0.append_link(&mut header, name, target).unwrap();
        self
    }

    pub(crate) fn end(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// What `docker save` wrote before version 25: a folder a layer, `manifest.json` last.
pub(crate) fn docker_archive(images: &[(&TestImage, &[&str])]) -> Vec<u8> {
    let mut archive = Tar::new();
    let mut manifest = Vec::new();
    for (image, tags) in images {
        let config = format!("{}.json", image.id().hex());
        archive = archive.bytes(&config, 0o644, &image.config);
        let mut names = Vec::new();
        for layer in &image.layers {
            let name = format!("{}/layer.tar", Digest::of(layer).hex());
            archive = archive.bytes(&name, 0o644, layer);
            names.push(name);
        }
        manifest.push(json!({ "Config": config, "RepoTags": tags, "Layers": names }));
    }
    archive
        .bytes(
            "manifest.json",
            0o644,
            &serde_json::to_vec(&manifest).unwrap(),
        )
        .end()
}

/// An OCI layout with compressed layers, as buildx and skopeo write it.
pub(crate) fn oci_archive(
    image: &TestImage,
    name: &str,
    compress: fn(&[u8]) -> Vec<u8>,
) -> Vec<u8> {
    let mut archive = Tar::new().bytes("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
    let mut add = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        let taken = std::mem::replace(&mut archive, Tar::new());
        archive = taken.bytes(&format!("blobs/sha256/{}", digest.hex()), 0o644, bytes);
        json!({ "digest": digest, "size": bytes.len() })
    };
    let layers: Vec<_> = image
        .layers
        .iter()
        .map(|layer| add(&compress(layer)))
        .collect();
    let config = add(&image.config);
    let manifest = add(&serde_json::to_vec(
        &json!({ "schemaVersion": 2, "config": config, "layers": layers }),
    )
    .unwrap());
    let mut inner = manifest;
    inner["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let absent = json!({ "digest": Digest::of(b"absent"), "size": 1, "platform": { "os": "linux", "architecture": "s390x" } });
    let mut index = add(&serde_json::to_vec(
        &json!({ "schemaVersion": 2, "manifests": [absent, inner] }),
    )
    .unwrap());
    index["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
    let top = json!({ "schemaVersion": 2, "manifests": [index] });
    archive
        .bytes("index.json", 0o644, &serde_json::to_vec(&top).unwrap())
        .end()
}

/// A store in its own directory.
pub(crate) struct Place {
    pub(crate) home: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Place {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("images")).unwrap();
        Self { home, store }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.home.path().join("images")
    }

    pub(crate) async fn load(&self, archive: &[u8]) -> images::Result<Vec<images::LoadedImage>> {
        let (sender, _messages) = listen();
        self.store
            .load(archive, LoadOptions::default(), sender)
            .await
    }

    /// An archive is refused in such words, and leaves nothing: not even the good image of a bad archive.
    pub(crate) async fn refuses(archive: &[u8], words: &str) {
        let place = Self::new();
        let error = place.load(archive).await.unwrap_err();
        assert!(
            matches!(&error, images::Error::Invalid(message) if message.contains(words)),
            "{words}: {error}"
        );
        assert!(place.store.list().unwrap().is_empty(), "{words}");
        place.assert_holds(0, 0);
    }

    /// What a person sees of a file in the container: the topmost layer that has it.
    pub(crate) fn read(&self, image: &images::Image, name: &str) -> Vec<u8> {
        let layers = self.store.layers(image).unwrap();
        let found = layers
            .iter()
            .map(|layer| layer.join(name))
            .find(|path| path.exists());
        std::fs::read(found.expect("no layer has the file")).unwrap()
    }

    /// Fails unless the store holds exactly these many layers and blobs and no work in progress.
    pub(crate) fn assert_holds(&self, layers: usize, blobs: usize) {
        let count = |directory: &str| {
            std::fs::read_dir(self.root().join(directory))
                .unwrap()
                .count()
        };
        assert_eq!(
            (count("layers"), count("blobs/sha256"), count("tmp")),
            (layers, blobs, 0),
            "layers, blobs and work in progress"
        );
    }
}

/// Collects progress messages.
pub(crate) fn listen() -> (mpsc::Sender<PullProgress>, JoinHandle<Vec<PullProgress>>) {
    let (sender, mut receiver) = mpsc::channel(64);
    let collected = tokio::spawn(async move {
        let mut messages = Vec::new();
        while let Some(message) = receiver.recv().await {
            messages.push(message);
        }
        messages
    });
    (sender, collected)
}

/// A tool that the test set-up unpacked, or nothing and a line that says so.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SLIPWAY_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/root"),
        PathBuf::from,
    );
    let path = root.join("usr/bin").join(name);
    if path.exists() {
        return Some(path);
    }
    tests::steps::skip(&format!(
        "{name} is not in {} (set SLIPWAY_TEST_TOOLS)",
        root.display()
    ));
    None
}
