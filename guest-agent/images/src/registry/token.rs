//! Answering a challenge: credentials as they are, or a token bought with them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::Deserialize;

use super::challenge::Challenge;
use super::errors::{self, Action};
use crate::{Auth, Error, Reference, Result};

const MAX_ANSWER: usize = 1 << 20;
/// What token servers know us as.
const CLIENT: &str = "slipway";

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    refresh_token: String,
}

/// What answers a challenge.
#[derive(Debug, Clone, Default)]
pub(super) struct Granted {
    /// The value of the `Authorization` header; `None` when we have nothing to answer with.
    pub(super) header: Option<String>,
    /// What can be shown later instead of the password; usually nothing.
    pub(super) identity: String,
}

/// What an authorization is wanted for.
pub(super) struct Wanted<'a> {
    pub(super) challenge: &'a Challenge,
    pub(super) auth: Option<&'a Auth>,
    pub(super) scopes: &'a [String],
    pub(super) reference: &'a Reference,
    pub(super) action: Action,
    pub(super) registry_is_encrypted: bool,
    /// Whether an identity token is asked for, too.
    pub(super) stay: bool,
}

/// User name and password as a header's value.
pub(super) fn basic(auth: &Auth) -> Option<String> {
    let pair = format!("{}:{}", auth.username, auth.password);
    (!auth.username.is_empty()).then(|| format!("Basic {}", STANDARD.encode(pair)))
}

/// Answers the challenge.
pub(super) async fn authorize(http: &reqwest::Client, wanted: &Wanted<'_>) -> Result<Granted> {
    let simple = |header| Granted {
        header,
        ..Granted::default()
    };
    let auth = wanted.auth;
    if let Some(auth) = auth.filter(|auth| !auth.registrytoken.is_empty()) {
        return Ok(simple(Some(format!("Bearer {}", auth.registrytoken))));
    }
    let basic = auth.and_then(basic);
    match wanted.challenge {
        Challenge::Basic => Ok(simple(basic)),
        Challenge::Bearer { realm, service } => {
            let url = Url::parse(realm)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https"))
                .ok_or_else(|| {
                    Error::invalid(format!(
                        "the registry names an unusable token server: {realm:?}"
                    ))
                })?;
            if wanted.registry_is_encrypted && url.scheme() != "https" && auth.is_some() {
                return Err(Error::Unauthorized(format!(
                    "refusing to send credentials to the unencrypted token server {realm}"
                )));
            }
            let identity = auth
                .map(|auth| auth.identitytoken.as_str())
                .filter(|token| !token.is_empty());
            let request = Request {
                url,
                service: service.as_deref(),
                basic,
                identity,
            };
            request.send(http, wanted).await
        }
    }
}

struct Request<'a> {
    url: Url,
    service: Option<&'a str>,
    basic: Option<String>,
    identity: Option<&'a str>,
}

impl Request<'_> {
    async fn send(mut self, http: &reqwest::Client, wanted: &Wanted<'_>) -> Result<Granted> {
        let auth = wanted.auth;
        let joined = wanted.scopes.join(" ");
        let mut fields: Vec<(&str, &str)> = Vec::new();
        fields.extend(self.service.map(|service| ("service", service)));
        let request = if let Some(identity) = self.identity {
            if !joined.is_empty() {
                fields.push(("scope", &joined));
            }
            fields.extend([
                ("grant_type", "refresh_token"),
                ("client_id", CLIENT),
                ("refresh_token", identity),
            ]);
            let body = form(&fields);
            http.post(self.url.clone())
                .header(
                    http::header::CONTENT_TYPE,
                    "application/x-www-form-urlencoded",
                )
                .body(body)
        } else {
            fields.extend(wanted.scopes.iter().map(|scope| ("scope", scope.as_str())));
            if let Some(auth) = auth.filter(|auth| !auth.username.is_empty()) {
                fields.push(("account", &auth.username));
            }
            if wanted.stay {
                fields.extend([("offline_token", "true"), ("client_id", CLIENT)]);
            }
            self.url.query_pairs_mut().extend_pairs(&fields);
            let request = http.get(self.url.clone());
            match &self.basic {
                Some(basic) => request.header(http::header::AUTHORIZATION, basic),
                None => request,
            }
        };
        let authority = self.url.authority().to_owned();
        let failed = |error: &reqwest::Error| {
            errors::unreachable("Get", self.url.as_str(), &authority, error)
        };
        let response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status();
        let body =
            super::request::body(response, MAX_ANSWER)
                .await
                .map_err(|error| match error {
                    Ok(error) => failed(&error),
                    Err(error) => error,
                })?;
        if !status.is_success() {
            // A server that says why is heard.
            let told: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
            let told = told.is_some_and(|told| told["errors"][0]["message"].is_string());
            if status == http::StatusCode::UNAUTHORIZED && auth.is_some() && !told {
                return Err(Error::Unauthorized(
                    "unauthorized: incorrect username or password".to_owned(),
                ));
            }
            let refused = errors::refused(wanted.action, status, &body, wanted.reference);
            return Err(refused);
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
            Error::Network(format!(
                "the token server {authority} answered nonsense: {error}"
            ))
        })?;
        let token = if answer.token.is_empty() {
            answer.access_token
        } else {
            answer.token
        };
        if token.is_empty() {
            return Err(Error::Network(
                "authorization server did not include a token in the response".to_owned(),
            ));
        }
        Ok(Granted {
            header: Some(format!("Bearer {token}")),
            identity: answer.refresh_token,
        })
    }
}

/// Text as a part of a query.
pub(super) fn encoded(text: &str) -> String {
    form(&[("x", text)])[2..].to_owned()
}

/// `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://form/") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}
