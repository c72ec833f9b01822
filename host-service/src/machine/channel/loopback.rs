//! Channels over the loopback interface, for systems where QEMU has no sockets in the file system. All
//! of this computer's users reach them there, and so do containers, through the machine's network. So
//! QEMU and slipwayd speak TLS, and each shows the other a certificate that was made for this machine.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Channel, KEYS};
use crate::machine::disk;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How long QEMU may take to answer. While somebody else is connected, it does not.
const PATIENCE: Duration = Duration::from_secs(4);

/// QEMU's names for what it reads.
const AUTHORITY: &str = "ca-cert.pem";
const SERVER: [&str; 2] = ["server-cert.pem", "server-key.pem"];
/// And ours.
const CLIENT: [&str; 2] = ["client-cert.pem", "client-key.pem"];

/// A port that was free a moment ago. If another program takes it first, QEMU says so and the start is
/// tried again.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((HERE, 0))?.local_addr()?.port())
}

/// Makes the certificates of a new machine, in a folder that only this person can read. The key that
/// signs them is forgotten: there will be no others.
pub(super) fn make_keys(folder: &Path) -> io::Result<()> {
    remove_keys(folder);
    fs::create_dir_all(folder)?;
    let authority = Authority::new().map_err(io::Error::other)?;
    write(folder, AUTHORITY, &authority.certificate)?;
    for (names, usage) in [
        (SERVER, ExtendedKeyUsagePurpose::ServerAuth),
        (CLIENT, ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let texts = authority.certify(usage).map_err(io::Error::other)?;
        for (name, text) in names.into_iter().zip(texts) {
            write(folder, name, &text)?;
        }
    }
    Ok(())
}

/// The machine has ended.
pub(super) fn remove_keys(folder: &Path) {
    // They may be gone already, and open nothing any more.
    let _ = fs::remove_dir_all(folder);
}

/// What QEMU is told of them, as `-object`.
pub(crate) fn credentials(folder: &Path) -> String {
    let folder = super::escape(folder);
    format!("tls-creds-x509,id={KEYS},dir={folder},endpoint=server,verify-peer=on")
}

/// Connects to QEMU, which shows that it is the one that was started with these keys.
pub(super) async fn connect(port: u16, folder: &Path) -> io::Result<Box<dyn Channel>> {
    let connector = TlsConnector::from(Arc::new(configuration(folder)?));
    let connecting = async {
        let stream = TcpStream::connect((HERE, port)).await?;
        stream.set_nodelay(true)?;
        connector.connect(ServerName::from(HERE), stream).await
    };
    let connected = tokio::time::timeout(PATIENCE, connecting).await;
    let stream = connected.map_err(|_| {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("nobody answers at port {port}, or another program is connected to it"),
        )
    })??;
    Ok(Box::new(stream))
}

fn configuration(folder: &Path) -> io::Result<ClientConfig> {
    let pem = |name: &str| fs::read(folder.join(name));
    let unreadable = |error: rustls::pki_types::pem::Error| {
        io::Error::new(io::ErrorKind::InvalidData, error.to_string())
    };
    let certificate = |name| CertificateDer::from_pem_slice(&pem(name)?).map_err(unreadable);
    let mut roots = RootCertStore::empty();
    roots
        .add(certificate(AUTHORITY)?)
        .map_err(io::Error::other)?;
    let [shown, key] = CLIENT;
    let key = PrivateKeyDer::from_pem_slice(&pem(key)?).map_err(unreadable)?;
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate(shown)?], key)
        .map_err(io::Error::other)
}

/// Signs the two ends' certificates.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut about = about("Slipway machine");
        about.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        about.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = about.self_signed(&key)?.pem();
        let issuer = Issuer::new(about, key);
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// A certificate for one purpose, and its key.
    fn certify(&self, usage: ExtendedKeyUsagePurpose) -> Result<[String; 2], rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut about = about("Slipway channel");
        about.is_ca = IsCa::ExplicitNoCa;
        about.subject_alt_names = vec![SanType::IpAddress(HERE)];
        about.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        about.extended_key_usages = vec![usage];
        let certificate = about.signed_by(&key, &self.issuer)?;
        Ok([certificate.pem(), key.serialize_pem()])
    }
}

fn about(name: &str) -> CertificateParams {
    let mut about = CertificateParams::default();
    about.distinguished_name.push(DnType::CommonName, name);
    about
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    disk::private(&mut options);
    options.open(folder.join(name))?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// Greets who shows a certificate of these keys, as QEMU's monitor does.
    async fn qemu(folder: &Path) -> u16 {
        let pem = |name: &str| fs::read(folder.join(name)).unwrap();
        let certificate = |name| CertificateDer::from_pem_slice(&pem(name)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate(AUTHORITY)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .unwrap();
        let [shown, key] = SERVER;
        let key = PrivateKeyDer::from_pem_slice(&pem(key)).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate(shown)], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind((HERE, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    stream.write_all(b"QMP").await.unwrap();
                }
            }
        });
        port
    }

    async fn greeted(port: u16, keys: &Path) -> io::Result<[u8; 3]> {
        let mut said = [0; 3];
        connect(port, keys).await?.read_exact(&mut said).await?;
        Ok(said)
    }

    #[tokio::test]
    async fn only_the_keys_of_the_machine_open_its_channels() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
        make_keys(&ours).unwrap();
        make_keys(&theirs).unwrap();
        let port = qemu(&ours).await;
        assert_eq!(&greeted(port, &ours).await.unwrap(), b"QMP");
        // Another machine's keys, and a stranger that listens in QEMU's place.
        assert!(greeted(port, &theirs).await.is_err());
        // With the authority alone the other end is known, but not let in.
        fs::copy(ours.join(AUTHORITY), theirs.join(AUTHORITY)).unwrap();
        assert!(greeted(port, &theirs).await.is_err());
        assert_eq!(&greeted(port, &ours).await.unwrap(), b"QMP");
    }
}
