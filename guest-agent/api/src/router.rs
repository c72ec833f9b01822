//! Which path goes where.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use engine::Engine;
use http::{Method, StatusCode, Uri};

use crate::error::ApiError;
use crate::routes::{early, to};
use crate::{containers, events, exec, images, networks, system, unsupported, volumes};

/// All routes, without versions.
pub(crate) fn build(engine: Arc<Engine>) -> Router {
    let first = Router::new()
        .route("/_ping", get(early(system::ping)).head(early(system::ping)))
        .route("/version", get(early(system::version)))
        .route("/auth", post(early(images::auth)))
        .route("/info", get(to(system::info)))
        .route("/system/df", get(to(system::disk_usage)))
        .route("/events", get(to(events::stream)));
    // Added to the one table: tables that are merged are made twice.
    [
        unsupported::add,
        containers::add,
        exec::add,
        images::add,
        networks::add,
        volumes::add,
    ]
    .into_iter()
    .fold(first, |routes, add| add(routes))
    .fallback(early(not_found))
    .method_not_allowed_fallback(early(not_found))
    .with_state(engine)
}

/// Whether a request has a place to go. The library answers HEAD wherever GET is; Docker's engine in
/// two places only.
pub(crate) fn has_place(method: &Method, path: &str) -> bool {
    method != Method::HEAD || path == "/_ping" || path.ends_with("/archive")
}

/// Where a path leads that has empty parts, `.` or `..`.
pub(crate) fn cleaned(uri: &Uri) -> Option<String> {
    let given = uri.path().strip_prefix('/')?;
    let inner = given.strip_suffix('/').unwrap_or(given);
    let odd = |part| matches!(part, "" | "." | "..");
    if inner.is_empty() || !inner.split('/').any(odd) {
        return None;
    }
    let mut parts = Vec::new();
    for part in inner.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut clean = format!("/{}", parts.join("/"));
    if given != inner && !parts.is_empty() {
        clean.push('/');
    }
    if let Some(query) = uri.query() {
        clean.push('?');
        clean.push_str(query);
    }
    Some(clean)
}

pub(crate) async fn not_found() -> ApiError {
    ApiError {
        status: StatusCode::NOT_FOUND,
        message: "page not found".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_lead_to_plain_ones() {
        let clean = |text: &'static str| cleaned(&Uri::from_static(text));
        for (odd, plain) in [
            ("//info", "/info"),
            ("/v1.51//images/json?a=//b", "/v1.51/images/json?a=//b"),
            ("/a/./b/../c/", "/a/c/"),
            ("/../../etc", "/etc"),
        ] {
            assert_eq!(clean(odd).as_deref(), Some(plain), "{odd}");
        }
        for plain in ["/", "/info", "/containers/json/", "/images/a/b:1/json?x=.."] {
            assert_eq!(clean(plain), None, "{plain}");
        }
    }
}
