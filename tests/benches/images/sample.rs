//! An image of 300 to 400 MB in six layers, made of this system's own programs and libraries.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tests::busybox::digest;

use crate::engine::Served;

/// Bytes of files in one layer.
const LAYER: u64 = 60_000_000;
const LAYERS: usize = 6;
/// No single file makes a layer.
const LARGEST: u64 = 12_000_000;
/// Where the files come from: programs, libraries, and many small files.
const SOURCES: [&str; 4] = [
    "/usr/bin",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/share",
    "/usr/lib",
];

/// The image.
pub(crate) struct Sample {
    pub(crate) layers: Vec<Layer>,
    /// Bytes of all files.
    pub(crate) unpacked: u64,
}

/// One layer, as a registry has it.
pub(crate) struct Layer {
    pub(crate) blob: Vec<u8>,
    diff_id: String,
}

impl Layer {
    /// The blob's digest.
    pub(crate) fn digest(&self) -> String {
        digest(&self.blob)
    }
}

impl Sample {
    pub(crate) fn make() -> Self {
        let mut files = SOURCES.iter().flat_map(|top| files(Path::new(top)));
        let mut unpacked = 0;
        let layers: Vec<Layer> = (0..LAYERS)
            .map(|number| {
                let mut size = 0;
                let mut archive = tar::Builder::new(Vec::new());
                archive.follow_symlinks(false);
                while size < LAYER
                    && let Some(path) = files.next()
                {
                    let name = Path::new("layer").join(number.to_string());
                    let name = name.join(path.strip_prefix("/").expect("a path"));
                    if archive.append_path_with_name(&path, name).is_ok() {
                        size += path.symlink_metadata().map_or(0, |meta| meta.len());
                    }
                }
                unpacked += size;
                let plain = archive.into_inner().expect("memory");
                Layer {
                    diff_id: digest(&plain),
                    blob: gzip(&plain),
                }
            })
            .collect();
        assert!(
            (300_000_000..450_000_000).contains(&unpacked),
            "this system has too few files"
        );
        Self { layers, unpacked }
    }

    /// Bytes of all blobs.
    pub(crate) fn download(&self) -> usize {
        self.layers.iter().map(|layer| layer.blob.len()).sum()
    }

    /// Pushes the image, or its lowest layers.
    pub(crate) fn push(&self, to: &Served, name: &str, tag: &str, layers: usize) {
        let layers = &self.layers[..layers];
        let diff_ids: Vec<&str> = layers.iter().map(|layer| &*layer.diff_id).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z",
            "config": { "Cmd": ["sh"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        })
        .to_string();
        let described: Vec<Value> = layers
            .iter()
            .map(|layer| {
                put_blob(to, name, &layer.blob);
                json!({
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "size": layer.blob.len(),
                    "digest": digest(&layer.blob),
                })
            })
            .collect();
        put_blob(to, name, config.as_bytes());
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": config.len(),
                "digest": digest(config.as_bytes()),
            },
            "layers": described,
        })
        .to_string();
        let url = format!("http://127.0.0.1:5000/v2/{name}/manifests/{tag}");
        put(to, &url, kind, manifest.as_bytes());
    }
}

fn put_blob(to: &Served, name: &str, bytes: &[u8]) {
    // curl follows no location of its own: the upload's address is asked for first.
    let base = format!("http://127.0.0.1:5000/v2/{name}/blobs/uploads/");
    let file = written(bytes);
    let script = format!(
        "place=$(curl -sS -X POST -D - -o /dev/null '{base}' | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p') && \
         curl -sSf -X PUT -H 'Content-Type: application/octet-stream' --data-binary @{} \"$place&digest={}\"",
        file.path().display(),
        digest(bytes)
    );
    assert!(to.shell(&script), "pushing a blob");
}

fn put(to: &Served, url: &str, kind: &str, bytes: &[u8]) {
    let file = written(bytes);
    let data = format!("@{}", file.path().display());
    let kind = format!("Content-Type: {kind}");
    assert!(
        to.curl(&[
            "-sSf",
            "-X",
            "PUT",
            "-H",
            &kind,
            "--data-binary",
            &data,
            url
        ]),
        "pushing a manifest"
    );
}

fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("a file");
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// All files and links below a directory, in order.
fn files(top: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![top.to_owned()];
    while let Some(directory) = directories.pop() {
        let mut names: Vec<PathBuf> = fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        names.sort();
        for path in names {
            match path.symlink_metadata() {
                Ok(meta) if meta.is_dir() => directories.push(path),
                Ok(meta) if meta.is_symlink() || (meta.is_file() && meta.len() <= LARGEST) => {
                    found.push(path);
                }
                _ => {}
            }
        }
    }
    found
}
