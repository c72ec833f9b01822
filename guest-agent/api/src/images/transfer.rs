//! `POST /images/create`: pulling and importing; `POST /images/{name}/push`.

use std::sync::Arc;

use axum::extract::{Request, State};
use engine::Engine;
use engine::image::{Auth, ImportRequest, Platform, PullProgress, PullRequest, Reference};
use serde_json::json;

use crate::body;
use crate::client::{self, Client};
use crate::error::{ApiError, Result};
use crate::progress;
use crate::query::Query;

/// `POST /images/create`.
pub(crate) async fn create(
    State(engine): State<Arc<Engine>>,
    query: Query,
    request: Request,
) -> Result {
    let by = Client::of(request.headers()).0;
    let Some(name) = query.optional("fromImage") else {
        return import(engine, query, by, request).await;
    };
    let reference = reference(name, query.text("tag"))?;
    let pull = PullRequest {
        auth: client::credentials(request.headers()),
        platform: query.optional("platform").map(str::to_owned),
        by,
    };
    progress::run(move |reports| async move {
        engine.pull_image(&reference, pull, reports).await?;
        Ok(Vec::new())
    })
    .await
}

/// A name without a tag means all tags.
fn reference(name: &str, tag: &str) -> Result<Reference> {
    let invalid = |e: engine::Error| ApiError::from(e);
    let bare = Reference::parse_bare(name.trim_end_matches(':')).map_err(|e| invalid(e.into()))?;
    if bare.path() == "library/scratch" {
        return Err(ApiError {
            status: http::StatusCode::FORBIDDEN,
            message: "'scratch' is a reserved name".into(),
        });
    }
    if tag.is_empty() {
        return Ok(bare);
    }
    match tag.parse() {
        Ok(digest) => Ok(bare.with_digest(digest)),
        Err(_) => bare.with_tag(tag).map_err(|e| invalid(e.into())),
    }
}

async fn import(engine: Arc<Engine>, query: Query, by: String, request: Request) -> Result {
    let text = |name: &str| query.text(name).to_owned();
    let source = text("fromSrc");
    let message = match query.optional("message") {
        Some(message) => message.to_owned(),
        None => format!("Imported from {source}"),
    };
    let import = ImportRequest {
        repository: text("repo"),
        tag: text("tag"),
        message,
        changes: query.all("changes").to_vec(),
        platform: query.optional("platform").map(str::to_owned),
        by,
    };
    if source.is_empty() {
        // dockerd asks a web server without a name.
        let why = "Get \"http:\": http: no Host in request URL";
        return Err(engine::Error::System(why.into()).into());
    }
    if source == "-" {
        let mut archive = body::reader(request.into_body());
        return progress::run(move |_| async move {
            let imported = engine.import_image(&mut archive, import).await?;
            Ok(vec![json!({ "status": imported })])
        })
        .await;
    }
    let url = if source.contains("://") {
        source
    } else {
        format!("http://{source}")
    };
    progress::run(move |reports| async move {
        let archive = engine.fetch(&url).await?;
        // Nobody may be listening any more.
        let _ = reports
            .send(PullProgress::whole(format!("Downloading from {url}")))
            .await;
        let id = engine.import_image(archive, import).await?;
        Ok(vec![json!({ "status": id })])
    })
    .await
}

/// `POST /images/{name}/push`.
pub(crate) async fn push(
    engine: Arc<Engine>,
    name: &str,
    tag: &str,
    auth: Option<Auth>,
    platform: Option<Platform>,
) -> Result {
    let invalid = |e: engine::Error| ApiError::from(e);
    let bare = Reference::parse_bare(name).map_err(|e| invalid(e.into()))?;
    let reference = match tag {
        "" => bare,
        tag => bare.with_tag(tag).map_err(|e| invalid(e.into()))?,
    };
    progress::run(move |reports| async move {
        engine
            .push_image(&reference, auth, platform, reports)
            .await?;
        Ok(Vec::new())
    })
    .await
}
