//! Images in the archives that `docker load` takes, around whatever layers and documents.

use images::Digest;
use serde_json::{Value, json};

/// An image in the making.
#[derive(Debug)]
pub struct Image {
    /// Its layers' blobs as they stand in the archive, and their plain archives, lowest first.
    pub layers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its configuration; the list of layers is added.
    pub config: Value,
}

/// Which of the two forms an archive has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, arbitrary::Arbitrary)]
pub enum Form {
    /// What `docker save` wrote before version 25.
    Docker,
    /// An OCI layout, its documents first.
    Oci,
    /// An OCI layout, its documents last.
    OciLast,
}

/// What is usual.
#[must_use]
pub fn config() -> Value {
    json!({
        "architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z",
        "config": {"Cmd": ["/a"], "Env": ["PATH=/a"]},
    })
}

impl Image {
    /// The configuration as it stands in the archive.
    #[must_use]
    pub fn document(&self) -> Vec<u8> {
        let mut config = self.config.clone();
        let ids: Vec<String> = self
            .layers
            .iter()
            .map(|(_, plain)| Digest::of(plain).to_string())
            .collect();
        if let Value::Object(map) = &mut config {
            map.insert("rootfs".into(), json!({"type": "layers", "diff_ids": ids}));
        }
        config.to_string().into_bytes()
    }

    /// The archive.
    #[must_use]
    pub fn archive(&self, form: Form) -> Vec<u8> {
        let config = self.document();
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        let blobs: Vec<Vec<u8>> = self.layers.iter().map(|(blob, _)| blob.clone()).collect();
        if form == Form::Docker {
            let name = |blob: &Vec<u8>| format!("{}/layer.tar", Digest::of(blob).hex());
            let names: Vec<String> = blobs.iter().map(name).collect();
            let config_name = format!("{}.json", Digest::of(&config).hex());
            let manifest = json!([{"Config": config_name, "RepoTags": null, "Layers": names}]);
            files.push((config_name, config));
            files.extend(names.into_iter().zip(blobs));
            files.push(("manifest.json".into(), manifest.to_string().into_bytes()));
            return tar(&files);
        }
        let mut add = |bytes: Vec<u8>| {
            let digest = Digest::of(&bytes);
            let descriptor = json!({"digest": digest.to_string(), "size": bytes.len()});
            files.push((format!("blobs/sha256/{}", digest.hex()), bytes));
            descriptor
        };
        let layers: Vec<Value> = blobs.into_iter().map(&mut add).collect();
        let config = add(config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let manifest = add(manifest.to_string().into_bytes());
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        files.push(("index.json".into(), index.to_string().into_bytes()));
        if form == Form::Oci {
            files.reverse();
        }
        tar(&files)
    }
}

/// A plain archive of files.
#[must_use]
pub fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        builder
            .append_data(&mut header, name, content.as_slice())
            .unwrap();
    }
    builder.into_inner().unwrap()
}
