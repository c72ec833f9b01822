//! `docker pull` from the real registry: platforms, progress, sharing, errors.

use images::{Digest, Kind, Platform, PullOptions, PullProgress, Pulled, Reference, RemoveOptions};

use crate::fixture::{Place, Tar, TestImage, gzip, listen, zstd};
use crate::server::{RealRegistry, content, index};

impl Place {
    pub(crate) async fn pull_with(
        &self,
        name: &str,
        options: PullOptions,
    ) -> (images::Result<Pulled>, Vec<PullProgress>) {
        let (sender, messages) = listen();
        let pulled = self
            .store
            .pull(&Reference::parse(name).unwrap(), options, sender)
            .await;
        (pulled, messages.await.unwrap())
    }

    pub(crate) async fn pull(&self, name: &str) -> (images::Result<Pulled>, Vec<PullProgress>) {
        self.pull_with(name, PullOptions::default()).await
    }
}

/// The states that one id went through, without repetitions.
pub(crate) fn states<'a>(messages: &'a [PullProgress], id: &str) -> Vec<&'a str> {
    let mut states: Vec<&str> = Vec::new();
    for message in messages
        .iter()
        .filter(|message| message.id.as_deref() == Some(id))
    {
        if states.last() != Some(&message.status.as_str()) {
            states.push(&message.status);
        }
    }
    states
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_with_dockers_progress() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    let image = TestImage::busybox();
    let digest = registry.push("library/bb", "1.0", &image, gzip).await;
    let name = format!("{}/library/bb:1.0", registry.address);
    let place = Place::new();
    let (pulled, messages) = place.pull(&name).await;
    let pulled = pulled.unwrap();
    assert_eq!(
        (pulled.id, pulled.digest, pulled.downloaded),
        (image.id(), digest, true)
    );

    assert_eq!(
        (messages[0].status.as_str(), messages[0].id.as_deref()),
        ("Pulling from library/bb", Some("1.0"))
    );
    for layer in &image.layers {
        let blob = gzip(layer);
        let states = states(&messages, &Digest::of(&blob).short());
        assert_eq!(states[..2], ["Pulling fs layer", "Downloading"]);
        let rest = [
            "Verifying Checksum",
            "Download complete",
            "Extracting",
            "Pull complete",
        ];
        assert_eq!(states[states.len() - 4..], rest);
    }
    let complete = messages
        .iter()
        .filter(|message| message.status == "Pull complete");
    let complete: Vec<&str> = complete
        .filter_map(|message| message.id.as_deref())
        .collect();
    let bottom_up: Vec<String> = image
        .layers
        .iter()
        .map(|layer| Digest::of(&gzip(layer)).short())
        .collect();
    assert_eq!(complete, bottom_up);
    let ends: Vec<&str> = messages[messages.len() - 2..]
        .iter()
        .map(|message| message.status.as_str())
        .collect();
    assert_eq!(
        ends,
        [
            format!("Digest: {digest}"),
            format!("Status: Downloaded newer image for {name}")
        ]
    );

    let found = place.store.resolve(&name).unwrap();
    assert_eq!((found.id, found.size), (image.id(), image.size()));
    assert_eq!(found.repo_tags, std::slice::from_ref(&name));
    assert_eq!(
        found.repo_digests,
        [format!("{}/library/bb@{digest}", registry.address)]
    );
    assert_eq!(place.read(&found, "etc/motd"), b"upper");
    place.assert_holds(2, 2);

    // Again: nothing to do, and it says so.
    let (again, messages) = place.pull(&name).await;
    assert!(!again.unwrap().downloaded);
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert_eq!(
        messages[2].status,
        format!("Status: Image is up to date for {name}")
    );

    // By digest; the tag's removal takes the digest along.
    let by_digest = format!("{}/library/bb@{digest}", registry.address);
    assert_eq!(place.pull(&by_digest).await.0.unwrap().id, image.id());
    assert_eq!(place.store.resolve(&by_digest).unwrap().id, image.id());
    let removed = place
        .store
        .remove(&name, RemoveOptions::default(), "", |_| Vec::new())
        .unwrap();
    assert_eq!(removed.steps.len(), 5, "{removed:?}");
    place.assert_holds(0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_are_here_are_not_fetched_again() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    let base = TestImage::busybox();
    let mut layers = base.layers.clone();
    // More layers than go at once, one of them twice.
    for number in 0..5 {
        layers.push(
            Tar::new()
                .bytes(&format!("file{number}"), 0o644, &vec![number; 200_000])
                .end(),
        );
    }
    layers.push(layers[3].clone());
    let above = TestImage::new(layers);
    registry.push("base", "1", &base, gzip).await;
    registry.push("above", "1", &above, zstd).await;
    let place = Place::new();
    place
        .pull(&format!("{}/base:1", registry.address))
        .await
        .0
        .unwrap();
    let (pulled, messages) = place.pull(&format!("{}/above:1", registry.address)).await;
    pulled.unwrap();
    for layer in &base.layers {
        assert_eq!(
            states(&messages, &Digest::of(&zstd(layer)).short()),
            ["Already exists"]
        );
    }
    let waiting = messages
        .iter()
        .filter(|message| message.status == "Waiting")
        .count();
    assert_eq!(waiting, 2, "five new layers, three at once");
    let found = place
        .store
        .resolve(&format!("{}/above:1", registry.address))
        .unwrap();
    assert_eq!(place.store.layers(&found).unwrap().len(), 8);
    assert_eq!(found.size, above.size());
    place.assert_holds(7, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_platform_is_chosen() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    let host = Platform::host();
    let make = |architecture: &str| {
        TestImage::busybox().with_config(|config| config["architecture"] = architecture.into())
    };
    let (ours, theirs) = (make(&host.architecture), make("s390x"));
    let mut manifests = Vec::new();
    for image in [&theirs, &ours] {
        registry.push("multi", "part", image, gzip).await;
        manifests.push(content(image, gzip).0);
    }
    let ours_platform = host.to_string();
    let list = index(&[
        ("linux/s390x", &manifests[0]),
        (&ours_platform, &manifests[1]),
    ]);
    registry.push_manifest("multi", "1", &list).await;
    let name = format!("{}/multi:1", registry.address);
    let place = Place::new();
    let pulled = place.pull(&name).await.0.unwrap();
    assert_eq!((pulled.id, pulled.digest), (ours.id(), Digest::of(&list)));
    let platform = |text: &str| PullOptions {
        platform: Some(Platform::parse(text).unwrap()),
        ..PullOptions::default()
    };
    let pulled = place
        .pull_with(&name, platform("linux/s390x"))
        .await
        .0
        .unwrap();
    assert_eq!(pulled.id, theirs.id());
    let error = place
        .pull_with(&name, platform("linux/riscv64"))
        .await
        .0
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (
            Kind::NotFound,
            "no matching manifest for linux/riscv64 in the manifest list entries"
        )
    );
    let single = format!("{}/multi@{}", registry.address, Digest::of(&manifests[0]));
    // An image without an index is taken, with a warning.
    let (pulled, messages) = place.pull_with(&single, platform(&ours_platform)).await;
    assert_eq!(pulled.unwrap().id, theirs.id());
    let last = messages.last().unwrap();
    assert_eq!(
        last.status,
        format!(
            "WARNING: image with reference {single} was found but its platform (linux/s390x) does not match the specified platform ({ours_platform})"
        )
    );
    let other = place.pull_with(&single, platform("windows/s390x")).await;
    let error = other.0.unwrap_err().to_string();
    assert!(error.contains("does not match"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_in_dockers_words() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    registry.push("x", "1", &TestImage::busybox(), gzip).await;
    let place = Place::new();
    for name in ["x:2", "nosuch:1"] {
        let name = format!("{}/{name}", registry.address);
        let error = place.pull(&name).await.0.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(
            error.to_string(),
            format!("manifest for {name} not found: manifest unknown: manifest unknown")
        );
    }
    place.assert_holds(0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pulls_at_once_bring_each_layer_once() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    let image = TestImage::busybox();
    registry.push("a", "1", &image, gzip).await;
    registry.push("b", "1", &image, gzip).await;
    let place = Place::new();
    let (a, b) = (
        format!("{}/a:1", registry.address),
        format!("{}/b:1", registry.address),
    );
    let (first, second) = tokio::join!(place.pull(&a), place.pull(&b));
    assert_eq!(first.0.unwrap().id, second.0.unwrap().id);
    let downloads = |messages: &[PullProgress]| {
        messages
            .iter()
            .filter(|m| m.status == "Pull complete")
            .count()
    };
    assert_eq!(downloads(&first.1) + downloads(&second.1), 2);
    let found = place.store.resolve(&a).unwrap();
    assert_eq!(found.repo_tags, [a, b]);
    place.assert_holds(2, 2);
}
