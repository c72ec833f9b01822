//! A real docker-registry in the engine's own network, with or without passwords and TLS.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Host;

/// A registry; it ends with this value.
pub(crate) struct Registry {
    process: Child,
    _dir: tempfile::TempDir,
    /// As in image names.
    pub(crate) address: String,
}

/// How to guard it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Guard {
    /// Ask for the user `me` with the password `secret`.
    pub(crate) password: bool,
    /// Speak TLS with a certificate of its own making.
    pub(crate) tls: bool,
}

/// `me:secret`, by bcrypt, which is all that the registry takes.
const HTPASSWD: &str = "me:$2b$05$w7o/aU.NdsnEr8mWm/V4HuWnXjw4d/bIwIwVbF0gsKvLJGBzyH1Xq\n";

impl Registry {
    /// Starts one that is reached under `127.0.0.1:PORT` from the engine's network.
    pub(crate) fn start(host: &Host, port: u16, guard: Guard) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{port}");
        let path = |name: &str| dir.path().join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\nhttp:\n  addr: '{address}'\n",
            path("data")
        );
        if guard.tls {
            certificate(dir.path());
            config += &format!(
                "  tls: {{certificate: {}, key: {}}}\n",
                path("ca.pem"),
                path("key.pem")
            );
        }
        if guard.password {
            std::fs::write(dir.path().join("htpasswd"), HTPASSWD).unwrap();
            config += &format!(
                "auth: {{htpasswd: {{realm: r, path: {}}}}}\n",
                path("htpasswd")
            );
        }
        std::fs::write(dir.path().join("config.yml"), config).unwrap();
        let process = inside(host)
            .arg(program(host))
            .arg("serve")
            .arg(dir.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self {
            process,
            _dir: dir,
            address,
        };
        host.until("the registry answers", || {
            inside(host)
                .args(["bash", "-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{port}")])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        });
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command in the engine's network.
fn inside(host: &Host) -> Command {
    let mut command = Command::new("nsenter");
    let agent = host.agent().expect("the engine runs");
    command.args(["--net", "--target", &agent.to_string(), "--"]);
    command
}

fn program(host: &Host) -> PathBuf {
    host.tools().join("usr/bin/docker-registry")
}

fn certificate(dir: &Path) {
    let made = Command::new("openssl")
        .current_dir(dir)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args([
            "-nodes", "-keyout", "key.pem", "-out", "ca.pem", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=slipway test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
}
