//! Single requests to a registry, with its challenge answered, and small documents with retries.

use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Response, Url};

use super::challenge::Challenge;
use super::connect::Registry;
use super::errors;
use super::retry::{self, Backoff};
use crate::manifest;
use crate::{Digest, Error, Result};

const MAX_MANIFEST: usize = 4 << 20;
const MAX_ERROR: usize = 64 << 10;

/// What to ask for.
pub(super) struct Ask {
    pub(super) method: Method,
    /// Below `/v2/`, or a whole URL.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Ask {
    pub(super) fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn get(target: impl Into<String>) -> Self {
        Self::new(Method::GET, target)
    }

    pub(super) fn with(mut self, content_type: &str, body: Bytes) -> Self {
        if let Ok(value) = HeaderValue::from_str(content_type) {
            self.headers.insert(CONTENT_TYPE, value);
        }
        self.body = body;
        self
    }
}

/// A manifest or index as a registry has it.
pub(crate) struct Fetched {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
}

impl Registry {
    /// Fetches a manifest or index by tag or digest.
    pub(crate) async fn manifest(&self, tag_or_digest: &str) -> Result<Fetched> {
        let path = format!("{}/manifests/{tag_or_digest}", self.reference.path());
        let mut ask = Ask::get(path);
        for media_type in manifest::ACCEPT {
            ask.headers
                .append(ACCEPT, HeaderValue::from_static(media_type));
        }
        let (headers, bytes) = self.document(&ask, MAX_MANIFEST).await?;
        let digest = Digest::of(&bytes);
        if Digest::parse(tag_or_digest).is_ok_and(|asked| asked != digest) {
            return Err(Error::invalid(format!(
                "manifest verification failed for digest {tag_or_digest}"
            )));
        }
        let said = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        Ok(Fetched {
            media_type: manifest::media_type(&bytes)
                .unwrap_or_else(|| said.unwrap_or_default().to_owned()),
            bytes,
            digest,
        })
    }

    /// Fetches a small blob whole, verified.
    pub(crate) async fn small_blob(&self, digest: &Digest, limit: usize) -> Result<Bytes> {
        let ask = Ask::get(self.blob_path(digest));
        let (_, bytes) = self.document(&ask, limit).await?;
        if Digest::of(&bytes) != *digest {
            return Err(Error::invalid(format!(
                "image config verification failed for digest {digest}"
            )));
        }
        Ok(bytes)
    }

    /// Starts fetching a blob from an offset, once. The answer may begin at zero all the same.
    pub(super) async fn blob(&self, digest: &Digest, offset: u64) -> Result<Response, Failure> {
        let mut ask = Ask::get(self.blob_path(digest));
        if offset > 0
            && let Ok(range) = format!("bytes={offset}-").parse()
        {
            ask.headers.insert(RANGE, range);
        }
        self.once(&ask).await
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> String {
        format!("{}/blobs/{digest}", self.reference.path())
    }

    /// A request for something small, with retries.
    pub(super) async fn document(&self, ask: &Ask, limit: usize) -> Result<(HeaderMap, Bytes)> {
        let mut backoff = Backoff::default();
        loop {
            let failure = match self.once(ask).await {
                Ok(response) => {
                    let headers = response.headers().clone();
                    match body(response, limit).await {
                        Ok(bytes) => return Ok((headers, bytes)),
                        Err(Ok(error)) => Failure::passing(self.unreachable(ask, &error)),
                        Err(Err(error)) => return Err(error),
                    }
                }
                Err(failure) => failure,
            };
            match failure.wait(&mut backoff) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(failure.error),
            }
        }
    }

