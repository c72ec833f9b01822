//! What an archive says of its images besides their content: times, names for old loaders, and which
//! was made from which.

use std::collections::BTreeMap;

use images::{Digest, How, Origin, Reference};
use serde_json::{Value, json};

use crate::fixture::{Place, Tar, TestImage, docker_archive};

/// An image with a step of history a layer.
fn image(layers: &[&str]) -> TestImage {
    let files = layers
        .iter()
        .map(|name| Tar::new().bytes(name, 0o644, b"x").end());
    TestImage::new(files.collect()).with_config(|config| {
        let steps = layers.iter().map(|name| json!({ "created_by": name }));
        config["history"] = steps.collect();
    })
}

/// An archive of both, which says that the first is the second's parent.
fn family(parent: &TestImage, child: &TestImage) -> Vec<u8> {
    let mut archive = Tar::new();
    let mut manifest = Vec::new();
    for (image, tag) in [(child, "child:1"), (parent, "parent:1")] {
        let config = format!("{}.json", image.id().hex());
        archive = archive.bytes(&config, 0o644, &image.config);
        let mut layers = Vec::new();
        for layer in &image.layers {
            layers.push(format!("{}.tar", Digest::of(layer).hex()));
            archive = archive.bytes(layers.last().unwrap(), 0o644, layer);
        }
        manifest.push(json!({ "Config": config, "RepoTags": [tag], "Layers": layers }));
    }
    manifest[0]["Parent"] = json!(parent.id());
    // Nobody's, and not here.
    manifest[1]["Parent"] = json!(Digest::of(b"far away"));
    let manifest = Value::Array(manifest).to_string();
    archive
        .bytes("manifest.json", 0o644, manifest.as_bytes())
        .end()
}

impl Place {
    /// The files of an archive of these images, each with its time and content.
    async fn saved(&self, names: &[&str]) -> BTreeMap<String, (u64, Vec<u8>)> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut archive = Vec::new();
        self.store.save(&names, None, &mut archive).await.unwrap();
        let mut files = BTreeMap::new();
        let mut archive = tar::Archive::new(archive.as_slice());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            let name = entry.path().unwrap().display().to_string();
            files.insert(name, (entry.header().mtime().unwrap(), content));
        }
        files
    }
}

#[tokio::test]
async fn parents_travel_with_their_children() {
    let place = Place::new();
    let (parent, child) = (image(&["a"]), image(&["a", "b"]));
    place.load(&family(&parent, &child)).await.unwrap();
    let found = place.store.resolve("child:1").unwrap();
    assert_eq!(found.parent, Some(parent.id()));
    assert_eq!(place.store.resolve("parent:1").unwrap().parent, None);

    let parents = async |names: &[&str]| {
        let files = place.saved(names).await;
        let items: Value = serde_json::from_slice(&files["manifest.json"].1).unwrap();
        let items = items.as_array().unwrap().clone();
        let mut parents: Vec<Value> = items.iter().map(|item| item["Parent"].clone()).collect();
        parents.sort_by_key(Value::is_null);
        parents
    };
    let both = parents(&["child:1", "parent:1"]).await;
    assert_eq!(both, [json!(parent.id()), Value::Null]);
    assert_eq!(parents(&["child:1"]).await, [Value::Null]);

    for other in [image(&["z"]), image(&["a", "b", "c"])] {
        let place = Place::new();
        let error = place.load(&family(&other, &child)).await.unwrap_err();
        let words = format!(
            "image {} is not a valid parent for {}",
            other.id(),
            child.id()
        );
        assert_eq!(error.to_string(), words);
        place.assert_holds(0, 0);
    }
}

#[tokio::test]
async fn an_images_files_are_as_old_as_the_image_and_the_rest_of_1970() {
    let place = Place::new();
    let image = image(&["a", "b"]);
    place
        .load(&docker_archive(&[(
            &image,
            &["box:1", "far.example/box:2"],
        )]))
        .await
        .unwrap();
    let files = place.saved(&["box:1", "far.example/box:2"]).await;
    let blob = |digest: Digest| format!("blobs/sha256/{}", digest.hex());
    // 2026-01-02T03:04:05Z
    let made = 1_767_323_045;
    let mut own = vec![blob(image.id())];
    own.extend(image.layers.iter().map(|layer| blob(Digest::of(layer))));
    for (name, (time, _)) in &files {
        let expected = if own.contains(name) { made } else { 0 };
        assert_eq!(*time, expected, "{name}");
    }
    assert!(own.iter().all(|name| files.contains_key(name)));
    let tags: Value = serde_json::from_slice(&files["repositories"].1).unwrap();
    let top = Digest::of(&image.layers[1]).hex();
    assert_eq!(
        tags,
        json!({ "box": { "1": top }, "far.example/box": { "2": top } })
    );
    let nameless = place.saved(&[&image.id().short()]).await;
    assert!(!nameless.contains_key("repositories"));
}

#[tokio::test]
async fn names_that_come_with_an_archive_are_no_tagging() {
    let place = Place::new();
    let image = image(&["a"]);
    let archive = docker_archive(&[(&image, &["box:1"])]);
    let tagged = || place.store.resolve("box:1").unwrap().last_tagged;
    place.load(&archive).await.unwrap();
    assert_eq!(tagged(), 0);
    let name = Reference::parse("box:2").unwrap();
    let origin = Origin::new(How::Tag, "a test");
    place.store.tag(&image.id(), &name, &origin).unwrap();
    let time = tagged();
    assert_ne!(time, 0);
    place.load(&archive).await.unwrap();
    assert_eq!(tagged(), time);
}
