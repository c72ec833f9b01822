//! Registry credentials as clients send them in the `X-Registry-Auth` header.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::{Error, Result};

/// Credentials for one registry. Deserialises from Docker's `AuthConfig` JSON.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Auth {
    /// User name for basic authentication, also used to fetch a token.
    pub username: String,
    /// Password or access token belonging to `username`.
    pub password: String,
    /// An OAuth2 refresh token, which replaces user name and password.
    pub identitytoken: String,
    /// A bearer token to send as it is.
    pub registrytoken: String,
}

// The secrets must not reach a log through `{:?}`.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Auth {
    /// Reads the value of an `X-Registry-Auth` header: base64url JSON. An empty header, or
    /// credentials that are all empty, mean none.
    pub fn from_header(value: &str) -> Result<Option<Self>> {
        if value.trim().is_empty() {
            return Ok(None);
        }
        let lenient =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let bytes = GeneralPurpose::new(&base64::alphabet::URL_SAFE, lenient)
            .decode(value.trim())
            .or_else(|_| {
                GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(value.trim())
            })
            .map_err(|_| Error::Invalid("invalid X-Registry-Auth header: not base64".to_owned()))?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let auth: Self = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Invalid(format!("invalid X-Registry-Auth header: {error}")))?;
        Ok(Some(auth).filter(|auth| *auth != Self::default()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn empty_headers_mean_no_credentials() {
        // "e30=" is `{}`, what the docker command sends when nobody logged in.
        for header in ["", "e30=", "e30", "eyJ1c2VybmFtZSI6IiJ9"] {
            assert_eq!(Auth::from_header(header).unwrap(), None, "{header:?}");
        }
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let header = base64::engine::general_purpose::URL_SAFE
            .encode(r#"{"username":"u","password":"p>?","serveraddress":"r","email":""}"#);
        let auth = Auth::from_header(&header).unwrap().unwrap();
        assert_eq!(
            (auth.username.as_str(), auth.password.as_str()),
            ("u", "p>?")
        );
        assert!(!format!("{auth:?}").contains("p>?"));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Auth::from_header("%%%").is_err());
        assert!(Auth::from_header("aGVsbG8=").is_err());
    }
}
