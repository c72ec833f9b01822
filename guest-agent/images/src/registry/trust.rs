//! Which certificates are believed.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::settings::Registries;
use crate::{Error, Result};

/// Where systems keep their bundle of authorities.
const USUAL: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// Where Docker looks for the authorities of single registries: `HOST[:PORT]/*.crt`.
const FOR_ONE: &str = "/etc/docker/certs.d";

/// The TLS settings for one registry. Without any bundle no certificate is believed, and the
/// handshake says so.
pub(super) fn config(
    insecure: bool,
    authority: Option<&str>,
    settings: &Registries,
) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Network(format!("set up TLS: {error}")))?;
    let mut config = if insecure {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anything(provider)))
    } else {
        builder.with_root_certificates(roots(authority, settings)?)
    }
    .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(authority: Option<&str>, settings: &Registries) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let bundles = &settings.ca_bundles;
    let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let usual = named.iter().map(|path| &**path);
    if bundles.is_empty()
        && let Some(bytes) = usual
            .chain(USUAL.map(Path::new))
            .find_map(|path| std::fs::read(path).ok())
    {
        add(&mut store, &bytes);
    }
    for path in bundles {
        add(
            &mut store,
            &std::fs::read(path).map_err(Error::io("read", path))?,
        );
    }
    add(&mut store, settings.certificates.as_bytes());
    let own = authority.map(|authority| Path::new(FOR_ONE).join(authority));
    for file in own
        .and_then(|path| path.read_dir().ok())
        .into_iter()
        .flatten()
    {
        let path = file.map_err(Error::io("list", Path::new(FOR_ONE)))?.path();
        if path.extension().is_some_and(|extension| extension == "crt") {
            let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
            add(&mut store, &bytes);
        }
    }
    Ok(store)
}

/// Bundles hold the odd certificate that no library takes; the others count.
fn add(store: &mut RootCertStore, pem: &[u8]) {
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
}

/// Believes anyone: for registries that the person declared insecure.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
