//! HTTP over the API socket: slipwayd's own paths as typed calls, and any request of the Engine
//! API.

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::{StartRequest, Status, StopRequest};
use crate::{Connection, Endpoint, Error, Home, TextLines, Updates};

/// Speaks to slipwayd. Holds no connection: each call makes its own, so it can be cloned and
/// kept.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Endpoint,
}

impl Client {
    /// A client of the slipwayd of `home`; connects to nothing yet.
    #[must_use]
    pub fn new(home: &Home) -> Self {
        Self {
            endpoint: home.endpoint(),
        }
    }

    /// A client of a slipwayd that answers.
    ///
    /// # Errors
    /// [`Error::Connect`] when none does.
    pub async fn connect(home: &Home) -> Result<Self, Error> {
        let client = Self::new(home);
        client.status().await?;
        Ok(client)
    }

    /// Where it connects.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The machine's state now.
    ///
    /// # Errors
    /// When slipwayd does not answer.
    pub async fn status(&self) -> Result<Status, Error> {
        self.json("/slipway/machine").await
    }

    /// Starts the machine. Ends at once with `Done` when it runs already.
    ///
    /// # Errors
    /// When slipwayd does not answer; a failed start comes as the last update.
    pub async fn start(&self, request: StartRequest) -> Result<Updates, Error> {
        self.updates(Method::POST, "/slipway/machine/start", &request)
            .await
    }

    /// Stops the machine.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn stop(&self, request: StopRequest) -> Result<Updates, Error> {
        self.updates(Method::POST, "/slipway/machine/stop", &request)
            .await
    }

    /// Stops the machine if it runs, and starts it.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn restart(&self, request: StartRequest) -> Result<Updates, Error> {
        self.updates(Method::POST, "/slipway/machine/restart", &request)
            .await
    }

    /// The status now and whenever it changes, without end.
    ///
    /// # Errors
    /// When slipwayd does not answer.
    pub async fn events(&self) -> Result<Updates, Error> {
        self.updates(Method::GET, "/slipway/machine/events", &())
            .await
    }

    /// Lines of the machine's console: the last `tail` (all when `None`), and those to come when
    /// `follow`.
    ///
    /// # Errors
    /// When slipwayd does not answer.
    pub async fn logs(&self, tail: Option<usize>, follow: bool) -> Result<TextLines, Error> {
        let mut path = format!("/slipway/machine/logs?follow={}", u8::from(follow));
        if let Some(tail) = tail {
            path.push_str(&format!("&tail={tail}"));
        }
        let response = self.request(Method::GET, &path, None).await?;
        Ok(TextLines::new(refuse(response).await?.into_body()))
    }

    /// A report for people who help: versions, paths, what was found. Holds no secrets.
    ///
    /// # Errors
    /// When slipwayd does not answer.
    pub async fn diagnose(&self) -> Result<String, Error> {
        let response = self.request(Method::GET, "/slipway/diagnose", None).await?;
        let body = refuse(response).await?.into_body().collect().await;
        let body = body.map_err(Error::Conversation)?.to_bytes();
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Any request, answered whatever its status. `body` is JSON.
    ///
    /// # Errors
    /// When slipwayd does not answer.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Response<Incoming>, Error> {
        let connection = Connection::open(&self.endpoint).await?;
        let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(connection))
            .await
            .map_err(Error::Conversation)?;
        tokio::spawn(driver.with_upgrades());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "slipway");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(Error::Request)?;
        sender
            .send_request(request)
            .await
            .map_err(Error::Conversation)
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let response = refuse(self.request(Method::GET, path, None).await?).await?;
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(Error::Conversation)?;
        serde_json::from_slice(&body.to_bytes()).map_err(Error::Answer)
    }

    async fn updates<T: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: &T,
    ) -> Result<Updates, Error> {
        let body = if method == Method::GET {
            None
        } else {
            Some(serde_json::to_vec(body).map_err(Error::Answer)?.into())
        };
        let response = refuse(self.request(method, path, body).await?).await?;
        Ok(Updates::new(TextLines::new(response.into_body())))
    }
}

/// Turns an answer that is not a success into [`Error::Refused`].
async fn refuse(response: Response<Incoming>) -> Result<Response<Incoming>, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(Error::Conversation)?
        .to_bytes();
    let message = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|body| Some(body.get("message")?.as_str()?.to_owned()))
        .unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    Err(Error::Refused {
        status: status.as_u16(),
        message,
    })
}
