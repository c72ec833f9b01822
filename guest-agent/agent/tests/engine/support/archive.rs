//! Image archives in docker's format, made from this machine's busybox.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// An archive of `busybox:latest`.
pub(crate) fn busybox() -> Result<Vec<u8>, String> {
    image("busybox:latest", &json!({ "Cmd": ["sh"] }))
}

/// An archive of an image with that name and configuration.
pub(crate) fn image(name: &str, config: &Value) -> Result<Vec<u8>, String> {
    image_with_links(name, config, &[])
}

/// What a Docker before 1.10 saved of that image with a variable set above.
pub(crate) fn legacy(repository: &str, tag: &str) -> Result<Vec<u8>, String> {
    let (layer, nothing) = (layer(&[])?, Builder::new(Vec::new()).into_inner().unwrap());
    let (below, above) = ("b".repeat(64), "a".repeat(64));
    let description = |id: &str, step: &str, env: &[&str]| {
        json!({
            "id": id,
            "created": "2015-05-01T10:00:00Z",
            "container_config": { "Cmd": ["/bin/sh", "-c", format!("#(nop) {step}")] },
            "docker_version": "1.9.1",
            "config": { "Cmd": ["sh"], "Env": env },
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
        })
    };
    let mut set = description(&above, "ENV FROM", &["FROM=long ago"]);
    set["parent"] = json!(below);
    let mut archive = Builder::new(Vec::new());
    let mut put = |path: String, content: &[u8]| {
        add(&mut archive, &path, EntryType::Regular, 0o644, content);
    };
    for (id, description, layer) in [
        (&above, set, nothing),
        (&below, description(&below, "ADD", &[]), layer),
    ] {
        put(format!("{id}/VERSION"), b"1.0");
        put(format!("{id}/json"), description.to_string().as_bytes());
        put(format!("{id}/layer.tar"), &layer);
    }
    let repositories = json!({ repository: { tag: above } }).to_string();
    put("repositories".into(), repositories.as_bytes());
    Ok(archive.into_inner().unwrap())
}

/// The same with symbolic links: path and target.
pub(crate) fn image_with_links(
    name: &str,
    config: &Value,
    links: &[(&str, &str)],
) -> Result<Vec<u8>, String> {
    let layer = layer(links)?;
    let diff_id = hex(&layer);
    let document = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "created": "2024-05-01T10:00:00Z",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
        "history": [{ "created": "2024-05-01T10:00:00Z", "created_by": "busybox" }],
    });
    let document = serde_json::to_vec(&document).unwrap();
    let id = hex(&document);
    let manifest = json!([{
        "Config": format!("{id}.json"),
        "RepoTags": [name],
        "Layers": [format!("{diff_id}/layer.tar")],
    }]);
    let mut archive = Builder::new(Vec::new());
    add(
        &mut archive,
        &format!("{id}.json"),
        EntryType::Regular,
        0o644,
        &document,
    );
    add(
        &mut archive,
        &format!("{diff_id}/layer.tar"),
        EntryType::Regular,
        0o644,
        &layer,
    );
    let manifest = serde_json::to_vec(&manifest).unwrap();
    add(
        &mut archive,
        "manifest.json",
        EntryType::Regular,
        0o644,
        &manifest,
    );
    Ok(archive.into_inner().unwrap())
}

/// The files of this machine's busybox.
fn layer(links: &[(&str, &str)]) -> Result<Vec<u8>, String> {
    let program = Path::new("/bin/busybox");
    let bytes = std::fs::read(program)
        .map_err(|_| "no /bin/busybox: install the package busybox-static".to_owned())?;
    let list = Command::new(program)
        .arg("--list")
        .output()
        .map_err(|e| e.to_string())?;
    let mut layer = Builder::new(Vec::new());
    for dir in ["bin/", "etc/", "root/", "data/", "var/", "var/www/"] {
        add(&mut layer, dir, EntryType::Directory, 0o755, b"");
    }
    add(&mut layer, "tmp/", EntryType::Directory, 0o1777, b"");
    add(&mut layer, "bin/busybox", EntryType::Regular, 0o755, &bytes);
    for applet in String::from_utf8_lossy(&list.stdout)
        .lines()
        .filter(|a| *a != "busybox")
    {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        layer
            .append_link(&mut header, format!("bin/{applet}"), "busybox")
            .unwrap();
    }
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/sh\n";
    add(&mut layer, "etc/passwd", EntryType::Regular, 0o644, passwd);
    add(
        &mut layer,
        "etc/group",
        EntryType::Regular,
        0o644,
        b"root:x:0:\nwww:x:33:\n",
    );
    add(
        &mut layer,
        "data/seed",
        EntryType::Regular,
        0o644,
        b"from the image\n",
    );
    add(
        &mut layer,
        "plain",
        EntryType::Regular,
        0o644,
        b"not a program\n",
    );
    for (path, target) in links {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        layer.append_link(&mut header, path, target).unwrap();
    }
    Ok(layer.into_inner().unwrap())
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn add(tar: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, mode: u32, content: &[u8]) {
    tar.append_data(&mut header(kind, mode, content.len()), path, content)
        .unwrap();
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
