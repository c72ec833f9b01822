//! `/slipway/images`: what no Docker client asks for: the names' history, going back, what is in an
//! image, what is different between two, settings for registries, and checking the store.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::routing::{get, post};
use engine::Engine;
use engine::image::{Entry, Reference, Registries, Retention, Touch, VersionState};
use engine::time::Time;
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::routes::{Routes, to};
use crate::{body, reply};

/// As many files as are told when nobody says.
const FILES: usize = 10_000;

type Shared = State<Arc<Engine>>;

/// Adds the routes.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .route("/slipway/images/names", get(to(names)))
        .route("/slipway/images/log", get(to(log)))
        .route("/slipway/images/rollback", post(to(roll_back)))
        .route(
            "/slipway/images/retention",
            get(to(retention)).put(to(set_retention)),
        )
        .route("/slipway/images/diff", get(to(changes)))
        .route("/slipway/images/layers", get(to(layers)))
        .route("/slipway/images/tree", get(to(tree)))
        .route("/slipway/images/file", get(to(file)))
        .route("/slipway/images/waste", get(to(waste)))
        .route("/slipway/images/usage", get(to(usage)))
        .route("/slipway/images/check", post(to(check)))
        .route(
            "/slipway/images/registries",
            get(to(registries)).put(to(set_registries)),
        )
}

fn named(query: &Query) -> Result<Reference> {
    let name = query.required("name")?;
    Ok(Reference::parse(name).map_err(engine::Error::from)?)
}

fn layer_of(query: &Query) -> Result<Option<usize>> {
    let number = query.number("layer")?;
    number
        .map(|number| {
            usize::try_from(number)
                .map_err(|_| ApiError::invalid("layers are counted from 0, the lowest"))
        })
        .transpose()
}

async fn names(State(engine): Shared) -> Result {
    Ok(reply::ok(&engine.versioned_images()?))
}

async fn log(State(engine): Shared, query: Query) -> Result {
    let name = named(&query)?;
    let states = engine.image_versions(&name).await?;
    let versions: Vec<Value> = states.iter().map(version).collect();
    Ok(reply::ok(
        &json!({ "Name": name.familiar(), "Versions": versions }),
    ))
}

fn version(state: &VersionState) -> Value {
    let version = &state.version;
    let time = Time::from_unix(
        version.time.div_euclid(1_000_000_000),
        i32::try_from(version.time.rem_euclid(1_000_000_000)).unwrap_or(0),
    );
    json!({
        "Version": version.number,
        "Image": version.image,
        "Digest": version.digest,
        "Time": time,
        "How": version.how,
        "By": version.by,
        "Size": version.size,
        "Build": version.build,
        "Available": state.available,
        "Current": state.current,
    })
}

async fn roll_back(State(engine): Shared, client: Client, query: Query) -> Result {
    let name = named(&query)?;
    let id = engine
        .roll_back_image(&name, query.text("to"), &client.0)
        .await?;
    Ok(reply::ok(&json!({ "Name": name.familiar(), "Image": id })))
}

async fn retention(State(engine): Shared) -> Result {
    Ok(reply::ok(&engine.image_retention()?))
}

async fn set_retention(State(engine): Shared, request: Request) -> Result {
    let retention: Retention = body::json(request).await?;
    engine.set_image_retention(retention.clone()).await?;
    Ok(reply::ok(&retention))
}

async fn changes(State(engine): Shared, query: Query) -> Result {
    let (from, to) = (query.required("from")?, query.required("to")?);
    let (before, after) = (engine.find_image(from).await?, engine.find_image(to).await?);
    let changes = engine.image_changes(from, to).await?;
    let files: Vec<Value> = changes
        .files
        .iter()
        .map(|change| {
            let both = (&change.before, &change.after);
            json!({
                "Path": both.1.as_ref().or(both.0.as_ref()).map(|entry| &entry.path),
                "Change": touch(change.touch),
                "SizeBefore": both.0.as_ref().map(|entry| entry.size),
                "SizeAfter": both.1.as_ref().map(|entry| entry.size),
                "LayerBefore": both.0.as_ref().map(|entry| entry.layer),
                "LayerAfter": both.1.as_ref().map(|entry| entry.layer),
                "Kind": both.1.as_ref().or(both.0.as_ref()).map(|entry| entry.kind),
            })
        })
        .collect();
    let config: Vec<Value> = changes
        .config
        .iter()
        .map(|(name, before, after)| json!({ "Name": name, "Before": before, "After": after }))
        .collect();
    Ok(reply::ok(&json!({
        "From": { "Id": before.id.to_string(), "Size": before.size, "Layers": before.layers },
        "To": { "Id": after.id.to_string(), "Size": after.size, "Layers": after.layers },
        "Files": files,
        "Config": config,
        "SharedLayers": changes.shared_layers,
        "RemovedLayers": changes.removed_layers,
        "AddedLayers": changes.added_layers,
    })))
}

