//! Images as JSON.

use engine::image::{Image, Removed};
use engine::time::Time;
use serde_json::{Value, json};

fn created(image: &Image) -> Option<Time> {
    image.created.as_deref().and_then(|text| text.parse().ok())
}

/// One element of `GET /images/json`; -1 means "not counted".
pub(crate) fn summary(image: &Image, containers: i64, shared_size: i64) -> Value {
    let labels = image.config.labels();
    json!({
        "Containers": containers,
        "Created": created(image).map_or(0, Time::unix),
        "Id": image.id.to_string(),
        "Labels": if labels.is_empty() { json!(null) } else { json!(labels) },
        "ParentId": image.parent.map_or(String::new(), |id| id.to_string()),
        "RepoDigests": image.repo_digests,
        "RepoTags": image.repo_tags,
        "SharedSize": shared_size,
        "Size": image.size,
    })
}

/// `GET /images/{name}/json`.
pub(crate) fn inspect(image: &Image) -> Value {
    let config = &image.config;
    let word = |key: &str| {
        config
            .value()
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let layers: Vec<String> = image.layers.iter().map(ToString::to_string).collect();
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
        "Comment": word("comment"),
        "Created": created(image).unwrap_or_else(Time::zero),
        "DockerVersion": word("docker_version"),
        "Author": config.author(),
        "Config": runtime_config(image),
        "Architecture": image.architecture,
        "Os": image.os,
        "Size": image.size,
        "GraphDriver": { "Data": null, "Name": "overlay2" },
        "RootFS": { "Type": "layers", "Layers": layers },
        "Metadata": { "LastTagTime": last_tagged },
    });
    if !image.variant.is_empty()
        && let Some(object) = value.as_object_mut()
    {
        object.insert("Variant".into(), json!(image.variant));
    }
    value
}

/// Docker's `Config` with the keys that clients expect, then whatever else the image says.
fn runtime_config(image: &Image) -> Value {
    let mut value = json!({
        "Hostname": "", "Domainname": "", "User": "",
        "AttachStdin": false, "AttachStdout": false, "AttachStderr": false,
        "Tty": false, "OpenStdin": false, "StdinOnce": false,
        "Env": null, "Cmd": null, "Image": "", "Volumes": null, "WorkingDir": "",
        "Entrypoint": null, "OnBuild": null, "Labels": null,
    });
    if let (Some(target), Some(own)) = (value.as_object_mut(), image.config.runtime()) {
        for (key, field) in own {
            target.insert(key.clone(), field.clone());
        }
    }
    value
}

/// `GET /images/{name}/history`, the newest step first.
pub(crate) fn history(image: &Image) -> Vec<Value> {
    let mut steps: Vec<Value> = image
        .config
        .history()
        .iter()
        .rev()
        .map(|step| {
            let created = step
                .created
                .as_deref()
                .and_then(|text| text.parse().ok())
                .map_or(0, Time::unix);
            json!({
                "Comment": step.comment,
                "Created": created,
                "CreatedBy": step.created_by,
                "Id": "<missing>",
                // The store knows the size of the whole image only.
                "Size": 0,
                "Tags": null,
            })
        })
        .collect();
    if let Some(newest) = steps.first_mut() {
        newest["Id"] = json!(image.id.to_string());
        newest["Size"] = json!(image.size);
        if !image.repo_tags.is_empty() {
            newest["Tags"] = json!(image.repo_tags);
        }
    }
    steps
}

/// One step of a removal.
pub(crate) fn removed(step: &Removed) -> Value {
    match step {
        Removed::Untagged(name) => json!({ "Untagged": name }),
        Removed::Deleted(what) => json!({ "Deleted": what }),
    }
}
