//! An image of the system's busybox, as `docker save` would write it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// Writes the archive; the image's name is `busybox:latest`.
pub(crate) fn write(path: &Path) -> io::Result<()> {
    let layer = layer()?;
    let layer_digest = digest(&layer);
    let config = serde_json::json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "test"}],
    })
    .to_string();
    let config_name = format!("{}.json", digest(config.as_bytes()));
    let layer_name = format!("{layer_digest}/layer.tar");
    let manifest = serde_json::json!([{
        "Config": config_name, "RepoTags": ["busybox:latest"], "Layers": [layer_name],
    }]);
    let mut archive = Builder::new(File::create(path)?);
    file(&mut archive, &config_name, 0o644, config.as_bytes())?;
    file(&mut archive, &layer_name, 0o644, &layer)?;
    file(
        &mut archive,
        "manifest.json",
        0o644,
        manifest.to_string().as_bytes(),
    )?;
    archive.finish()
}

fn layer() -> io::Result<Vec<u8>> {
    let busybox = super::engine::in_path("busybox").map_err(io::Error::other)?;
    let applets = Command::new(&busybox).arg("--list").output()?.stdout;
    let mut layer = Builder::new(Vec::new());
    for (name, mode) in [
        ("bin", 0o755),
        ("etc", 0o755),
        ("tmp", 0o1777),
        ("root", 0o700),
    ] {
        entry(&mut layer, name, EntryType::Directory, mode, "")?;
    }
    file(&mut layer, "bin/busybox", 0o755, &std::fs::read(&busybox)?)?;
    for applet in String::from_utf8_lossy(&applets).lines() {
        if applet != "busybox" {
            entry(
                &mut layer,
                &format!("bin/{applet}"),
                EntryType::Symlink,
                0o777,
                "busybox",
            )?;
        }
    }
    let users = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
    file(&mut layer, "etc/passwd", 0o644, users)?;
    file(
        &mut layer,
        "etc/group",
        0o644,
        b"root:x:0:\nnobody:x:65534:\n",
    )?;
    layer.into_inner()
}

fn entry<W: io::Write>(
    archive: &mut Builder<W>,
    name: &str,
    kind: EntryType,
    mode: u32,
    link: &str,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(0);
    if link.is_empty() {
        archive.append_data(&mut header, name, io::empty())
    } else {
        archive.append_link(&mut header, name, link)
    }
}

fn file<W: io::Write>(
    archive: &mut Builder<W>,
    name: &str,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes)
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
