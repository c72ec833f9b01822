//! API versions: `/v1.51/…` is taken off the path before routing and checked.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{Request, Uri};

use crate::error::ApiError;

/// The newest version of the API that is served, and what unversioned requests get.
pub(crate) const CURRENT: ApiVersion = ApiVersion {
    major: 1,
    minor: 51,
};
/// The oldest.
pub(crate) const OLDEST: ApiVersion = ApiVersion {
    major: 1,
    minor: 24,
};

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion {
    major: u32,
    minor: u32,
}

impl ApiVersion {
    /// `1.minor`.
    #[cfg(test)]
    pub(crate) fn minor(minor: u32) -> Self {
        Self { major: 1, minor }
    }

    /// Whether this is at least `1.minor`.
    pub(crate) fn at_least(self, minor: u32) -> bool {
        self >= Self { major: 1, minor }
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl<S: Sync> FromRequestParts<S> for ApiVersion {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(CURRENT))
    }
}

/// Takes the version off the path and notes it in the request.
pub(crate) fn strip<B>(request: &mut Request<B>) -> Result<(), ApiError> {
    let Some((version, rest)) = split(request.uri().path()) else {
        return Ok(());
    };
    if version < OLDEST {
        return Err(ApiError::invalid(format!(
            "client version {version} is too old. Minimum supported API version is {OLDEST}, please upgrade your client to a newer version"
        )));
    }
    if version > CURRENT {
        return Err(ApiError::invalid(format!(
            "client version {version} is too new. Maximum supported API version is {CURRENT}"
        )));
    }
    let target = match request.uri().query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    let uri: Uri = target
        .parse()
        .map_err(|_| ApiError::invalid("the request's path can't be read".to_owned()))?;
    *request.uri_mut() = uri;
    request.extensions_mut().insert(version);
    Ok(())
}

fn split(path: &str) -> Option<(ApiVersion, &str)> {
    let tail = path.strip_prefix("/v")?;
    let end = tail.find('/')?;
    let (version, rest) = tail.split_at(end);
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    Some((
        ApiVersion {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        },
        rest,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn stripped(path: &str) -> Result<String, String> {
        let mut request = Request::builder().uri(path).body(()).unwrap();
        strip(&mut request).map_err(|e| e.message)?;
        Ok(request.uri().to_string())
    }

    #[test]
    fn versions_are_checked_and_taken_off() {
        assert_eq!(stripped("/v1.51/info?a=b").unwrap(), "/info?a=b");
        assert_eq!(stripped("/info").unwrap(), "/info");
        assert_eq!(stripped("/volumes/v1").unwrap(), "/volumes/v1");
        assert_eq!(
            stripped("/v1.10/info").unwrap_err(),
            "client version 1.10 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
        );
        assert_eq!(
            stripped("/v1.99/info").unwrap_err(),
            "client version 1.99 is too new. Maximum supported API version is 1.51"
        );
        assert!(
            stripped("/v2/info")
                .unwrap_err()
                .starts_with("client version 2.0 is too new")
        );
    }
}
