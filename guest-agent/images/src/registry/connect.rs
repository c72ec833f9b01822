//! Finding a registry and talking to it: scheme, trust, the first contact, and single requests.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, RANGE};
use http::{HeaderMap, StatusCode};
use reqwest::{Client, Response};

use super::challenge::Challenge;
use super::retry::{self, Backoff};
use super::{errors, token};
use crate::manifest;
use crate::{Auth, Digest, Error, PullOptions, Reference, Result};

const CONNECT: Duration = Duration::from_secs(15);
/// A registry that sends nothing for this long has stalled.
const STALL: Duration = Duration::from_secs(45);
const MAX_MANIFEST: usize = 4 << 20;
const MAX_ERROR: usize = 64 << 10;
const HUB: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";

/// A registry that has answered, seen from one repository.
pub(crate) struct Registry {
    http: Client,
    reference: Reference,
    auth: Option<Auth>,
    challenge: Option<Challenge>,
    authorization: Mutex<Option<String>>,
    place: Place,
}

/// Where a registry is.
#[derive(Debug, Clone)]
struct Place {
    scheme: &'static str,
    /// `host[:port]` as the name says it.
    authority: String,
    /// `host[:port]` to dial, when that is another.
    dial: String,
}

impl Place {
    fn url(&self, path: &str) -> String {
        format!("{}://{}/v2/{path}", self.scheme, self.dial)
    }

    /// As a person would type it.
    fn shown(&self, path: &str) -> String {
        format!("{}://{}/v2/{path}", self.scheme, self.authority)
    }
}

impl Registry {
    /// Makes contact: finds out whether the registry speaks HTTPS or, where that is allowed, plain
    /// HTTP, and what it wants to see.
    pub(crate) async fn connect(reference: &Reference, options: &PullOptions) -> Result<Self> {
        let authority = if reference.domain() == HUB {
            HUB_HOST
        } else {
            reference.domain()
        };
        let local = is_local(authority);
        let insecure = local
            || options
                .insecure
                .iter()
                .any(|allowed| allowed == authority || allowed == host(authority));
        let schemes: &[&'static str] = match (local, insecure) {
            (true, _) => &["http", "https"],
            (_, true) => &["https", "http"],
            _ => &["https"],
        };
        let dial = match options.localhost_alias {
            Some(alias) if local => with_host(authority, alias),
            _ => authority.to_owned(),
        };
        let http = client(local, insecure, options)?;
        let mut first_failure = None;
        for scheme in schemes {
            let place = Place {
                scheme,
                authority: authority.to_owned(),
                dial: dial.clone(),
            };
            match ping(&http, &place).await {
                Ok(headers) => {
                    return Ok(Self {
                        http,
                        reference: reference.clone(),
                        auth: options.auth.clone(),
                        challenge: Challenge::find(&headers),
                        authorization: Mutex::default(),
                        place,
                    });
                }
                Err(error) => first_failure = first_failure.or(Some(error)),
            }
        }
        Err(first_failure.unwrap_or(Error::Interrupted))
    }

    /// Fetches a manifest or index by tag or digest, with the digest of its bytes.
    pub(crate) async fn manifest(&self, tag_or_digest: &str) -> Result<(Bytes, Digest)> {
        let path = format!("{}/manifests/{tag_or_digest}", self.reference.path());
        let mut headers = HeaderMap::new();
        for media_type in manifest::ACCEPT {
            headers.append(ACCEPT, http::HeaderValue::from_static(media_type));
        }
        let bytes = self.document(&path, &headers, MAX_MANIFEST).await?;
        let digest = Digest::of(&bytes);
        if Digest::parse(tag_or_digest).is_ok_and(|asked| asked != digest) {
            return Err(Error::invalid(format!(
                "manifest verification failed for digest {tag_or_digest}"
            )));
        }
        Ok((bytes, digest))
    }

    /// Fetches a small blob whole, verified.
    pub(crate) async fn small_blob(&self, digest: &Digest, limit: usize) -> Result<Bytes> {
        let path = self.blob_path(digest);
        let bytes = self.document(&path, &HeaderMap::new(), limit).await?;
        if Digest::of(&bytes) != *digest {
            return Err(Error::invalid(format!(
                "image config verification failed for digest {digest}"
            )));
        }
        Ok(bytes)
    }

    /// Starts fetching a blob from an offset, once. The answer may begin at zero all the same.
    pub(super) async fn blob(&self, digest: &Digest, offset: u64) -> Result<Response, Failure> {
        let mut headers = HeaderMap::new();
        if offset > 0
            && let Ok(range) = format!("bytes={offset}-").parse()
        {
            headers.insert(RANGE, range);
        }
        self.once(&self.blob_path(digest), &headers).await
    }

