//! Resolving, tagging and removing, with Docker's words.

use images::{ContainerUse, Digest, How, Image, Kind, Origin, Reference, RemoveOptions, Removed};

use crate::fixture::{Place, Tar, TestImage, docker_archive};

const FORCE: RemoveOptions = RemoveOptions {
    force: true,
    no_prune: false,
};

async fn with_busybox(tags: &[&str]) -> (Place, Image) {
    let place = Place::new();
    let image = TestImage::busybox();
    place
        .load(&docker_archive(&[(&image, tags)]))
        .await
        .unwrap();
    let image = place.store.get(&image.id()).unwrap();
    (place, image)
}

fn nobody(_: &Digest) -> Vec<ContainerUse> {
    Vec::new()
}

fn container(running: bool) -> impl Fn(&Digest) -> Vec<ContainerUse> {
    move |_| {
        vec![ContainerUse {
            container_id: "c0ffee123456789abcdef".to_owned(),
            running,
        }]
    }
}

fn lines(removed: &[Removed]) -> Vec<String> {
    let line = |removed: &Removed| match removed {
        Removed::Untagged(name) => format!("Untagged: {name}"),
        Removed::Deleted(id) => format!("Deleted: {id}"),
    };
    removed.iter().map(line).collect()
}

fn tagged() -> Origin {
    Origin::new(How::Tag, "a test")
}

impl Place {
    fn remove(&self, name: &str, options: RemoveOptions) -> images::Result<Vec<Removed>> {
        Ok(self.store.remove(name, options, "", nobody)?.steps)
    }

    fn refusal(&self, name: &str, options: RemoveOptions, running: bool) -> String {
        let error = self
            .store
            .remove(name, options, "", container(running))
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        error.to_string()
    }
}

#[tokio::test]
async fn an_image_is_found_by_all_its_names() {
    let (place, image) = with_busybox(&["busybox:latest"]).await;
    let hex = image.id.hex();
    for name in [
        "busybox",
        "busybox:latest",
        "library/busybox",
        "docker.io/library/busybox:latest",
        &hex,
        &format!("sha256:{hex}"),
        &hex[..12],
        &hex[..1],
        &format!("sha256:{}", &hex[..7]),
    ] {
        assert_eq!(place.store.resolve(name).unwrap().id, image.id, "{name}");
    }
    for (name, message) in [
        ("nope", "No such image: nope:latest"),
        ("busybox:2", "No such image: busybox:2"),
        ("ghcr.io/a/b", "No such image: ghcr.io/a/b:latest"),
        (
            &"0".repeat(64),
            &format!("No such image: sha256:{}", "0".repeat(64)),
        ),
    ] {
        let error = place.store.resolve(name).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (Kind::NotFound, message)
        );
    }
    assert_eq!(
        place.store.resolve("Not A Name").unwrap_err().kind(),
        Kind::Invalid
    );
}

#[tokio::test]
async fn an_ambiguous_prefix_is_refused() {
    let place = Place::new();
    // Of seventeen ids two start with the same digit.
    let mut firsts = std::collections::HashMap::new();
    let mut twice = None;
    for number in 0..17 {
        let image = TestImage::busybox().with_config(|config| config["number"] = number.into());
        place.load(&docker_archive(&[(&image, &[])])).await.unwrap();
        let first = image.id().hex()[..1].to_owned();
        if firsts.insert(first.clone(), image.id()).is_some() {
            twice = Some(first);
            break;
        }
    }
    let error = place.store.resolve(&twice.unwrap()).unwrap_err();
    assert!(error.to_string().contains("ambiguous"), "{error}");
}

#[tokio::test]
async fn a_tag_moves_from_image_to_image() {
    let (place, image) = with_busybox(&["busybox:latest"]).await;
    place
        .store
        .tag(
            &image.id,
            &Reference::parse("mine/app:2").unwrap(),
            &tagged(),
        )
        .unwrap();
    assert_eq!(
        place.store.resolve("mine/app:2").unwrap().repo_tags,
        ["busybox:latest", "mine/app:2"]
    );
    let other = TestImage::new(vec![Tar::new().bytes("x", 0o644, b"x").end()]);
    place
        .load(&docker_archive(&[(&other, &["busybox:latest"])]))
        .await
        .unwrap();
    assert_eq!(place.store.resolve("busybox").unwrap().id, other.id());
    assert_eq!(
        place.store.get(&image.id).unwrap().repo_tags,
        ["mine/app:2"]
    );
    let missing = Digest::of(b"missing");
    let error = place
        .store
        .tag(&missing, &Reference::parse("x").unwrap(), &tagged())
        .unwrap_err();
    assert_eq!(error.to_string(), format!("No such image: {missing}"));
}