fn touch(touch: Touch) -> &'static str {
    match touch {
        Touch::Added => "added",
        Touch::Changed => "changed",
        Touch::Removed => "removed",
    }
}

async fn layers(State(engine): Shared, query: Query) -> Result {
    let layers = engine.image_layers(query.required("name")?).await?;
    let list: Vec<Value> = layers
        .iter()
        .enumerate()
        .map(|(place, layer)| {
            json!({
                "Layer": place,
                "DiffId": layer.diff_id,
                "Blob": layer.blob,
                "BlobSize": layer.blob_size,
                "Size": layer.size,
                "Created": layer.created,
                "CreatedBy": layer.created_by,
            })
        })
        .collect();
    Ok(reply::ok(&list))
}

async fn tree(State(engine): Shared, query: Query) -> Result {
    let directory = query.optional("path").unwrap_or("/");
    let limit = match query.number("limit")? {
        Some(limit) => usize::try_from(limit).unwrap_or(FILES),
        None => FILES,
    };
    let name = query.required("name")?;
    let (entries, more) = engine
        .image_tree(
            name,
            layer_of(&query)?,
            directory,
            query.flag("deep"),
            limit,
        )
        .await?;
    let entries: Vec<Value> = entries.iter().map(entry).collect();
    Ok(reply::ok(&json!({ "Entries": entries, "More": more })))
}

fn entry(entry: &Entry) -> Value {
    json!({
        "Path": entry.path,
        "Kind": entry.kind,
        "Size": entry.size,
        "Mode": entry.mode,
        "Uid": entry.uid,
        "Gid": entry.gid,
        "Modified": Time::from_unix(entry.modified, 0),
        "Target": entry.target,
        "Layer": entry.layer,
        "Change": entry.touch.map(touch),
    })
}

/// The content of a file, as it is.
async fn file(State(engine): Shared, query: Query) -> Result {
    let path = query.required("path")?;
    let name = query.required("name")?;
    let content = engine.image_file(name, layer_of(&query)?, path).await?;
    Ok(reply::file(content.file, content.entry.size))
}

async fn waste(State(engine): Shared, query: Query) -> Result {
    let waste = engine.image_waste(query.required("name")?).await?;
    let files: Vec<Value> = waste
        .files
        .iter()
        .map(|file| {
            json!({
                "Path": file.path,
                "Wasted": file.wasted,
                "Copies": file.copies,
                "Removed": file.removed,
            })
        })
        .collect();
    Ok(reply::ok(
        &json!({ "Total": waste.total, "Wasted": waste.wasted, "Files": files }),
    ))
}

async fn usage(State(engine): Shared) -> Result {
    let usage = engine.image_usage()?;
    Ok(reply::ok(
        &json!({ "LayersSize": usage.layers, "BlobsSize": usage.blobs }),
    ))
}

async fn check(State(engine): Shared, query: Query) -> Result {
    let report = engine.check_images(!query.flag("quick")).await?;
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| json!({ "Damage": finding.damage, "What": finding.what }))
        .collect();
    Ok(reply::ok(&json!({
        "Sound": report.is_sound(),
        "Images": report.images,
        "Layers": report.layers,
        "Bytes": report.bytes,
        "Findings": findings,
    })))
}

async fn registries(State(engine): Shared) -> Result {
    Ok(reply::ok(&engine.registries()?))
}

async fn set_registries(State(engine): Shared, request: Request) -> Result {
    let value = body::value(request).await?.unwrap_or_default();
    let registries: Registries = serde_json::from_value(value)
        .map_err(|error| ApiError::invalid(format!("invalid settings: {error}")))?;
    engine.set_registries(registries.clone()).await?;
    Ok(reply::ok(&registries))
}
