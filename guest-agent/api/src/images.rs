//! `/images`. An image's name may hold slashes, so what follows it in the path is split off here.

mod archive;
mod distribution;
mod render;
mod tracking;
mod transfer;

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{delete, get, post};
use engine::Engine;
use engine::image::{ListRequest, Platform};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{self, Client};
use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::reply;
use crate::routes::{Routes, to};
use crate::version::ApiVersion;

pub(crate) use distribution::auth;
use render::name_as_before;
pub(crate) use render::summary;

type Shared = State<Arc<Engine>>;

/// Adds the routes.
pub(crate) fn add(routes: Routes) -> Routes {
    tracking::add(routes)
        .route("/images/json", get(to(list)))
        .route("/images/create", post(to(transfer::create)))
        .route("/images/load", post(to(archive::load)))
        .route("/images/prune", post(to(prune)))
        .route("/images/search", get(to(distribution::search)))
        .route("/images/get", get(to(save)))
        .route("/images/", delete(to(nameless)))
        .route(
            "/images/{*rest}",
            get(to(by_name)).post(to(by_name)).delete(to(by_name)),
        )
        .route("/distribution/{*rest}", get(to(distribution::inspect)))
        .route(
            "/slipway/images/manifest",
            get(to(distribution::manifest)).post(to(distribution::put_index)),
        )
}

async fn list(State(engine): Shared, version: ApiVersion, query: Query) -> Result {
    let mut filters = query.filters()?;
    if let Some(pattern) = query.optional("filter").filter(|_| !version.at_least(41)) {
        filters.add("reference", pattern);
    }
    let request = ListRequest {
        filters,
        all: query.flag("all"),
        shared_size: version.at_least(42) && query.flag("shared-size"),
        manifests: version.at_least(47) && query.flag("manifests"),
    };
    let images = engine.list_images(request).await?;
    let summaries: Vec<Value> = images
        .iter()
        .map(|listed| {
            let mut value = summary(listed, version);
            if !version.at_least(43) {
                name_as_before(&mut value);
            }
            value
        })
        .collect();
    Ok(reply::ok(&summaries))
}

async fn save(State(engine): Shared, version: ApiVersion, query: Query) -> Result {
    let platform = platform(&query, version, 48)?;
    archive::save(engine, query.all("names").to_vec(), platform).await
}

async fn prune(State(engine): Shared, client: Client, query: Query) -> Result {
    let (steps, pruned) = engine.prune_images(query.filters()?, &client.0).await?;
    let steps: Vec<Value> = steps.iter().map(render::removed).collect();
    Ok(reply::ok(&json!({
        "ImagesDeleted": if steps.is_empty() { json!(null) } else { json!(steps) },
        "SpaceReclaimed": pruned.reclaimed,
    })))
}

async fn by_name(
    State(engine): Shared,
    Path(rest): Path<String>,
    version: ApiVersion,
    query: Query,
    request: Request,
) -> Result {
    let (name, verb) = match rest.rsplit_once('/') {
        Some((name, verb)) => (name, verb),
        None => ("", ""),
    };
    let by = Client::of(request.headers()).0;
    match (request.method(), verb) {
        (&Method::DELETE, _) => {
            let platforms = match version.at_least(50) {
                true => query.all("platforms"),
                false => &[],
            };
            let platforms = platforms.iter().map(|text| read_platform(text));
            let platforms = platforms.collect::<Result<Vec<_>>>()?;
            remove(&engine, &rest, &query, &platforms, &by).await
        }
        (&Method::GET, "json") => inspect(&engine, name, version, &query).await,
        (&Method::GET, "history") => {
            let platform = platform(&query, version, 48)?;
            let image = engine.find_image_for(name, platform.as_ref()).await?;
            Ok(reply::ok(&render::history(&engine, &image).await?))
        }
        (&Method::GET, "get") => {
            let platform = platform(&query, version, 48)?;
            archive::save(engine, vec![name.to_owned()], platform).await
        }
        (&Method::POST, "tag") => tag(&engine, name, &query, &by).await,
        (&Method::POST, "push") => {
            let auth = client::credentials(request.headers());
            let platform = platform(&query, version, 46)?;
            transfer::push(engine, name, query.text("tag"), auth, platform).await
        }
        _ => Err(ApiError {
            status: StatusCode::NOT_FOUND,
            message: "page not found".into(),
        }),
    }
}

/// The `platform` parameter, a JSON object, of API versions from `1.since` on.
fn platform(query: &Query, version: ApiVersion, since: u32) -> Result<Option<Platform>> {
    if !version.at_least(since) {
        return Ok(None);
    }
    let texts = query.all("platform");
    if texts.len() > 1 {
        return Err(ApiError::invalid(
            "multiple platform parameters not supported",
        ));
    }
    match texts.first().filter(|text| !text.is_empty()) {
        Some(text) => read_platform(text).map(Some),
        None => Ok(None),
    }
}

fn read_platform(text: &str) -> Result<Platform> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| ApiError::invalid(format!("failed to parse platform: {error}")))?;
    let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let variant = Some(field("variant")).filter(|variant| !variant.is_empty());
    match (field("os"), field("architecture")) {
        ("", "") if variant.is_some() => Err(ApiError::invalid(
            "optional platform fields provided, but OS and Architecture are missing",
        )),
        ("", _) | (_, "") => Err(ApiError::invalid(
            "both OS and Architecture must be provided",
        )),
        (os, architecture) => Ok(Platform::normalised(os, architecture, variant)),
    }
}

async fn inspect(engine: &Arc<Engine>, name: &str, version: ApiVersion, query: &Query) -> Result {
    let manifests = version.at_least(48) && query.flag("manifests");
    let platform = platform(query, version, 49)?;
    if manifests && platform.is_some() {
        return Err(ApiError::invalid(
            "conflicting options: manifests and platform options cannot both be set",
        ));
    }
    let image = engine.find_image_for(name, platform.as_ref()).await?;
    let mut value = render::inspect(&image, version);
    if manifests && let Some(object) = value.as_object_mut() {
        let manifest = engine.image_manifest(&image).await?;
        object.insert(
            "Manifests".into(),
            json!(render::manifests(&image, &manifest, &[])),
        );
    }
    Ok(reply::ok(&value))
}

async fn nameless() -> ApiError {
    ApiError::invalid("image name cannot be blank")
}

async fn remove(
    engine: &Arc<Engine>,
    name: &str,
    query: &Query,
    platforms: &[Platform],
    by: &str,
) -> Result {
    if name.trim().is_empty() {
        return Err(nameless().await);
    }
    match platforms {
        [] => {}
        [one] => {
            engine.find_image_for(name, Some(one)).await?;
        }
        _ => return Err(ApiError::invalid("multiple platforms are not supported")),
    }
    let removed = engine
        .remove_image(name, query.flag("force"), query.flag("noprune"), by)
        .await?;
    let steps: Vec<Value> = removed.iter().map(render::removed).collect();
    Ok(reply::ok(&steps))
}

async fn tag(engine: &Arc<Engine>, name: &str, query: &Query, by: &str) -> Result<Response> {
    if query.text("repo").is_empty() {
        // As dockerd does.
        return Ok(axum::response::IntoResponse::into_response(StatusCode::OK));
    }
    engine
        .tag_image(name, query.text("repo"), query.text("tag"), by)
        .await?;
    Ok(axum::response::IntoResponse::into_response(
        StatusCode::CREATED,
    ))
}
