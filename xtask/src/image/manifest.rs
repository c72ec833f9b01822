//! `manifest.json`: what an image holds, how large and with which digests; and what it would weigh
//! as a download.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{FILES, Inputs, read, sha256, write as write_file};
use crate::arch::Arch;
use crate::progress::say;

/// The manifest's file name.
pub(crate) const NAME: &str = "manifest.json";
/// The changes of this file's form are counted here.
const FORMAT: u32 = 1;
/// As the download would be packed.
const DOWNLOAD_LEVEL: i32 = 19;

/// Writes the manifest of the image in a directory; its presence says that the image is whole.
pub(crate) fn write(directory: &Path, arch: Arch, inputs: &Inputs, kernel: &str) -> Result<()> {
    let mut files = serde_json::Map::new();
    for name in FILES {
        let bytes = read(&directory.join(name))?;
        files.insert(
            name.to_owned(),
            json!({ "sha256": sha256(&bytes), "size": bytes.len() }),
        );
    }
    let mut packages = serde_json::Map::new();
    for package in inputs.packages.iter().chain([&inputs.kernel]) {
        packages.insert(package.name.clone(), json!(package.version));
    }
    let manifest = json!({
        "format": FORMAT,
        "version": env!("CARGO_PKG_VERSION"),
        "architecture": arch.debian(),
        "kernel": kernel,
        "files": files,
        "packages": packages,
        "inputs": inputs.digest,
    });
    write_file(
        &directory.join(NAME),
        (serde_json::to_string_pretty(&manifest)? + "\n").as_bytes(),
    )
}

/// Removes the manifest, and with it the claim that the image is whole.
pub(crate) fn remove(directory: &Path) -> Result<()> {
    let path = directory.join(NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Whether the image in a directory was made from these inputs and is all there.
pub(crate) fn is_current(directory: &Path, inputs: &str) -> bool {
    let Ok(manifest) = load(directory) else {
        return false;
    };
    manifest["inputs"] == inputs
        && FILES.iter().all(|name| {
            fs::metadata(directory.join(name))
                .is_ok_and(|file| manifest["files"][name]["size"] == file.len())
        })
}

fn load(directory: &Path) -> Result<Value> {
    serde_json::from_slice(&read(&directory.join(NAME))?).context("reading the image's manifest")
}

/// Prints each file's size as it is and as a download, and the sum.
pub(crate) fn print_sizes(directory: &Path) -> Result<()> {
    let manifest = load(directory)?;
    say(format_args!(
        "{:<16}{:>10}{:>12}",
        "image", "bytes", "download"
    ));
    let mut total = (0, 0);
    for name in FILES {
        let bytes = read(&directory.join(name))?;
        let packed = if name.ends_with(".zst") {
            bytes.len()
        } else {
            zstd::bulk::compress(&bytes, DOWNLOAD_LEVEL)
                .with_context(|| format!("packing {name}"))?
                .len()
        };
        say(format_args!(
            "{name:<16}{:>10}{:>12}",
            megabytes(bytes.len()),
            megabytes(packed)
        ));
        total = (total.0 + bytes.len(), total.1 + packed);
    }
    say(format_args!(
        "{:<16}{:>10}{:>12}   (aim: 40 MB)",
        "total",
        megabytes(total.0),
        megabytes(total.1)
    ));
    say(format_args!(
        "kernel {}, in {}",
        manifest["kernel"].as_str().unwrap_or("?"),
        directory.display()
    ));
    Ok(())
}

fn megabytes(bytes: usize) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
