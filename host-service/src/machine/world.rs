//! How this computer reaches the world: its proxies, and the authorities that were added to the usual
//! ones. The engine reaches registries the same way.

use std::path::{Path, PathBuf};

use link::control::FromHost;

/// Where administrators of Debian's and Red Hat's families put authorities of their own.
const ADDED: [&str; 2] = [
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
];
/// More than this does not fit into a message.
const LARGEST: usize = 160 * 1024;

/// What the engine is told.
pub(super) fn describe() -> FromHost {
    FromHost::Network {
        http_proxy: variable("http_proxy"),
        https_proxy: variable("https_proxy"),
        no_proxy: variable("no_proxy"),
        certificates: certificates(),
    }
}

/// A variable in the small or large letters that programs use for it.
fn variable(name: &str) -> String {
    let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    get(name)
        .or_else(|| get(&name.to_uppercase()))
        .unwrap_or_default()
}

fn certificates() -> String {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut files: Vec<PathBuf> = named.into_iter().collect();
    files.extend(ADDED.iter().flat_map(|folder| added(Path::new(folder))));
    let mut text = String::new();
    for file in files {
        match std::fs::read_to_string(&file) {
            Ok(pem) if text.len() + pem.len() <= LARGEST => {
                text += &pem;
                text.push('\n');
            }
            Ok(_) => tracing::warn!(file = %file.display(), "too many authorities: left out"),
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "an authority cannot be read");
            }
        }
    }
    text
}

fn added(folder: &Path) -> Vec<PathBuf> {
    let files = folder.read_dir().into_iter().flatten();
    let mut files: Vec<PathBuf> = files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let kind = path.extension().and_then(|extension| extension.to_str());
            matches!(kind, Some("crt" | "pem"))
        })
        .collect();
    files.sort();
    files
}
