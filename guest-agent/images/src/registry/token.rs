//! Answering a challenge: credentials as they are, or a token bought with them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::Deserialize;

use super::challenge::Challenge;
use super::errors;
use crate::{Auth, Error, Reference, Result};

const MAX_ANSWER: usize = 1 << 20;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

/// The value of the `Authorization` header that answers `challenge`; `None` when we have nothing
/// to answer with.
pub(super) async fn authorize(
    http: &reqwest::Client,
    challenge: &Challenge,
    auth: Option<&Auth>,
    reference: &Reference,
    registry_is_encrypted: bool,
) -> Result<Option<String>> {
    if let Some(auth) = auth.filter(|auth| !auth.registrytoken.is_empty()) {
        return Ok(Some(format!("Bearer {}", auth.registrytoken)));
    }
    let basic = auth.filter(|auth| !auth.username.is_empty()).map(|auth| {
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", auth.username, auth.password))
        )
    });
    match challenge {
        Challenge::Basic => Ok(basic),
        Challenge::Bearer { realm, service } => {
            let url = Url::parse(realm)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https"))
                .ok_or_else(|| {
                    Error::invalid(format!(
                        "the registry names an unusable token server: {realm:?}"
                    ))
                })?;
            if registry_is_encrypted && url.scheme() != "https" && auth.is_some() {
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
            request
                .send(http, auth, reference)
                .await
                .map(|token| Some(format!("Bearer {token}")))
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
    async fn send(
        mut self,
        http: &reqwest::Client,
        auth: Option<&Auth>,
        reference: &Reference,
    ) -> Result<String> {
        let scope = format!("repository:{}:pull", reference.path());
        let mut fields = vec![("scope", scope.as_str())];
        fields.extend(self.service.map(|service| ("service", service)));
        let request = if let Some(identity) = self.identity {
            fields.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "slipway"),
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
            if let Some(auth) = auth.filter(|auth| !auth.username.is_empty()) {
                fields.push(("account", &auth.username));
            }
            self.url.query_pairs_mut().extend_pairs(&fields);
            let request = http.get(self.url.clone());
            match &self.basic {
                Some(basic) => request.header(http::header::AUTHORIZATION, basic),
                None => request,
            }
        };
        let authority = self.url.authority().to_owned();
        let failed =
            |error: &reqwest::Error| errors::unreachable(self.url.as_str(), &authority, error);
        let response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status();
        let body =
            super::connect::body(response, MAX_ANSWER)
                .await
                .map_err(|error| match error {
                    Ok(error) => failed(&error),
                    Err(error) => error,
                })?;
        if !status.is_success() {
            return Err(match errors::refused(status, &body, reference) {
                Error::Unauthorized(_) if auth.is_some() => {
                    Error::Unauthorized("unauthorized: incorrect username or password".to_owned())
                }
                other => other,
            });
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
            return Err(Error::Network(format!(
                "the token server {authority} answered without a token"
            )));
        }
        Ok(token)
    }
}

/// `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://form/") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}
