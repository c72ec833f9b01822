//! What registries are asked without pulling: `/distribution`, `/images/search`, `/auth`, and
//! `/slipway/images/manifest`, which no Docker client asks for.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use engine::Engine;
use engine::image::{Auth, Reference, RemoteImage, Source};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client;
use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::{body, reply};

/// `GET /distribution/{name}/json`.
pub(crate) async fn inspect(
    State(engine): State<Arc<Engine>>,
    Path(rest): Path<String>,
    request: Request,
) -> Result {
    let name = rest.strip_suffix("/json").ok_or_else(|| ApiError {
        status: http::StatusCode::NOT_FOUND,
        message: "page not found".into(),
    })?;
    let reference = reference(name)?;
    let auth = client::credentials(request.headers());
    let found = engine.look_up_image(&reference, auth).await?;
    Ok(reply::ok(&described(&found)))
}

fn described(found: &RemoteImage) -> Value {
    let platforms: Vec<Value> = found
        .platforms
        .iter()
        .map(|platform| {
            let mut value = Map::new();
            value.insert("architecture".into(), json!(platform.architecture));
            value.insert("os".into(), json!(platform.os));
            if let Some(variant) = platform.variant.as_ref().filter(|v| !v.is_empty()) {
                value.insert("variant".into(), json!(variant));
            }
            Value::Object(value)
        })
        .collect();
    json!({
        "Descriptor": {
            "mediaType": found.media_type,
            "digest": found.digest,
            "size": found.size,
        },
        "Platforms": if platforms.is_empty() { json!(null) } else { json!(platforms) },
    })
}

/// An image as a registry has it, with its document as text.
fn whole(found: &RemoteImage) -> Value {
    let mut value = described(found);
    value["Document"] = json!(String::from_utf8_lossy(&found.document));
    value
}

/// `GET /slipway/images/manifest`.
pub(crate) async fn manifest(
    State(engine): State<Arc<Engine>>,
    query: Query,
    request: Request,
) -> Result {
    let reference = reference(query.required("name")?)?;
    let auth = client::credentials(request.headers());
    let found = engine.look_up_image(&reference, auth).await;
    let found = found.map_err(|error| match error {
        engine::Error::NotFound(why) => {
            let name = reference.familiar();
            engine::Error::NotFound(format!("no such manifest: {name}: {why}"))
        }
        error => error,
    })?;
    Ok(reply::ok(&whole(&found)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct NewIndex {
    sources: Vec<NewSource>,
}

/// One image, and what `X-Registry-Auth` would carry for its registry.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewSource {
    name: String,
    #[serde(default)]
    auth: String,
}

/// `POST /slipway/images/manifest`.
pub(crate) async fn put_index(
    State(engine): State<Arc<Engine>>,
    query: Query,
    request: Request,
) -> Result {
    let target = reference(query.required("name")?)?;
    let auth = client::credentials(request.headers());
    let index: NewIndex = body::json(request).await?;
    let sources: Vec<Source> = index
        .sources
        .iter()
        .map(|source| {
            Ok(Source {
                name: reference(&source.name)?,
                auth: Auth::from_header(&source.auth).map_err(engine::Error::from)?,
            })
        })
        .collect::<Result<_>>()?;
    let made = engine.put_index(&target, &sources, auth).await?;
    Ok(reply::ok(&whole(&made)))
}

fn reference(name: &str) -> Result<Reference> {
    Ok(Reference::parse(name).map_err(engine::Error::from)?)
}

/// `GET /images/search`.
pub(crate) async fn search(
    State(engine): State<Arc<Engine>>,
    query: Query,
    request: Request,
) -> Result {
    let limit = match query.optional("limit") {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| {
            ApiError::invalid(format!(
                "invalid limit specified: strconv.Atoi: parsing \"{text}\": invalid syntax"
            ))
        })?,
    };
    let auth = client::credentials(request.headers());
    let filters = query.filters()?;
    let found = engine
        .search_images(query.text("term"), limit, &filters, auth)
        .await?;
    Ok(reply::ok(&found))
}

/// What `docker login` sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Login {
    username: String,
    password: String,
    #[serde(alias = "serverAddress")]
    serveraddress: String,
    #[serde(alias = "identityToken")]
    identitytoken: String,
    #[serde(alias = "registryToken")]
    registrytoken: String,
}

/// `POST /auth`.
pub(crate) async fn auth(State(engine): State<Arc<Engine>>, request: Request) -> Result {
    let login: Login = body::json(request).await?;
    let credentials = Auth {
        username: login.username,
        password: login.password,
        identitytoken: login.identitytoken,
        registrytoken: login.registrytoken,
    };
    let token = engine.log_in(&login.serveraddress, credentials).await?;
    Ok(reply::ok(
        &json!({ "IdentityToken": token, "Status": "Login Succeeded" }),
    ))
}
