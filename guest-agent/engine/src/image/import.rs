//! `docker import`: an archive of files becomes an image.

use std::sync::Arc;

use images::{Digest, How, Origin, Platform};
use serde_json::{Map, Value, json};
use tokio::io::AsyncRead;

use super::tag_reference;
use crate::containers::{Config, apply_changes, config_document};
use crate::time::Time;
use crate::{Engine, Error};

/// What an import needs besides the archive.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// Name for the image; none when empty.
    pub repository: String,
    /// Its tag, `latest` when empty.
    pub tag: String,
    /// A remark for its history.
    pub message: String,
    /// Dockerfile instructions for its configuration.
    pub changes: Vec<String>,
    /// Platform such as `linux/arm64`; this machine's when absent.
    pub platform: Option<String>,
    /// The client that asks.
    pub by: String,
}

impl Engine {
    /// Starts fetching an archive from a web address.
    pub async fn fetch(&self, address: &str) -> Result<impl AsyncRead + Send + Unpin, Error> {
        Ok(images::fetch(address, &self.access(None)?).await?)
    }

    /// Makes an image of an archive and returns its id.
    pub async fn import_image(
        self: &Arc<Self>,
        source: impl AsyncRead + Send + Unpin,
        request: ImportRequest,
    ) -> Result<String, Error> {
        let name = match request.repository.as_str() {
            "" => None,
            repository => Some(tag_reference(repository, &request.tag)?),
        };
        let platform = match &request.platform {
            Some(text) => Platform::parse(text)?,
            None => Platform::host(),
        };
        if platform.os != "linux" {
            return Err(Error::Invalid("operating system is not supported".into()));
        }
        let mut config = Config::default();
        apply_changes(&mut config, &request.changes)?;
        let mut config = config_document(&config)?;
        if config["Labels"] == json!({}) {
            config["Labels"] = Value::Null;
        }
        let message = request.message.clone();
        let describe = move |layer: Digest| document(&config, &platform, &message, layer);
        let origin = Origin::new(How::Import, &request.by);
        let id = self
            .store()?
            .import(source, name.clone(), origin, describe)
            .await
            // A damaged archive is a fault of dockerd's own.
            .map_err(|error| match Error::from(error) {
                Error::Invalid(why) => Error::System(why),
                error => error,
            })?
            .to_string();
        if let Some(name) = name {
            self.image_event("tag", &id, &name.familiar());
        }
        self.image_event("import", &id, &id);
        Ok(id)
    }
}

fn document(
    config: &Value,
    platform: &Platform,
    message: &str,
    layer: Digest,
) -> Result<Vec<u8>, images::Error> {
    let created = Time::now().to_string();
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
    put("architecture", json!(platform.architecture));
    put("comment", json!(message));
    put("config", config.clone());
    put("created", json!(created));
    put("docker_version", json!(crate::VERSION));
    put(
        "history",
        json!([{ "created": created, "comment": message }]),
    );
    put("os", json!(platform.os));
    put("rootfs", json!({ "type": "layers", "diff_ids": [layer] }));
    if let Some(variant) = &platform.variant {
        put("variant", json!(variant));
    }
    serde_json::to_vec(&document)
        .map_err(|error| images::Error::Invalid(format!("writing the configuration: {error}")))
}
