//! A real docker-registry on the loopback interface.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::busybox::{Image, digest};
use crate::{http, places, wait};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A registry; it ends with this value.
pub struct Registry {
    child: Child,
    /// `127.0.0.1:PORT`, as in image names.
    pub host: String,
    storage: TempDir,
}

impl Registry {
    /// Starts one.
    ///
    /// # Errors
    /// A reason to skip the test.
    pub fn start() -> Result<Self, String> {
        let program = places::tool("docker-registry")?;
        let storage = tempfile::tempdir().map_err(|error| error.to_string())?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let host = free.map_err(|error| error.to_string())?.to_string();
        let config = storage.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: {host}}}\n",
            storage.path().join("data").display()
        );
        fs::write(&config, text).map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let registry = Self {
            child,
            host,
            storage,
        };
        wait::until_true("the registry answers", Duration::from_secs(20), || {
            http::tcp(&registry.host, "GET", "/v2/", "text/plain", b"")
                .is_ok_and(|answer| answer.status == 200)
        });
        Ok(registry)
    }

    /// Pushes an image as `name:tag`; the manifest's digest.
    pub fn push(&self, image: &Image, name: &str, tag: &str) -> String {
        self.push_blob(name, &image.config);
        let layers: Vec<_> = image
            .compressed_layers()
            .iter()
            .map(|layer| {
                self.push_blob(name, layer);
                json!({"mediaType": LAYER, "size": layer.len(), "digest": digest(layer)})
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": image.config.len(), "digest": image.id()},
            "layers": layers,
        })
        .to_string();
        let path = format!("/v2/{name}/manifests/{tag}");
        let answer = http::tcp(&self.host, "PUT", &path, MANIFEST, manifest.as_bytes());
        let answer = answer.expect("the registry's answer");
        assert_eq!(answer.status, 201, "{}", answer.text());
        digest(manifest.as_bytes())
    }

    fn push_blob(&self, name: &str, bytes: &[u8]) {
        let binary = "application/octet-stream";
        let path = format!("/v2/{name}/blobs/uploads/");
        let begun =
            http::tcp(&self.host, "POST", &path, binary, b"").expect("the registry's answer");
        assert_eq!(begun.status, 202, "{}", begun.text());
        let location = begun.header("location").expect("a place to upload to");
        let path = location
            .strip_prefix(&format!("http://{}", self.host))
            .unwrap_or(location);
        let path = format!("{path}&digest={}", digest(bytes));
        let answer =
            http::tcp(&self.host, "PUT", &path, binary, bytes).expect("the registry's answer");
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Changes a blob behind the registry's back: it then serves bytes that don't match the digest.
    pub fn corrupt(&self, blob: &str) {
        let path = self.blob(blob);
        let mut bytes = fs::read(&path).expect("the blob");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        fs::write(&path, bytes).expect("the blob");
    }

    fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = "data/docker/registry/v2/blobs/sha256";
        self.storage
            .path()
            .join(blobs)
            .join(&hex[..2])
            .join(hex)
            .join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_what_was_pushed_until_it_is_corrupted() {
        let registry = match Registry::start() {
            Ok(registry) => registry,
            Err(why) => return crate::steps::skip(&why),
        };
        let image = Image::make().expect("busybox");
        let pushed = registry.push(&image, "busybox", "latest");
        assert!(pushed.starts_with("sha256:"));
        let layer = digest(&image.compressed_layers()[1]);
        let path = format!("/v2/busybox/blobs/{layer}");
        let get = || http::tcp(&registry.host, "GET", &path, "text/plain", b"").expect("an answer");
        assert_eq!(digest(&get().body), layer);
        registry.corrupt(&layer);
        assert_ne!(digest(&get().body), layer);
    }
}
