//! Who asks: the client as it calls itself, for what is kept about changes.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use engine::image::Auth;
use http::HeaderMap;
use http::header::USER_AGENT;
use http::request::Parts;

/// No name needs more.
const LONGEST: usize = 80;

/// The client's name and version.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

impl Client {
    /// From a request's headers: `Docker-Client/28.5.2 (linux)` becomes `docker 28.5.2`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).and_then(|v| v.to_str().ok());
        let word = agent.and_then(|agent| agent.split_whitespace().next());
        let (name, version) = word
            .unwrap_or_default()
            .split_once('/')
            .unwrap_or((word.unwrap_or_default(), ""));
        let name = match name {
            "Docker-Client" => "docker",
            "docker-sdk-python" => "docker-py",
            name => name,
        };
        let mut text = format!("{name} {version}").trim().to_owned();
        text.truncate(text.floor_char_boundary(LONGEST));
        Self(text)
    }
}

/// The credentials of a request. Bad ones are as good as none, says dockerd.
pub(crate) fn credentials(headers: &HeaderMap) -> Option<Auth> {
    let value = headers.get("x-registry-auth")?.to_str().ok()?;
    Auth::from_header(value).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_names() {
        for (agent, name) in [
            ("Docker-Client/28.5.2 (linux)", "docker 28.5.2"),
            ("docker-sdk-python/7.1.0", "docker-py 7.1.0"),
            ("curl/8.1 x", "curl 8.1"),
            ("Go-http-client", "Go-http-client"),
        ] {
            let headers =
                HeaderMap::from_iter([(USER_AGENT, http::HeaderValue::from_static(agent))]);
            assert_eq!(Client::of(&headers).0, name);
        }
        assert_eq!(Client::of(&HeaderMap::new()).0, "");
    }
}
