//! How registries are reached: through proxies and mirrors, and those that lead nowhere.

use images::{Access, Kind, Proxies, PullOptions, Registries};

use crate::fixture::{Place, TestImage, gzip};
use crate::server::{Answer, content, serving};

fn reached(registries: Registries) -> PullOptions {
    PullOptions {
        access: Access {
            registries,
            ..Access::default()
        },
        ..PullOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_for_registries_elsewhere() {
    let image = TestImage::busybox();
    let (manifest, blobs) = content(&image, gzip);
    let proxy = serving(manifest, blobs, |_, _| None);
    let options = reached(Registries {
        insecure_registries: vec!["registry.example:5000".to_owned()],
        proxies: Proxies {
            http_proxy: format!("http://{}", proxy.address),
            https_proxy: format!("http://{}", proxy.address),
            ..Proxies::default()
        },
        ..Registries::default()
    });
    let place = Place::new();
    let name = "registry.example:5000/x:1";
    let pulled = place.pull_with(name, options).await.0.unwrap();
    assert_eq!(pulled.id, image.id());
    // A proxy sees whole addresses.
    assert!(proxy.count("http://registry.example:5000/v2/x/blobs/") >= 3);
    // The person's own registries are never asked for through it.
    let (manifest, blobs) = content(&image, gzip);
    let own = serving(manifest, blobs, |_, _| None);
    let before = proxy.count("");
    let options = reached(Registries {
        proxies: Proxies {
            http_proxy: format!("http://{}", proxy.address),
            ..Proxies::default()
        },
        ..Registries::default()
    });
    let name = format!("{}/x:1", own.address);
    place.pull_with(&name, options).await.0.unwrap();
    assert_eq!(proxy.count(""), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_lacks_the_image_is_passed_over() {
    let image = TestImage::busybox();
    let (manifest, blobs) = content(&image, gzip);
    let empty = serving(b"{}".to_vec(), Vec::new(), |request, _| {
        request
            .path
            .contains("/manifests/")
            .then(|| Answer::status(404))
    });
    let full = serving(manifest, blobs, |_, _| None);
    let options = reached(Registries {
        registry_mirrors: vec![
            format!("http://{}", empty.address),
            format!("http://{}", full.address),
        ],
        ..Registries::default()
    });
    let place = Place::new();
    let pulled = place.pull_with("x:1", options).await.0.unwrap();
    assert_eq!(pulled.reference, "x:1");
    assert_eq!(empty.count("/v2/library/x/manifests/1"), 1);
    assert_eq!(place.store.resolve("x:1").unwrap().id, image.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_believes_no_token_is_not_asked_for_ever() {
    let (manifest, blobs) = content(&TestImage::busybox(), gzip);
    let registry = serving(manifest, blobs, |request, _| {
        if request.path.starts_with("/token") {
            return Some(Answer::ok(br#"{"token":"t"}"#));
        }
        let realm = format!("http://{}/token", request.headers["host"]);
        let challenge = format!("Bearer realm=\"{realm}\",service=\"reg\"");
        Some(Answer::status(401).header("www-authenticate", challenge))
    });
    let place = Place::new();
    let name = format!("{}/x:1", registry.address);
    let error = place.pull(&name).await.0.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains("pull access denied"), "{error}");
    assert!(registry.count("/token") <= 2);
    place.assert_holds(0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_and_loops_end() {
    let image = TestImage::busybox();
    let (manifest, blobs) = content(&image, gzip);
    let storage = serving(manifest.clone(), blobs.clone(), |_, _| None);
    let elsewhere = storage.address;
    let registry = serving(manifest.clone(), blobs.clone(), move |request, _| {
        request.path.contains("/blobs/").then(|| {
            let place = format!("http://{elsewhere}{}", request.path);
            Answer::status(307).header("location", place)
        })
    });
    let place = Place::new();
    let name = format!("{}/x:1", registry.address);
    assert_eq!(place.pull(&name).await.0.unwrap().id, image.id());
    assert!(storage.count("/blobs/") >= 3);

    let circle = serving(manifest, blobs, |request, _| {
        request
            .path
            .contains("/blobs/")
            .then(|| Answer::status(302).header("location", &request.path))
    });
    let place = Place::new();
    let name = format!("{}/x:1", circle.address);
    let error = place.pull(&name).await.0.unwrap_err();
    assert!(error.to_string().contains("redirect"), "{error}");
    place.assert_holds(0, 0);
}
