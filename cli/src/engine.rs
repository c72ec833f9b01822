//! A client of the Engine API. It hands JSON through as the engine wrote it (an `inspect` must
//! not lose the fields that this program does not know) and gives hijacked connections with
//! half-close, which typed clients hide.

mod error;
mod hijack;
mod lines;
pub(crate) mod models;
mod query;
pub(crate) mod stdcopy;

use bytes::Bytes;
use client::{Connection, Endpoint};
use http::{Method, Request, Response, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use error::{Error, hint_for};
pub(crate) use hijack::Hijacked;
pub(crate) use lines::Lines;
pub(crate) use query::{Query, filter as query_filter, segment};

/// The version of the API that this program speaks; it ships with its engine.
const VERSION: &str = "/v1.51";

/// A request's body.
pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

/// Speaks to the engine. Each request has its own connection, so that requests that wait (`wait`,
/// `attach`, `logs`) hinder no other.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    endpoint: Endpoint,
    foreign: bool,
    credentials: Option<header::HeaderValue>,
}

impl Engine {
    /// A client of the machine's engine at `endpoint`; connects to nothing yet.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            foreign: false,
            credentials: None,
        }
    }

    /// A client of an engine that is not Slipway's own.
    pub(crate) fn foreign(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            foreign: true,
            credentials: None,
        }
    }

    /// The same with credentials for a registry in every request.
    pub(crate) fn with_credentials(self, header: Option<String>) -> Self {
        Self {
            credentials: header.and_then(|text| text.parse().ok()),
            ..self
        }
    }

    /// `GET`, the answer read as JSON.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query,
    ) -> Result<T, Error> {
        json(self.call(Method::GET, path, query, empty()).await?).await
    }

    /// `GET`, the answer's bytes as they come.
    pub(crate) async fn open(
        &self,
        path: &str,
        query: &Query,
    ) -> Result<Response<Incoming>, Error> {
        self.call(Method::GET, path, query, empty()).await
    }

    /// `POST` without a body; the answer is dropped.
    pub(crate) async fn act(&self, path: &str, query: &Query) -> Result<(), Error> {
        drop(self.call(Method::POST, path, query, empty()).await?);
        Ok(())
    }

    /// `POST` with a JSON body, the answer read as JSON.
    pub(crate) async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query,
        body: &B,
    ) -> Result<T, Error> {
        json(self.post_json(path, query, body).await?).await
    }

    /// `POST` with a JSON body; the answer is dropped.
    pub(crate) async fn post_json<B: Serialize>(
        &self,
        path: &str,
        query: &Query,
        body: &B,
    ) -> Result<Response<Incoming>, Error> {
        let body = serde_json::to_vec(body).map_err(Error::Encode)?;
        self.call(Method::POST, path, query, Some(full(body))).await
    }

    /// `HEAD`: the answer's headers.
    pub(crate) async fn head(
        &self,
        path: &str,
        query: &Query,
    ) -> Result<Response<Incoming>, Error> {
        self.call(Method::HEAD, path, query, empty()).await
    }

    /// `PUT` with a body; the answer is dropped.
    pub(crate) async fn put(
        &self,
        path: &str,
        query: &Query,
        body: (&'static str, Body),
    ) -> Result<(), Error> {
        drop(self.call(Method::PUT, path, query, Some(body)).await?);
        Ok(())
    }

    /// `DELETE`; the answer is for the caller.
    pub(crate) async fn delete(
        &self,
        path: &str,
        query: &Query,
    ) -> Result<Response<Incoming>, Error> {
        self.call(Method::DELETE, path, query, empty()).await
    }

    /// `POST` with a body that is not JSON, or none.
    pub(crate) async fn send(
        &self,
        path: &str,
        query: &Query,
        body: Option<(&'static str, Body)>,
    ) -> Result<Response<Incoming>, Error> {
        self.call(Method::POST, path, query, body).await
    }

    /// `POST` whose connection becomes a two-way stream of bytes.
    pub(crate) async fn hijack<B: Serialize>(
        &self,
        path: &str,
        query: &Query,
        body: Option<&B>,
    ) -> Result<Hijacked, Error> {
        let body = match body {
            Some(body) => Some(full(serde_json::to_vec(body).map_err(Error::Encode)?)),
            None => empty(),
        };
        let mut request = build(Method::POST, path, query, body)?;
        let headers = request.headers_mut();
        headers.insert(
            header::CONNECTION,
            header::HeaderValue::from_static("Upgrade"),
        );
        headers.insert(header::UPGRADE, header::HeaderValue::from_static("tcp"));
        let response = refuse(self.exchange(request).await?).await?;
        hijack::take(response).await
    }

    /// Any request; an answer that is not a success becomes [`Error::Refused`].
    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        body: Option<(&'static str, Body)>,
    ) -> Result<Response<Incoming>, Error> {
        refuse(self.exchange(build(method, path, query, body)?).await?).await
    }

    async fn exchange(&self, mut request: Request<Body>) -> Result<Response<Incoming>, Error> {
        if let Some(credentials) = &self.credentials {
            let headers = request.headers_mut();
            headers.insert("x-registry-auth", credentials.clone());
        }
        let connection = Connection::open(&self.endpoint).await;
        let connection = connection.map_err(|error| match error {
            client::Error::Connect { endpoint, source } if self.foreign => {
                Error::Unreachable { endpoint, source }
            }
            error => Error::Connect(error),
        })?;
        let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(connection))
            .await
            .map_err(Error::Conversation)?;
        tokio::spawn(driver.with_upgrades());
        sender
            .send_request(request)
            .await
            .map_err(Error::Conversation)
    }
}

fn build(
    method: Method,
    path: &str,
    query: &Query,
    body: Option<(&'static str, Body)>,
) -> Result<Request<Body>, Error> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{VERSION}{path}{query}"))
        .header(header::HOST, "slipway")
        .header(
            header::USER_AGENT,
            concat!("slipway/", env!("CARGO_PKG_VERSION")),
        );
    let body = match body {
        Some((kind, body)) => {
            request = request.header(header::CONTENT_TYPE, kind);
            body
        }
        None => bytes_body(Bytes::new()),
    };
    request.body(body).map_err(Error::Request)
}

fn empty() -> Option<(&'static str, Body)> {
    None
}

/// JSON as a request's body.
pub(crate) fn body(value: &serde_json::Value) -> (&'static str, Body) {
    full(value.to_string().into_bytes())
}

/// JSON as a request's body.
pub(crate) fn full(json: Vec<u8>) -> (&'static str, Body) {
    ("application/json", bytes_body(json.into()))
}

fn bytes_body(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// Reads all of an answer as JSON.
pub(crate) async fn json<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Error> {
    let body = response.into_body().collect().await;
    let body = body.map_err(Error::Conversation)?.to_bytes();
    serde_json::from_slice(&body).map_err(Error::Decode)
}

async fn refuse(response: Response<Incoming>) -> Result<Response<Incoming>, Error> {
    let status = response.status();
    if status.is_success() || status.is_informational() || status.is_redirection() {
        return Ok(response);
    }
    let body = response.into_body().collect().await;
    let body = body.map_err(Error::Conversation)?.to_bytes();
    Err(Error::refused(status.as_u16(), &body))
}
