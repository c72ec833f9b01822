//! Images as JSON.

use std::sync::Arc;

use engine::Engine;
use engine::image::{Image, ImageManifest, ListedImage, Platform, Removed};
use engine::time::Time;
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::version::ApiVersion;

fn created(image: &Image) -> Option<Time> {
    image.created.as_deref().and_then(|text| text.parse().ok())
}

/// One element of `GET /images/json`; -1 means "not counted".
pub(crate) fn summary(listed: &ListedImage, version: ApiVersion) -> Value {
    let image = &listed.image;
    let labels = image.config.runtime().and_then(|own| own.get("Labels"));
    let count = i64::try_from(listed.containers.len()).unwrap_or(0);
    let shared = listed.shared_size.and_then(|size| i64::try_from(size).ok());
    let mut value = json!({
        "Containers": if version.at_least(51) { count } else { -1 },
        "Created": created(image).map_or(0, Time::unix),
        "Id": image.id.to_string(),
        "Labels": labels,
        "ParentId": image.parent.map_or(String::new(), |id| id.to_string()),
        "RepoDigests": image.repo_digests,
        "RepoTags": image.repo_tags,
        "SharedSize": shared.unwrap_or(-1),
        "Size": image.size,
    });
    if let Some(object) = value.as_object_mut() {
        if !version.at_least(44) {
            object.insert("VirtualSize".into(), json!(image.size));
        }
        if let Some(manifest) = &listed.manifest {
            let list = manifests(image, manifest, &listed.containers);
            object.insert("Manifests".into(), json!(list));
        }
    }
    value
}

/// Before 1.43 the list had words for an image without any name, and null for no tags or digests.
pub(crate) fn name_as_before(summary: &mut Value) {
    let words = [
        ("RepoTags", "<none>:<none>"),
        ("RepoDigests", "<none>@<none>"),
    ];
    let none = json!([]);
    let nameless = words.iter().all(|(key, _)| summary[key] == none);
    for (key, word) in words {
        if summary[key] == none {
            summary[key] = if nameless { json!([word]) } else { Value::Null };
        }
    }
}

/// The manifests of an image: its own, and those of the index that it came by, which are not here.
pub(crate) fn manifests(
    image: &Image,
    manifest: &ImageManifest,
    containers: &[String],
) -> Vec<Value> {
    let platform = |platform: &Platform| {
        let mut value = json!({ "architecture": platform.architecture, "os": platform.os });
        if let (Some(object), Some(variant)) = (value.as_object_mut(), &platform.variant) {
            object.insert("variant".into(), json!(variant));
        }
        value
    };
    let own = platform(&image.config.platform());
    let mut list = vec![json!({
        "ID": manifest.digest,
        "Descriptor": {
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": manifest.bytes.len(),
            "platform": own,
        },
        "Available": true,
        "Size": { "Content": manifest.content, "Total": manifest.content + image.size },
        "Kind": "image",
        "ImageData": {
            "Platform": own,
            "Size": { "Unpacked": image.size },
            "Containers": containers,
        },
    })];
    list.extend(manifest.others.iter().map(|other| {
        let mut value = json!({
            "ID": other.digest,
            "Descriptor": {
                "mediaType": other.media_type,
                "digest": other.digest,
                "size": other.size,
            },
            "Available": false,
            "Size": { "Content": 0, "Total": 0 },
            "Kind": if other.platform.is_some() { "image" } else { "attestation" },
        });
        if let Some(theirs) = other.platform.as_ref().map(platform) {
            value["Descriptor"]["platform"] = theirs.clone();
            value["ImageData"] =
                json!({ "Platform": theirs, "Size": { "Unpacked": 0 }, "Containers": [] });
        } else {
            value["AttestationData"] = json!({ "For": manifest.digest });
        }
        value
    }));
    list
}