    fn blob_path(&self, digest: &Digest) -> String {
        format!("{}/blobs/{digest}", self.reference.path())
    }

    /// A request for something small, with retries.
    async fn document(&self, path: &str, headers: &HeaderMap, limit: usize) -> Result<Bytes> {
        let mut backoff = Backoff::default();
        loop {
            let failure = match self.once(path, headers).await {
                Ok(response) => match body(response, limit).await {
                    Ok(bytes) => return Ok(bytes),
                    Err(Ok(error)) => Failure::passing(self.unreachable(path, &error)),
                    Err(Err(error)) => return Err(error),
                },
                Err(failure) => failure,
            };
            match failure.wait(&mut backoff) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(failure.error),
            }
        }
    }

    /// One request, answering the registry's challenge when it has one.
    async fn once(&self, path: &str, headers: &HeaderMap) -> Result<Response, Failure> {
        let mut fresh = false;
        loop {
            let authorization = match self.authorization() {
                Some(known) => Some(known),
                None => {
                    fresh = true;
                    self.authorize().await.map_err(Failure::of)?
                }
            };
            let mut request = self.http.get(self.place.url(path)).headers(headers.clone());
            if self.place.dial != self.place.authority {
                request = request.header(HOST, &self.place.authority);
            }
            if let Some(authorization) = &authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return Err(Failure::passing(self.unreachable(path, &error))),
            };
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if status == StatusCode::UNAUTHORIZED && authorization.is_some() && !fresh {
                // A long pull outlives its token.
                *self
                    .authorization
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = None;
                continue;
            }
            let asked = retry::asked(response.headers());
            let no_credentials = status == StatusCode::UNAUTHORIZED && authorization.is_none();
            let basic = self.challenge == Some(Challenge::Basic);
            let text = body(response, MAX_ERROR).await.unwrap_or_default();
            let error = if no_credentials && basic {
                Error::Unauthorized(format!(
                    "Get {:?}: no basic auth credentials",
                    self.place.shown(path)
                ))
            } else {
                errors::refused(status, &text, &self.reference)
            };
            return Err(Failure {
                error,
                temporary: retry::is_temporary(status),
                asked,
            });
        }
    }

    fn authorization(&self) -> Option<String> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn authorize(&self) -> Result<Option<String>> {
        let Some(challenge) = &self.challenge else {
            return Ok(None);
        };
        let encrypted = self.place.scheme == "https";
        let answer = token::authorize(
            &self.http,
            challenge,
            self.auth.as_ref(),
            &self.reference,
            encrypted,
        )
        .await?;
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&answer);
        Ok(answer)
    }

    pub(super) fn unreachable(&self, path: &str, error: &reqwest::Error) -> Error {
        errors::unreachable(&self.place.shown(path), &self.place.authority, error)
    }
}

/// A failed try.
pub(super) struct Failure {
    pub(super) error: Error,
    temporary: bool,
    asked: Option<Duration>,
}

impl Failure {
    /// One that the next try may not meet.
    pub(super) fn passing(error: Error) -> Self {
        Self {
            error,
            temporary: true,
            asked: None,
        }
    }

    /// One that every try would meet.
    pub(super) fn lasting(error: Error) -> Self {
        Self {
            error,
            temporary: false,
            asked: None,
        }
    }

