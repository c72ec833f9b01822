//! Sending blobs and manifests: only what is missing, taken over from another repository where
//! possible, and resumed where a connection broke.

use std::io::SeekFrom;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Body, Url};
use tokio::io::AsyncSeekExt as _;
use tokio_util::io::ReaderStream;

use super::connect::Registry;
use super::request::{Ask, Failure};
use super::retry::Backoff;
use crate::manifest::Descriptor;
use crate::{Digest, Error, Result};

const BINARY: &str = "application/octet-stream";
/// Read from the disk at once.
const PIECE: usize = 256 * 1024;

/// How a blob got into a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// It was taken over from another repository.
    Mounted,
    /// It is to be sent.
    Wanted,
}

/// A blob on its way out.
pub(crate) struct Upload<'a> {
    pub(crate) digest: &'a Digest,
    pub(crate) path: &'a Path,
    pub(crate) size: u64,
    /// Counts what was sent.
    pub(crate) sent: Arc<AtomicU64>,
}

impl Registry {
    /// Whether the repository has a blob.
    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let ask = Ask::new(Method::HEAD, self.blob_path(digest));
        match self.headers(&ask).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => Ok(false),
            Err(failure) => Err(failure.error),
        }
    }

    /// Asks to take a blob over from another repository of the registry; what else could be done
    /// is left to the caller.
    pub(crate) async fn mount(&self, digest: &Digest, from: &str) -> Result<Started> {
        let path = format!(
            "{}?mount={digest}&from={}",
            self.uploads(),
            super::token::encoded(from)
        );
        match self.headers(&Ask::new(Method::POST, path)).await {
            Ok((StatusCode::CREATED, _)) => Ok(Started::Mounted),
            Ok((_, headers)) => {
                self.cancel(&headers).await;
                Ok(Started::Wanted)
            }
            Err(failure) if failure.status.is_some() => Ok(Started::Wanted),
            Err(failure) => Err(failure.error),
        }
    }

    /// Sends a small blob.
    pub(crate) async fn put_small(&self, digest: &Digest, bytes: Bytes) -> Result<()> {
        let begun = self
            .headers(&Ask::new(Method::POST, self.uploads()))
            .await?;
        let url = commit_url(self.location(&begun.1)?, digest);
        let ask = Ask::new(Method::PUT, url).with(BINARY, bytes);
        self.headers(&ask).await?;
        Ok(())
    }

    /// Brings a blob over from another registry, without keeping it. The registry checks its digest.
    pub(crate) async fn copy_blob(&self, from: &Self, blob: &Descriptor) -> Result<()> {
        let begun = self
            .headers(&Ask::new(Method::POST, self.uploads()))
            .await?;
        let content = from.blob(&blob.digest, 0).await?;
        let mut ask = Ask::new(
            Method::PUT,
            commit_url(self.location(&begun.1)?, &blob.digest),
        );
        describe(&mut ask.headers, 0, blob.size);
        let body = Body::wrap_stream(content.bytes_stream());
        let sent = self.request(&ask)?.body(body).send().await;
        let response = sent.map_err(|error| self.unreachable(&ask, &error))?;
        if !response.status().is_success() {
            return Err(self.refusal(&ask, response, true).await.error);
        }
        Ok(())
    }

    /// Sends a blob from a file.
    pub(crate) async fn put_blob(&self, upload: &Upload<'_>) -> Result<()> {
        let mut backoff = Backoff::default();
        let mut place: Option<(Url, u64)> = None;
        loop {
            let before = upload.sent.load(Ordering::Relaxed);
            let failure = match self.send(upload, &mut place).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if upload.sent.load(Ordering::Relaxed) > before {
                backoff.progressed();
            }
            let Some(wait) = failure.wait(&mut backoff) else {
                return Err(failure.error);
            };
            tracing::debug!(digest = %upload.digest, error = %failure.error, ?wait, "upload interrupted");
            tokio::time::sleep(wait).await;
            // The registry knows how far it got; when it does not, the upload begins again.
            if let Some((url, _)) = place.take() {
                place = self.progress_of(url).await;
            }
        }
    }

    /// One try, from where the last one ended.
    async fn send(
        &self,
        upload: &Upload<'_>,
        place: &mut Option<(Url, u64)>,
    ) -> Result<(), Failure> {
        let (url, offset) = match place.clone() {
            Some(known) => known,
            None => {
                let (_, headers) = self
                    .headers(&Ask::new(Method::POST, self.uploads()))
                    .await?;
                let url = self.location(&headers).map_err(Failure::lasting)?;
                *place = Some((url.clone(), 0));
                (url, 0)
            }
        };
        upload.sent.store(offset, Ordering::Relaxed);
        let mut ask = Ask::new(Method::PATCH, url.to_string());
        describe(&mut ask.headers, offset, upload.size);
        let body = content(upload, offset).await.map_err(Failure::lasting)?;
        let sent = self.request(&ask)?.body(body).send().await;
        let response = sent.map_err(|error| Failure::passing(self.unreachable(&ask, &error)))?;
        if !response.status().is_success() {
            return Err(self.refusal(&ask, response, true).await);
        }
        let next = self.location(response.headers());
        let next = next.map_err(Failure::lasting)?;
        *place = Some((next.clone(), upload.size));
        let finish = Ask::new(Method::PUT, commit_url(next, upload.digest));
        self.once(&finish).await.map(|_| ())
    }

    /// Where an upload goes on.
    async fn progress_of(&self, url: Url) -> Option<(Url, u64)> {
        let ask = Ask::get(url.to_string());
        let (_, headers) = self.headers(&ask).await.ok()?;
        let range = headers.get(RANGE)?.to_str().ok()?;
        let last: u64 = range.rsplit_once('-')?.1.parse().ok()?;
        let next = self.location(&headers).unwrap_or(url);
        // An empty upload is told as 0-0, too.
        (last > 0).then_some((next, last + 1))
    }

    async fn cancel(&self, headers: &HeaderMap) {
        if let Ok(url) = self.location(headers) {
            // The registry forgets it by itself in time.
            let _ = self.once(&Ask::new(Method::DELETE, url)).await;
        }
    }

    /// Gives the repository a manifest.
    pub(crate) async fn put_manifest(
        &self,
        tag_or_digest: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<()> {
        let path = format!("{}/manifests/{tag_or_digest}", self.reference.path());
        let ask = Ask::new(Method::PUT, path).with(media_type, bytes);
        self.headers(&ask).await?;
        Ok(())
    }

    fn uploads(&self) -> String {
        format!("{}/blobs/uploads/", self.reference.path())
    }
}

fn commit_url(mut url: Url, digest: &Digest) -> String {
    url.query_pairs_mut()
        .append_pair("digest", &digest.to_string());
    url.to_string()
}

fn describe(headers: &mut HeaderMap, offset: u64, size: u64) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(BINARY));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size - offset));
    // A whole blob needs no range, and some registries want none.
    if offset > 0
        && let Ok(range) = HeaderValue::from_str(&format!("{offset}-{}", size - 1))
    {
        headers.insert(CONTENT_RANGE, range);
    }
}

async fn content(upload: &Upload<'_>, offset: u64) -> Result<Body> {
    let failed = |action| Error::io(action, upload.path);
    let mut file = tokio::fs::File::open(upload.path)
        .await
        .map_err(failed("open"))?;
    file.seek(SeekFrom::Start(offset))
        .await
        .map_err(failed("read"))?;
    let sent = Arc::clone(&upload.sent);
    let pieces = ReaderStream::with_capacity(file, PIECE).inspect(move |piece| {
        if let Ok(piece) = piece {
            sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    });
    Ok(Body::wrap_stream(pieces))
}
