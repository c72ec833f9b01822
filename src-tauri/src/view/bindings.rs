//! The TypeScript twins of the types here, compared with what is checked in.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ts_rs::{Config, TS};

use crate::removal::{Removal, Removed};

use super::{About, ContainerDetail, LogBatch, PullEvent, RunSpec, WindowEvent};

fn files(dir: &Path) -> BTreeMap<PathBuf, String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return BTreeMap::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "ts"))
        .map(|path| {
            let name = PathBuf::from(path.file_name().unwrap());
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

#[test]
fn bindings_are_up_to_date() {
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/src/lib/bindings");
    let fresh = std::env::temp_dir().join(format!("slipway-bindings-{}", std::process::id()));
    let config = Config::new().with_large_int("number").with_out_dir(&fresh);
    About::export_all(&config).unwrap();
    ContainerDetail::export_all(&config).unwrap();
    LogBatch::export_all(&config).unwrap();
    PullEvent::export_all(&config).unwrap();
    Removal::export_all(&config).unwrap();
    Removed::export_all(&config).unwrap();
    RunSpec::export_all(&config).unwrap();
    WindowEvent::export_all(&config).unwrap();

    let wanted = files(&fresh);
    std::fs::remove_dir_all(&fresh).unwrap();
    assert!(
        wanted.len() > 10,
        "only {} types were exported",
        wanted.len()
    );
    if std::env::var_os("UPDATE_BINDINGS").is_some() {
        std::fs::create_dir_all(&checked_in).unwrap();
        for old in files(&checked_in).keys() {
            std::fs::remove_file(checked_in.join(old)).unwrap();
        }
        for (name, text) in &wanted {
            std::fs::write(checked_in.join(name), text).unwrap();
        }
    }
    assert!(
        files(&checked_in) == wanted,
        "ui/src/lib/bindings differs from the Rust types: run \
         `UPDATE_BINDINGS=1 cargo test -p slipway-desktop bindings`"
    );
}
