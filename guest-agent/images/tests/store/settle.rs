//! Layers that nobody waited for: what a power cut may take, and what it may not.

use std::path::{Path, PathBuf};

use images::{Digest, Store};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::fixture::{Place, Tar, TestImage, docker_archive};

const UNSETTLED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("unsettled");

fn image(content: &[u8]) -> TestImage {
    TestImage::new(vec![Tar::new().bytes("file", 0o644, content).end()])
}

/// The layers that the index says may not be on the disk, each with its note.
fn unsettled(root: &Path) -> Vec<(String, Vec<u8>)> {
    let database = Database::open(root.join("index.redb")).unwrap();
    let read = database.begin_read().unwrap();
    let table = read.open_table(UNSETTLED).unwrap();
    let rows = table.iter().unwrap().map(|row| {
        let (id, note) = row.unwrap();
        (id.value().to_owned(), note.value().to_vec())
    });
    rows.collect()
}

/// Makes the notes those of another boot of the machine.
fn restart_machine(root: &Path) {
    let rows = unsettled(root);
    let database = Database::open(root.join("index.redb")).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut table = write.open_table(UNSETTLED).unwrap();
        for (id, _) in rows {
            let note: &[u8] = br#"{"boot":"another","time":1}"#;
            table.insert(id.as_str(), note).unwrap();
        }
    }
    write.commit().unwrap();
}

fn root(home: &tempfile::TempDir) -> PathBuf {
    home.path().join("images")
}

fn layer_file(root: &Path, image: &TestImage) -> PathBuf {
    let layer = Digest::of(&image.layers[0]);
    root.join("layers").join(layer.hex()).join("file")
}

/// A store with an image that is settled, then another one of the same name that is not.
async fn place() -> (tempfile::TempDir, TestImage, TestImage) {
    let (first, second) = (image(b"first"), image(b"second"));
    let place = Place::new();
    place
        .load(&docker_archive(&[(&first, &["app:1"])]))
        .await
        .unwrap();
    place.store.settle().unwrap();
    place
        .load(&docker_archive(&[(&second, &["app:1", "only:1"])]))
        .await
        .unwrap();
    let Place { home, store } = place;
    drop(store);
    assert_eq!(unsettled(&root(&home)).len(), 1);
    (home, first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reached_the_disk_stays_after_a_power_cut() {
    let (home, _, second) = place().await;
    restart_machine(&root(&home));
    let store = Store::open(&root(&home)).unwrap();
    assert_eq!(store.resolve("app:1").unwrap().id, second.id());
    assert_eq!(store.resolve("only:1").unwrap().id, second.id());
    assert!(store.check(true).unwrap().findings.is_empty());
    drop(store);
    assert_eq!(unsettled(&root(&home)), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_a_power_cut_damaged_is_let_go_and_its_name_goes_back() {
    let (home, first, second) = place().await;
    restart_machine(&root(&home));
    std::fs::write(layer_file(&root(&home), &second), b"").unwrap();
    let store = Store::open(&root(&home)).unwrap();
    assert_eq!(store.resolve("app:1").unwrap().id, first.id());
    assert!(store.resolve("only:1").is_err());
    assert!(store.check(true).unwrap().findings.is_empty());
    drop(store);
    assert_eq!(unsettled(&root(&home)), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_loses_nothing_and_checks_nothing() {
    let (home, _, second) = place().await;
    // In the same boot nobody looks: this would be found.
    std::fs::write(layer_file(&root(&home), &second), b"").unwrap();
    let store = Store::open(&root(&home)).unwrap();
    assert_eq!(store.resolve("app:1").unwrap().id, second.id());
    assert!(!store.check(true).unwrap().is_sound());
    store.settle().unwrap();
    drop(store);
    assert_eq!(unsettled(&root(&home)), []);
}
