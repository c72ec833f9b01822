//! Serving one connection: HTTP/1.1 with half-close and upgrades over any byte stream.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use engine::Engine;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt;

use crate::presence::Connection;
use crate::read_out::ReadOut;
use crate::{form, router, version};

/// The API of one engine. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    router: Router,
}

impl Api {
    /// The API of `engine`.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self {
            router: router::build(engine),
        }
    }

    /// Serves a client's connection until it ends.
    pub async fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (stream, presence) = Connection::new(stream);
        let service = service_fn(|mut request: Request<Incoming>| {
            let (this, presence) = (self.clone(), presence.clone());
            request.extensions_mut().insert(presence.clone());
            async move {
                let response = this.answer(request).await;
                presence.goes_on();
                Ok::<_, Infallible>(response)
            }
        });
        let served = hyper::server::conn::http1::Builder::new()
            // A client that closes its sending side still wants its answer: this is how standard
            // input ends.
            .half_close(true)
            // As Go writes them: scripts look for headers in these letters.
            .title_case_headers(true)
            // No timer: a client may keep a connection for as long as it likes, as with Docker.
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response {
        let mut request = request.map(|body| Body::new(ReadOut::from(body)));
        let clean = router::cleaned(request.uri());
        let mut response = match version::strip(&mut request) {
            // As Go's routers do, whatever it asks about.
            _ if let Some(clean) = &clean => {
                (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, clean)]).into_response()
            }
            Ok(()) if request.method() == Method::OPTIONS => StatusCode::OK.into_response(),
            Ok(()) if !router::has_place(request.method(), request.uri().path()) => {
                router::not_found().await.into_response()
            }
            Ok(()) => match form::read(request).await {
                Ok(request) => match self.router.clone().oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                },
                Err(error) => error.into_response(),
            },
            Err(error) => error.into_response(),
        };
        let headers = response.headers_mut();
        let fixed = [
            ("api-version", API_VERSION),
            ("docker-experimental", "false"),
            ("ostype", "linux"),
            ("server", SERVER),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

const API_VERSION: &str = "1.51";
const SERVER: &str = concat!("Slipway/", env!("CARGO_PKG_VERSION"), " (linux)");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_rests_is_kept() {
        let (mut client, stream) = tokio::io::duplex(4096);
        let api = Api {
            router: Router::new(),
        };
        tokio::spawn(async move { api.serve(stream).await });
        // Hyper would end it after 30 seconds if it had a timer.
        for rest in [0, 31] {
            tokio::time::sleep(Duration::from_secs(rest)).await;
            client
                .write_all(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            let mut answer = [0; 4096];
            let count = client.read(&mut answer).await.unwrap();
            assert!(answer[..count].starts_with(b"HTTP/1.1 404"));
        }
    }

    #[test]
    fn the_header_says_the_current_version() {
        assert_eq!(API_VERSION, version::CURRENT.to_string());
    }
}