#[tokio::test]
async fn removing_the_last_name_removes_the_image() {
    let (place, image) = with_busybox(&["busybox:latest", "busybox:1"]).await;
    assert_eq!(
        lines(&place.remove("busybox:1", RemoveOptions::default()).unwrap()),
        ["Untagged: busybox:1"]
    );
    let removed = lines(&place.remove("busybox", RemoveOptions::default()).unwrap());
    let lower = image.layers[0];
    let chain = Digest::of(format!("{lower} {}", image.layers[1]).as_bytes());
    assert_eq!(
        removed,
        [
            "Untagged: busybox:latest".to_owned(),
            format!("Deleted: {}", image.id),
            format!("Deleted: {chain}"),
            format!("Deleted: {lower}"),
        ]
    );
    assert!(place.store.list().unwrap().is_empty());
    place.assert_holds(0, 0);
    assert_eq!(
        place.remove("busybox", FORCE).unwrap_err().kind(),
        Kind::NotFound
    );
}

#[tokio::test]
async fn shared_layers_stay_for_the_other_image() {
    let (place, image) = with_busybox(&["one:1"]).await;
    let mut layers = TestImage::busybox().layers;
    layers[1] = Tar::new().bytes("other", 0o644, b"other").end();
    let two = TestImage::new(layers);
    place
        .load(&docker_archive(&[(&two, &["two:1"])]))
        .await
        .unwrap();
    let removed = lines(&place.remove("one:1", RemoveOptions::default()).unwrap());
    assert_eq!(
        removed.len(),
        3,
        "the shared layer was not deleted: {removed:?}"
    );
    assert!(!removed.contains(&format!("Deleted: {}", image.layers[0])));
    place.assert_holds(2, 2);
    assert_eq!(
        place.read(&place.store.resolve("two:1").unwrap(), "etc/motd"),
        b"lower"
    );
}

#[tokio::test]
async fn an_id_removes_all_names_of_one_repository_only() {
    let (place, image) = with_busybox(&["busybox:latest", "mine:1"]).await;
    let short = image.id.short();
    assert_eq!(
        place
            .remove(&short, RemoveOptions::default())
            .unwrap_err()
            .to_string(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    let removed = lines(&place.remove(&short, FORCE).unwrap());
    assert_eq!(
        removed[..2],
        ["Untagged: busybox:latest", "Untagged: mine:1"]
    );
    let (place, image) = with_busybox(&["busybox:latest"]).await;
    assert_eq!(
        lines(
            &place
                .remove(&image.id.hex(), RemoveOptions::default())
                .unwrap()
        )[0],
        "Untagged: busybox:latest"
    );
    place.assert_holds(0, 0);
}

#[tokio::test]
async fn containers_keep_their_image() {
    let (place, image) = with_busybox(&["busybox:latest"]).await;
    let id = image.id.short();
    for running in [true, false] {
        assert_eq!(
            place.refusal("busybox", RemoveOptions::default(), running),
            format!(
                "conflict: unable to remove repository reference \"busybox\" (must force) - container c0ffee123456 is using its referenced image {id}"
            )
        );
    }
    assert_eq!(
        place.refusal(&id, RemoveOptions::default(), false),
        format!(
            "conflict: unable to delete {id} (must be forced) - image is being used by stopped container c0ffee123456"
        )
    );
    for options in [RemoveOptions::default(), FORCE] {
        assert_eq!(
            place.refusal(&id, options, true),
            format!(
                "conflict: unable to delete {id} (cannot be forced) - image is being used by running container c0ffee123456"
            )
        );
    }
    // A name can go by force while the image runs; the image stays.
    let removed = place
        .store
        .remove("busybox", FORCE, "", container(true))
        .unwrap();
    assert_eq!(lines(&removed.steps), ["Untagged: busybox:latest"]);
    assert!(place.store.get(&image.id).unwrap().repo_tags.is_empty());
    // With two names, one may go without force.
    let (place, _) = with_busybox(&["busybox:latest", "mine:1"]).await;
    let removed = place
        .store
        .remove("mine:1", RemoveOptions::default(), "", container(true))
        .unwrap();
    assert_eq!(lines(&removed.steps), ["Untagged: mine:1"]);
}

#[tokio::test]
async fn a_stopped_container_keeps_the_layers_of_an_image_removed_by_force() {
    let (place, image) = with_busybox(&["busybox:latest"]).await;
    let removed = place
        .store
        .remove("busybox", FORCE, "", container(false))
        .unwrap();
    assert_eq!(
        lines(&removed.steps),
        [
            "Untagged: busybox:latest".to_owned(),
            format!("Deleted: {}", image.id)
        ]
    );
    assert!(place.store.list().unwrap().is_empty());
    assert_eq!(
        place.store.resolve(&image.id.short()).unwrap_err().kind(),
        Kind::NotFound
    );
    // The container can still start.
    let kept = place.store.get(&image.id).unwrap();
    assert_eq!(place.read(&kept, "etc/motd"), b"upper");
    place.store.collect(container(false)).unwrap();
    place.assert_holds(2, 2);
    place.store.collect(nobody).unwrap();
    place.assert_holds(0, 0);
    assert_eq!(
        place.store.get(&image.id).unwrap_err().kind(),
        Kind::NotFound
    );
    // Loading it again makes it an image like any other.
    place
        .load(&docker_archive(&[(
            &TestImage::busybox(),
            &["busybox:latest"],
        )]))
        .await
        .unwrap();
    assert_eq!(place.store.resolve("busybox").unwrap().id, image.id);
}
