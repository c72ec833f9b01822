//! `POST /images/create`: pulling.

use std::sync::Arc;

use axum::extract::{Request, State};
use engine::Engine;
use engine::image::{Auth, PullRequest, Reference};

use crate::body;
use crate::error::{ApiError, Result};
use crate::progress;
use crate::query::Query;

/// `POST /images/create`.
pub(crate) async fn create(
    State(engine): State<Arc<Engine>>,
    query: Query,
    request: Request,
) -> Result {
    let Some(name) = query.optional("fromImage") else {
        body::read_out(body::reader(request.into_body())).await;
        return Err(ApiError::not_supported("docker import"));
    };
    let reference = reference(name, query.text("tag"))?;
    // Bad credentials are as good as none, says dockerd.
    let auth = request
        .headers()
        .get("x-registry-auth")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| Auth::from_header(value).ok().flatten());
    let pull = PullRequest {
        auth,
        platform: query.optional("platform").map(str::to_owned),
    };
    progress::run(move |reports| async move {
        engine.pull_image(&reference, pull, reports).await?;
        Ok(Vec::new())
    })
    .await
}

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
        return Reference::parse(name.trim_end_matches(':')).map_err(|e| invalid(e.into()));
    }
    match tag.parse() {
        Ok(digest) => Ok(bare.with_digest(digest)),
        Err(_) => bare.with_tag(tag).map_err(|e| invalid(e.into())),
    }
}
