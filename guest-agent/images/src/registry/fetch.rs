//! A file from a plain web address, for `docker import URL`.

use futures::TryStreamExt as _;
use reqwest::Url;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use super::place::{self, Candidate};
use super::{client, errors};
use crate::{Access, Error, Result};

/// Starts fetching; what is read fails when the connection breaks.
pub async fn fetch(
    address: &str,
    access: &Access,
) -> Result<impl AsyncRead + Send + Unpin + use<>> {
    let url = Url::parse(address)
        .map_err(|error| Error::invalid(format!("invalid address {address:?}: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::invalid(format!(
            "invalid address {address:?}: only http and https are known"
        )));
    }
    let authority = url.authority().to_owned();
    let candidate = Candidate {
        insecure: false,
        ..place::registry(&authority, access)
    };
    let http = client::build(&candidate, access)?;
    let (dialled, host) = place::dialled(&url, access);
    let mut request = http.get(dialled);
    if let Some(host) = host {
        request = request.header(http::header::HOST, host);
    }
    let response = request
        .send()
        .await
        .map_err(|error| errors::unreachable("Get", address, &authority, &error))?;
    if !response.status().is_success() {
        return Err(Error::Network(format!(
            "Got HTTP status code >= 400: {}",
            response.status()
        )));
    }
    let content = response.bytes_stream().map_err(std::io::Error::other);
    Ok(StreamReader::new(Box::pin(content)))
}