    /// A request whose answer has no body, with retries.
    pub(super) async fn headers(&self, ask: &Ask) -> Result<(StatusCode, HeaderMap), Failure> {
        let mut backoff = Backoff::default();
        loop {
            let failure = match self.once(ask).await {
                Ok(response) => return Ok((response.status(), response.headers().clone())),
                Err(failure) => failure,
            };
            match failure.wait(&mut backoff) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(failure),
            }
        }
    }

    /// One request, answering the registry's challenge when it has one.
    pub(super) async fn once(&self, ask: &Ask) -> Result<Response, Failure> {
        let mut fresh = false;
        loop {
            let authorization = match self.known_authorization() {
                Some(known) => Some(known),
                None => {
                    fresh = true;
                    let answer = self.authorize(false).await.map_err(Failure::of)?;
                    self.remember(answer.header.clone());
                    answer.header
                }
            };
            let mut request = self.request(ask)?;
            if !ask.body.is_empty() {
                request = request.body(ask.body.clone());
            }
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return Err(Failure::passing(self.unreachable(ask, &error))),
            };
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if status == StatusCode::UNAUTHORIZED && authorization.is_some() && !fresh {
                // A long pull outlives its token.
                self.remember(None);
                continue;
            }
            return Err(self.refusal(ask, response, authorization.is_some()).await);
        }
    }

    /// What an answer other than success means.
    pub(super) async fn refusal(&self, ask: &Ask, response: Response, authorized: bool) -> Failure {
        let status = response.status();
        let asked = retry::asked(response.headers());
        let no_credentials = status == StatusCode::UNAUTHORIZED && !authorized;
        let basic = self.challenge == Some(Challenge::Basic);
        let text = body(response, MAX_ERROR).await.unwrap_or_default();
        let error = if no_credentials && basic {
            Error::Unauthorized(match self.action {
                errors::Action::Pull => format!(
                    "Head {:?}: no basic auth credentials",
                    self.place.shown(&ask.target)
                ),
                errors::Action::Push => "no basic auth credentials".to_owned(),
            })
        } else {
            errors::refused(self.action, status, &text, &self.reference)
        };
        Failure {
            error,
            status: Some(status),
            temporary: retry::is_temporary(status),
            asked,
        }
    }

    /// A request with its headers, without a body.
    pub(super) fn request(&self, ask: &Ask) -> Result<reqwest::RequestBuilder, Failure> {
        let url = if ask.target.contains("://") {
            ask.target.clone()
        } else {
            self.place.url(&ask.target)
        };
        let url = Url::parse(&url).map_err(|error| {
            Failure::lasting(Error::Network(format!(
                "the registry names an unusable address {url:?}: {error}"
            )))
        })?;
        // Credentials are for the registry alone, wherever it sends us.
        let own = Url::parse(&self.place.url("")).is_ok_and(|base| base.origin() == url.origin());
        let mut request = self
            .http
            .request(ask.method.clone(), url)
            .headers(ask.headers.clone());
        if own {
            if self.place.dial != self.place.authority {
                request = request.header(HOST, &self.place.authority);
            }
            if let Some(authorization) = self.known_authorization() {
                request = request.header(AUTHORIZATION, authorization);
            }
        }
        Ok(request)
    }

    /// Where an answer says to go on, as an address that can be dialled.
    pub(super) fn location(&self, headers: &HeaderMap) -> Result<Url> {
        let bad = |what: &str| {
            Error::Network(format!(
                "the registry {} answered without a usable place to upload to: {what}",
                self.place.authority
            ))
        };
        let text = headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| bad("no Location"))?;
        let base = Url::parse(&self.place.url("")).map_err(|error| bad(&error.to_string()))?;
        let mut url = base.join(text).map_err(|error| bad(&error.to_string()))?;
        if url.authority() == self.place.authority && self.place.dial != self.place.authority {
            let _ = url.set_host(base.host_str());
            let _ = url.set_port(base.port());
        }
        Ok(url)
    }

    pub(super) fn known_authorization(&self) -> Option<String> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, authorization: Option<String>) {
        *self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = authorization;
    }

    pub(super) fn unreachable(&self, ask: &Ask, error: &reqwest::Error) -> Error {
        let mut method = ask.method.to_string().to_ascii_lowercase();
        if let Some(first) = method.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let shown = if ask.target.contains("://") {
            ask.target.clone()
        } else {
            self.place.shown(&ask.target)
        };
        errors::unreachable(&method, &shown, &self.place.authority, error)
    }
}

/// A failed try.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) status: Option<StatusCode>,
    temporary: bool,
    asked: Option<Duration>,
}

impl Failure {
    /// One that the next try may not meet.
    pub(super) fn passing(error: Error) -> Self {
        Self {
            error,
            status: None,
            temporary: true,
            asked: None,
        }
    }

    /// One that every try would meet.
    pub(super) fn lasting(error: Error) -> Self {
        Self {
            temporary: false,
            ..Self::passing(error)
        }
    }

    pub(super) fn of(error: Error) -> Self {
        let temporary = matches!(error, Error::Network(_));
        Self {
            temporary,
            ..Self::passing(error)
        }
    }

    /// How long to wait before another try, if there should be one.
    pub(super) fn wait(&self, backoff: &mut Backoff) -> Option<Duration> {
        if self.temporary {
            backoff.next(self.asked)
        } else {
            None
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Reads a body of at most `limit` bytes. The inner result tells a cut connection from a refusal.
pub(super) async fn body(
    mut response: Response,
    limit: usize,
) -> Result<Bytes, Result<reqwest::Error, Error>> {
    let mut bytes = bytes::BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(Ok)? {
        if bytes.len() + piece.len() > limit {
            return Err(Err(Error::invalid(format!(
                "the registry's answer is larger than {limit} bytes"
            ))));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}