    fn of(error: Error) -> Self {
        let temporary = matches!(error, Error::Network(_));
        Self {
            error,
            temporary,
            asked: None,
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

/// The first contact. A registry that cannot be reached at all is told at once, without retries.
async fn ping(http: &Client, place: &Place) -> Result<HeaderMap> {
    let mut backoff = Backoff::default();
    loop {
        let mut request = http.get(place.url(""));
        if place.dial != place.authority {
            request = request.header(HOST, &place.authority);
        }
        let response = request
            .send()
            .await
            .map_err(|error| errors::unreachable(&place.shown(""), &place.authority, &error))?;
        let status = response.status();
        if place.scheme == "http" && status == StatusCode::BAD_REQUEST {
            // A TLS server's answer to plain HTTP.
            return Err(Error::Network(format!(
                "Get {:?}: the server does not speak plain HTTP",
                place.shown("")
            )));
        }
        if retry::is_temporary(status)
            && let Some(wait) = backoff.next(retry::asked(response.headers()))
        {
            tokio::time::sleep(wait).await;
            continue;
        }
        return Ok(response.headers().clone());
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

fn client(local: bool, insecure: bool, options: &PullOptions) -> Result<Client> {
    let tls = super::trust::config(insecure, &options.ca_bundles)?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        // One connection a layer beats streams that share one window.
        .http1_only()
        .connect_timeout(CONNECT)
        .read_timeout(STALL)
        .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")));
    if local {
        let address = options
            .localhost_alias
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        builder = builder
            .no_proxy()
            .resolve("localhost", SocketAddr::new(address, 0));
    }
    builder
        .build()
        .map_err(|error| Error::Network(format!("set up the registry client: {error}")))
}

fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    }
}

/// The names that Docker lets speak plain HTTP unasked.
fn is_local(authority: &str) -> bool {
    let host = host(authority);
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn with_host(authority: &str, address: IpAddr) -> String {
    let port = authority.strip_prefix('[').map_or_else(
        || authority.rsplit_once(':').map(|(_, port)| port),
        |rest| rest.rsplit_once("]:").map(|(_, port)| port),
    );
    let address = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    port.map_or_else(|| address.clone(), |port| format!("{address}:{port}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stderr)]
    use super::*;

    #[test]
    fn local_registries_are_known() {
        for local in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
        ] {
            assert!(is_local(local), "{local}");
        }
        for other in [
            "registry-1.docker.io",
            "128.0.0.1:5000",
            "localhost.example",
            "10.0.2.2:5000",
        ] {
            assert!(!is_local(other), "{other}");
        }
    }

    #[test]
    fn the_alias_takes_the_port_along() {
        let alias = "10.0.2.2".parse().unwrap();
        assert_eq!(with_host("localhost:5000", alias), "10.0.2.2:5000");
        assert_eq!(with_host("127.0.0.1", alias), "10.0.2.2");
        assert_eq!(with_host("[::1]:5000", alias), "10.0.2.2:5000");
        assert_eq!(
            with_host("localhost:1", "fd00::1".parse().unwrap()),
            "[fd00::1]:1"
        );
    }

    /// A TLS server of `openssl` with a certificate of its own making.
    struct TlsServer {
        process: std::process::Child,
        home: tempfile::TempDir,
        port: u16,
    }

    impl TlsServer {
        fn start() -> Option<Self> {
            let home = tempfile::tempdir().unwrap();
            let port = std::net::TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let openssl = || {
                let mut command = std::process::Command::new("openssl");
                command
                    .current_dir(home.path())
                    .stdin(std::process::Stdio::null());
                command
                    .stdout(std::process::Stdio::null())
                    .stderr(std::process::Stdio::null());
                command
            };
            let made = openssl()
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                ])
                .args([
                    "-keyout",
                    "key.pem",
                    "-out",
                    "ca.pem",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=slipway test",
                ])
                .args([
                    "-addext",
                    "subjectAltName=IP:127.0.0.1",
                    "-addext",
                    "basicConstraints=critical,CA:false",
                ])
                .status();
            if !made.is_ok_and(|status| status.success()) {
                eprintln!("SKIPPED: openssl cannot make a certificate here");
                return None;
            }
            let address = format!("127.0.0.1:{port}");
            let process = openssl()
                .args([
                    "s_server", "-quiet", "-www", "-cert", "ca.pem", "-key", "key.pem", "-accept",
                    &address,
                ])
                .spawn()
                .unwrap();
            let server = Self {
                process,
                home,
                port,
            };
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(
                    std::time::Instant::now() < deadline,
                    "openssl does not listen"
                );
                std::thread::yield_now();
            }
            Some(server)
        }

        async fn ping(
            &self,
            insecure: bool,
            ca_bundles: Vec<std::path::PathBuf>,
        ) -> Result<HeaderMap> {
            let options = PullOptions {
                ca_bundles,
                ..PullOptions::default()
            };
            let http = client(true, insecure, &options)?;
            let authority = format!("127.0.0.1:{}", self.port);
            ping(
                &http,
                &Place {
                    scheme: "https",
                    dial: authority.clone(),
                    authority,
                },
            )
            .await
        }
    }

    impl Drop for TlsServer {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    #[tokio::test]
    async fn only_known_authorities_are_believed() {
        let Some(server) = TlsServer::start() else {
            return;
        };
        server
            .ping(false, vec![server.home.path().join("ca.pem")])
            .await
            .unwrap();
        server.ping(true, Vec::new()).await.unwrap();
        let error = server.ping(false, Vec::new()).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("tls: failed to verify certificate"),
            "{error}"
        );
        let missing = server
            .ping(false, vec!["/nonexistent.pem".into()])
            .await
            .unwrap_err();
        assert!(
            missing.to_string().contains("/nonexistent.pem"),
            "{missing}"
        );
    }
}