/// `GET /images/{name}/json`.
pub(crate) fn inspect(image: &Image, version: ApiVersion) -> Value {
    let config = &image.config;
    let word = |key: &str| {
        config
            .value()
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let layers: Vec<String> = image.layers.iter().map(ToString::to_string).collect();
    let remark = match (word("comment"), config.history().last()) {
        ("", Some(step)) => step.comment.clone(),
        (text, _) => text.to_owned(),
    };
    let last_tagged = if image.last_tagged == 0 {
        Time::zero()
    } else {
        Time::from_unix(
            image.last_tagged.div_euclid(1_000_000_000),
            i32::try_from(image.last_tagged.rem_euclid(1_000_000_000)).unwrap_or(0),
        )
    };
    let mut value = json!({
        "Id": image.id.to_string(),
        "RepoTags": image.repo_tags,
        "RepoDigests": image.repo_digests,
        "Parent": image.parent.map_or(String::new(), |id| id.to_string()),
        "Comment": remark,
        "Created": created(image).unwrap_or_else(Time::zero),
        "DockerVersion": word("docker_version"),
        "Author": config.author(),
        "Config": runtime_config(image, version),
        "Architecture": image.architecture,
        "Os": image.os,
        "Size": image.size,
        "GraphDriver": { "Data": null, "Name": "overlay2" },
        "RootFS": { "Type": "layers", "Layers": layers },
        "Metadata": { "LastTagTime": last_tagged },
    });
    if let Some(object) = value.as_object_mut() {
        if !image.variant.is_empty() {
            object.insert("Variant".into(), json!(image.variant));
        }
        if !version.at_least(44) {
            object.insert("VirtualSize".into(), json!(image.size));
        }
        if !version.at_least(45) {
            if !word("container").is_empty() {
                object.insert("Container".into(), json!(word("container")));
            }
            let mut made_in = every_key();
            let own = config.value().get("container_config");
            for (key, field) in own.and_then(Value::as_object).into_iter().flatten() {
                made_in[key] = field.clone();
            }
            object.insert("ContainerConfig".into(), made_in);
        }
        if version.at_least(44) && created(image).is_none() {
            object.remove("Created");
        }
        if layers.is_empty() {
            object.insert("RootFS".into(), json!({ "Type": "layers" }));
        }
    }
    value
}

/// The keys that a configuration of Docker's always has.
fn every_key() -> Value {
    json!({
        "Hostname": "", "Domainname": "", "User": "",
        "AttachStdin": false, "AttachStdout": false, "AttachStderr": false,
        "Tty": false, "OpenStdin": false, "StdinOnce": false,
        "Env": null, "Cmd": null, "Image": "", "Volumes": null, "WorkingDir": "",
        "Entrypoint": null, "OnBuild": null, "Labels": null,
    })
}

/// Docker's `Config` with the keys that clients expect, and what the image says.
fn runtime_config(image: &Image, version: ApiVersion) -> Value {
    let mut value = if version.at_least(50) {
        json!({
            "User": "", "Env": null, "Cmd": null, "Volumes": null, "WorkingDir": "",
            "Entrypoint": null, "OnBuild": null, "Labels": null,
        })
    } else {
        every_key()
    };
    if let (Some(target), Some(own)) = (value.as_object_mut(), image.config.runtime()) {
        // What containers have and images only inherit by accident is never told, nor what is empty.
        const TOLD: [&str; 13] = [
            "User",
            "ExposedPorts",
            "Env",
            "Entrypoint",
            "Cmd",
            "Volumes",
            "WorkingDir",
            "Labels",
            "StopSignal",
            "ArgsEscaped",
            "Healthcheck",
            "OnBuild",
            "Shell",
        ];
        for (key, field) in own {
            let empty = field.is_null()
                || field == false
                || field == ""
                || field.as_array().is_some_and(Vec::is_empty)
                || field.as_object().is_some_and(Map::is_empty);
            if !empty && TOLD.contains(&key.as_str()) {
                target.insert(key.clone(), field.clone());
            }
        }
    }
    value
}

/// `GET /images/{name}/history`, the newest step first. The steps have the ids of the images that
/// were made here on the way, the newest of them this one.
pub(crate) async fn history(engine: &Arc<Engine>, image: &Image) -> Result<Vec<Value>> {
    let mut sizes = image.layer_sizes.iter();
    let mut steps = Vec::new();
    for step in image.config.history() {
        let size = if step.empty_layer {
            0
        } else {
            *sizes.next().ok_or_else(|| {
                engine::Error::System("too many non-empty layers in History section".into())
            })?
        };
        let created = step
            .created
            .as_deref()
            .and_then(|text| text.parse().ok())
            .map_or(0, Time::unix);
        steps.push(json!({
            "Comment": step.comment,
            "Created": created,
            "CreatedBy": step.created_by,
            "Id": "<missing>",
            "Size": size,
            "Tags": null,
        }));
    }
    steps.reverse();
    let mut next = Some(image.clone());
    for step in &mut steps {
        let Some(image) = next else { break };
        step["Id"] = json!(image.id);
        if !image.repo_tags.is_empty() {
            step["Tags"] = json!(image.repo_tags);
        }
        next = match image.parent {
            Some(parent) => engine.find_image(&parent.to_string()).await.ok(),
            None => None,
        };
    }
    Ok(steps)
}

/// One step of a removal.
pub(crate) fn removed(step: &Removed) -> Value {
    match step {
        Removed::Untagged(name) => json!({ "Untagged": name }),
        Removed::Deleted(what) => json!({ "Deleted": what }),
    }
}
