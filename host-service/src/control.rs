//! slipwayd's own paths on the API socket: `/slipway/machine…` and `/slipway/diagnose`.

mod body;
mod console;
mod updates;

use std::time::Duration;

use bytes::Bytes;
use client::Home;
use client::wire::{StartRequest, StopRequest};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::machine::{Owner, disk_used};
use body::Body;

/// Longest body of a request.
const LIMIT: usize = 64 * 1024;

/// How long a stop takes at most when the client does not say.
pub(crate) const STOP: Duration = Duration::from_secs(30);

/// What requests are served from.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) home: Home,
    pub(crate) owner: Owner,
}

/// Whether slipwayd answers this path itself.
pub(crate) fn owns(path: &str) -> bool {
    let within = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within("/slipway/machine") || within("/slipway/diagnose")
}

/// Serves one request: the client's next one may be for the engine, on a new connection.
pub(crate) async fn serve<C>(connection: C, service: Service)
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, std::convert::Infallible>(route(request, service).await) }
    });
    let serving = http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .serve_connection(TokioIo::new(connection), answer);
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a client's connection broke");
    }
}

async fn route(request: Request<Incoming>, service: Service) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let method = request.method().clone();
    match (method, path.as_str()) {
        (Method::GET, "/slipway/machine") => {
            let mut status = (*service.owner.status().borrow().clone()).clone();
            status.machine.disk_used_bytes = disk_used(&service.home.data_disk());
            service.owner.ports().describe(&mut status.machine);
            match serde_json::to_vec(&status) {
                Ok(text) => answer("application/json", body::whole(text)),
                Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
            }
        }
        (Method::GET, "/slipway/machine/events") => {
            answer("application/x-ndjson", updates::events(&service.owner))
        }
        (Method::POST, "/slipway/machine/start") => match json::<StartRequest>(request).await {
            Ok(start) => answer(
                "application/x-ndjson",
                updates::start(service.owner, start).await,
            ),
            Err(message) => refuse(StatusCode::BAD_REQUEST, &message),
        },
        (Method::POST, "/slipway/machine/restart") => match json::<StartRequest>(request).await {
            Ok(start) => answer(
                "application/x-ndjson",
                updates::restart(service.owner, start).await,
            ),
            Err(message) => refuse(StatusCode::BAD_REQUEST, &message),
        },
        (Method::POST, "/slipway/machine/stop") => match json::<StopRequest>(request).await {
            Ok(stop) => {
                let timeout = stop.timeout_s.map_or(STOP, Duration::from_secs);
                answer(
                    "application/x-ndjson",
                    updates::stop(service.owner, timeout).await,
                )
            }
            Err(message) => refuse(StatusCode::BAD_REQUEST, &message),
        },
        (Method::GET, "/slipway/machine/logs") => match console::Wanted::parse(&query) {
            Ok(wanted) => answer(
                "text/plain; charset=utf-8",
                console::follow(&service.home, wanted),
            ),
            Err(message) => refuse(StatusCode::BAD_REQUEST, &message),
        },
        (Method::GET, "/slipway/diagnose") => {
            let report = tokio::task::spawn_blocking(move || crate::diagnose::report(&service));
            match report.await {
                Ok(report) => answer("text/plain; charset=utf-8", body::whole(report)),
                Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
            }
        }
        (method, path) => refuse(
            StatusCode::NOT_FOUND,
            &format!("slipwayd has no {method} {path}"),
        ),
    }
}

/// An absent body is the default.
async fn json<T: DeserializeOwned + Default>(request: Request<Incoming>) -> Result<T, String> {
    let body = Limited::new(request.into_body(), LIMIT).collect().await;
    let body = body
        .map_err(|error| format!("cannot read the request's body: {error}"))?
        .to_bytes();
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body).map_err(|error| format!("the request is not understood: {error}"))
}

fn answer(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn refuse(status: StatusCode, message: &str) -> Response<Body> {
    let text = serde_json::json!({ "message": message }).to_string();
    let mut response = answer("application/json", body::whole(Bytes::from(text)));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::owns;

    #[test]
    fn only_these_paths_are_slipwayd_s() {
        assert!(owns("/slipway/machine"));
        assert!(owns("/slipway/machine/start"));
        assert!(owns("/slipway/diagnose"));
        assert!(!owns("/slipway/machines"));
        assert!(!owns("/slipway/images/x/history"));
        assert!(!owns("/v1.51/slipway/machine"));
        assert!(!owns("/containers/json"));
    }
}
