//! Which certificates are believed, shown by a real TLS server.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;

use super::*;

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
            ::tests::steps::skip("openssl cannot make a certificate here");
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

    async fn ping(&self, insecure: bool, ca_bundles: Vec<PathBuf>) -> Result<HeaderMap> {
        ping(self.port, insecure, ca_bundles).await
    }
}

/// Asks over HTTPS at a port of this computer.
async fn ping(port: u16, insecure: bool, ca_bundles: Vec<PathBuf>) -> Result<HeaderMap> {
    let authority = format!("127.0.0.1:{port}");
    let access = Access {
        registries: crate::Registries {
            ca_bundles,
            ..crate::Registries::default()
        },
        ..Access::default()
    };
    let place = Place {
        scheme: "https",
        dial: authority.clone(),
        authority,
    };
    let candidate = Candidate {
        places: vec![place.clone()],
        local: true,
        insecure,
        mirror: false,
    };
    let http = client::build(&candidate, &access)?;
    super::ping(&http, &place).await
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

#[tokio::test]
async fn a_registry_without_tls_is_told_as_docker_does() {
    use std::io::{Read as _, Write as _};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 1024]).unwrap();
        client
            .write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request\n")
            .unwrap();
    });
    let error = ping(port, false, Vec::new()).await.unwrap_err();
    server.join().unwrap();
    let words = format!(
        "Get \"https://127.0.0.1:{port}/v2/\": http: server gave HTTP response to HTTPS client"
    );
    assert_eq!(error.to_string(), words);
}
