//! A registry's failures in Docker's words, which scripts and people know.

use std::error::Error as StdError;
use std::io;

use http::StatusCode;
use serde::Deserialize;

use crate::{Error, Reference};

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Item>,
    /// Token servers answer with one of these instead.
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What was being done, for the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Reading.
    Pull,
    /// Writing, or looking around.
    Push,
}

/// What a status other than success means.
pub(super) fn refused(
    action: Action,
    status: StatusCode,
    body: &[u8],
    reference: &Reference,
) -> Error {
    let parsed: Option<Body> = serde_json::from_slice(body).ok();
    let first = parsed.as_ref().and_then(|body| body.errors.first());
    let code = first.map_or("", |item| item.code.as_str());
    let message = first.map_or("", |item| item.message.as_str());
    let cause = || {
        let words = code.to_ascii_lowercase().replace('_', " ");
        if message.is_empty() {
            words
        } else {
            format!("{words}: {message}")
        }
    };
    match (code, status, action) {
        ("MANIFEST_UNKNOWN", _, Action::Pull) => Error::NotFound(format!(
            "manifest for {} not found: {}",
            reference.familiar(),
            cause()
        )),
        ("NAME_UNKNOWN", _, Action::Pull) => Error::NotFound(format!(
            "repository {} not found: {}",
            reference.familiar_name(),
            cause()
        )),
        ("DENIED", _, Action::Pull) => denied(reference, &cause()),
        ("DENIED" | "UNAUTHORIZED", _, _) => Error::Unauthorized(cause()),
        ("", StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            let words = parsed.and_then(|body| body.details.or(body.message));
            let words = words
                .as_deref()
                .unwrap_or("requested access to the resource is denied");
            match action {
                Action::Pull => denied(reference, &format!("denied: {words}")),
                Action::Push => Error::Unauthorized(format!("denied: {words}")),
            }
        }
        ("", StatusCode::NOT_FOUND, Action::Pull) => Error::NotFound(format!(
            "manifest for {} not found: manifest unknown: manifest unknown",
            reference.familiar()
        )),
        ("", status, _) => Error::Network(format!("received unexpected HTTP status: {status}")),
        ("TOOMANYREQUESTS", ..) => Error::Network(cause()),
        _ if status == StatusCode::NOT_FOUND => Error::NotFound(cause()),
        _ => Error::Network(cause()),
    }
}

/// Registries do not tell "absent" from "not yours", and neither does Docker.
fn denied(reference: &Reference, cause: &str) -> Error {
    Error::NotFound(format!(
        "pull access denied for {}, repository does not exist or may require 'docker login': {cause}",
        reference.familiar_name()
    ))
}

/// Why a request brought no answer: `Get "http://…": dial tcp …: connect: connection refused`.
pub(super) fn unreachable(
    method: &str,
    url: &str,
    authority: &str,
    error: &reqwest::Error,
) -> Error {
    Error::Network(format!("{method} {url:?}: {}", cause(authority, error)))
}

fn cause(authority: &str, error: &reqwest::Error) -> String {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let dialled = authority.replace("localhost", "127.0.0.1");
    if let Some(tls) = find::<rustls::Error>(error) {
        return match tls {
            rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
                "tls: failed to verify certificate: x509: certificate signed by unknown authority"
                    .to_owned()
            }
            rustls::Error::InvalidCertificate(other) => {
                format!("tls: failed to verify certificate: x509: {other}")
            }
            rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
                "http: server gave HTTP response to HTTPS client".to_owned()
            }
            other => format!("tls: {other}"),
        };
    }
    let chain = std::iter::successors(Some(error as &(dyn StdError + 'static)), |&error| {
        error.source()
    });
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    if error.is_connect()
        && texts
            .iter()
            .any(|text| text.contains("dns error") || text.contains("lookup address"))
    {
        return format!("dial tcp: lookup {host}: no such host");
    }
    if error.is_timeout() {
        return if error.is_connect() {
            format!("dial tcp {dialled}: i/o timeout")
        } else {
            "the registry stopped answering (i/o timeout)".to_owned()
        };
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => {
            format!("dial tcp {dialled}: connect: connection refused")
        }
        Some(io::ErrorKind::NetworkUnreachable) => {
            format!("dial tcp {dialled}: connect: network is unreachable")
        }
        Some(io::ErrorKind::HostUnreachable) => {
            format!("dial tcp {dialled}: connect: no route to host")
        }
        Some(io::ErrorKind::ConnectionReset) => "read: connection reset by peer".to_owned(),
        _ => texts.last().cloned().unwrap_or_default(),
    }
}

/// Looks for an error of one type in the chain, and inside `io::Error`s, which hide theirs.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(inner) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            && let Some(found) = find::<T>(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Kind;

    fn said(status: u16, body: &str) -> (Kind, String) {
        let reference = Reference::parse("localhost:5000/x:1").unwrap();
        let error = refused(
            Action::Pull,
            StatusCode::from_u16(status).unwrap(),
            body.as_bytes(),
            &reference,
        );
        (error.kind(), error.to_string())
    }

    #[test]
    fn failures_are_told_in_dockers_words() {
        assert_eq!(
            said(
                404,
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#
            ),
            (
                Kind::NotFound,
                "manifest for localhost:5000/x:1 not found: manifest unknown: manifest unknown"
                    .into()
            )
        );
        assert_eq!(
            said(401, r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#),
            (
                Kind::NotFound,
                "pull access denied for localhost:5000/x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied".into()
            )
        );
        assert_eq!(
            said(
                429,
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#
            ),
            (
                Kind::Network,
                "toomanyrequests: You have reached your pull rate limit.".into()
            )
        );
        assert_eq!(
            said(500, "<html>oops"),
            (
                Kind::Network,
                "received unexpected HTTP status: 500 Internal Server Error".into()
            )
        );
        assert_eq!(said(404, "").0, Kind::NotFound);
        assert_eq!(said(403, "").0, Kind::NotFound);
    }
}
