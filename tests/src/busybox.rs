//! The test image: Debian's static busybox, in two layers with a deletion between them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::places;

/// Name of the image in archives.
pub const NAME: &str = "slipway-test/busybox:latest";

/// An image as bytes.
pub struct Image {
    /// The configuration.
    pub config: Vec<u8>,
    /// Layers as plain tar, the lowest first.
    pub layers: Vec<Vec<u8>>,
}

impl Image {
    /// Makes it from the busybox of this system, or for another processor from `SLIPWAY_TEST_BUSYBOX`.
    ///
    /// # Errors
    /// A reason to skip the test.
    pub fn make() -> Result<Self, String> {
        let busybox = places::in_path("busybox").ok_or("the package busybox-static is missing")?;
        let other = std::env::var_os("SLIPWAY_TEST_BUSYBOX").map(PathBuf::from);
        let program = other.as_ref().unwrap_or(&busybox);
        let program = fs::read(program).map_err(|error| format!("{program:?}: {error}"))?;
        let listing = Command::new(&busybox).arg("--list").output();
        let listing = listing.map_err(|error| format!("{busybox:?}: {error}"))?;
        let applets = String::from_utf8_lossy(&listing.stdout).into_owned();
        let layers = vec![base(&program, &applets), second()];
        let config = config(&layers);
        Ok(Self { config, layers })
    }

    /// The image's id: the digest of its configuration.
    #[must_use]
    pub fn id(&self) -> String {
        digest(&self.config)
    }

    /// Writes a docker-archive, as `docker save` makes it.
    pub fn write_archive(&self, path: &Path) {
        let mut archive = Builder::new(File::create(path).expect("the archive"));
        let config = format!("{}.json", self.id().trim_start_matches("sha256:"));
        add(&mut archive, &config, 0o644, &self.config);
        let mut names = Vec::new();
        for layer in &self.layers {
            let name = format!("{}/layer.tar", digest(layer).trim_start_matches("sha256:"));
            add(&mut archive, &name, 0o644, layer);
            names.push(name);
        }
        let manifest = json!([{"Config": config, "RepoTags": [NAME], "Layers": names}]);
        add(
            &mut archive,
            "manifest.json",
            0o644,
            manifest.to_string().as_bytes(),
        );
        archive.finish().expect("the archive");
    }

    /// Unpacks the lowest layer, a root that programs run in.
    pub fn write_root(&self, path: &Path) {
        tar::Archive::new(&self.layers[0][..])
            .unpack(path)
            .expect("the root");
    }

    /// Adds a layer with one file.
    pub fn add_layer(&mut self, path: &str, bytes: &[u8]) {
        let mut layer = Builder::new(Vec::new());
        add(&mut layer, path, 0o644, bytes);
        self.layers.push(layer.into_inner().expect("memory"));
        self.config = config(&self.layers);
    }

    /// Layers as a registry holds them.
    #[must_use]
    pub fn compressed_layers(&self) -> Vec<Vec<u8>> {
        self.layers.iter().map(|layer| gzip(layer)).collect()
    }
}

/// `sha256:` and 64 hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// busybox, its applets, users, and a file that the second layer removes.
fn base(program: &[u8], applets: &str) -> Vec<u8> {
    let mut layer = Builder::new(Vec::new());
    for folder in [
        "bin", "etc", "root", "var", "usr", "home", "proc", "sys", "dev",
    ] {
        directory(&mut layer, folder, 0o755);
    }
    directory(&mut layer, "tmp", 0o1777);
    add(&mut layer, "bin/busybox", 0o755, program);
    for applet in applets
        .lines()
        .filter(|name| *name != "busybox" && !name.is_empty())
    {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        layer
            .append_link(&mut header, format!("bin/{applet}"), "busybox")
            .expect("memory");
    }
    let users = "root:x:0:0:root:/root:/bin/sh\nsailor:x:1000:1000::/home:/bin/sh\n";
    add(&mut layer, "etc/passwd", 0o644, users.as_bytes());
    add(
        &mut layer,
        "etc/group",
        0o644,
        b"root:x:0:\nsailor:x:1000:\ncrew:x:1001:sailor\n",
    );
    add(
        &mut layer,
        "etc/removed",
        0o644,
        b"only in the first layer\n",
    );
    add(&mut layer, "etc/replaced", 0o644, b"first\n");
    layer.into_inner().expect("memory")
}

fn second() -> Vec<u8> {
    let mut layer = Builder::new(Vec::new());
    add(&mut layer, "etc/.wh.removed", 0o644, b"");
    add(&mut layer, "etc/replaced", 0o644, b"second\n");
    layer.into_inner().expect("memory")
}

fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<Value> = layers.iter().map(|layer| json!(digest(layer))).collect();
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "created": "2026-01-02T03:04:05Z",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "FROM_IMAGE=yes"],
            "Cmd": ["sh"],
            "WorkingDir": "/",
            "Labels": {"test": "busybox"},
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [
            {"created": "2026-01-02T03:04:05Z", "created_by": "busybox"},
            {"created": "2026-01-02T03:04:05Z", "created_by": "second layer"},
        ],
    });
    config.to_string().into_bytes()
}

fn architecture() -> &'static str {
    match places::guest_arch().as_str() {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

fn directory<W: Write>(archive: &mut Builder<W>, path: &str, mode: u32) {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(mode);
    header.set_size(0);
    archive
        .append_data(&mut header, format!("{path}/"), std::io::empty())
        .expect("the archive");
}

fn add<W: Write>(archive: &mut Builder<W>, path: &str, mode: u32, bytes: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    header.set_mtime(1_767_323_045);
    archive
        .append_data(&mut header, path, bytes)
        .expect("the archive");
}
