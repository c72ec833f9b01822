//! Registries that fail, lie, stall or ask for credentials.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use base64::Engine as _;
use images::{Access, Auth, Digest, Kind, PullOptions, Reference};

use crate::fixture::{Place, Tar, TestImage, gzip, listen};
use crate::pull::states;
use crate::server::{Answer, FakeRegistry, Request, content, ranged, serving};

/// An image with a layer large enough to be cut in the middle.
fn image() -> TestImage {
    let noise: Vec<u8> = (0..400_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    TestImage::new(vec![
        Tar::new().bytes("noise", 0o644, &noise).end(),
        Tar::new().bytes("small", 0o644, b"s").end(),
    ])
}

fn is_blob(request: &Request) -> bool {
    request.path.contains("/blobs/")
}

async fn refused(place: &Place, registry: &FakeRegistry) -> images::Error {
    let error = place
        .pull(&format!("{}/x:1", registry.address))
        .await
        .0
        .unwrap_err();
    assert!(place.store.list().unwrap().is_empty());
    place.assert_holds(0, 0);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_download_goes_on_where_it_broke() {
    let image = image();
    let (manifest, blobs) = content(&image, gzip);
    let layer = blobs[0].clone();
    let path = Digest::of(&layer).to_string();
    let twisted = (layer.clone(), path.clone());
    let registry = serving(manifest, blobs, move |request, before| {
        (request.path.ends_with(&twisted.1) && before < 6).then(|| {
            let mut answer = ranged(request, &twisted.0);
            answer.cut = Some(answer.body.len().min(100_000));
            answer
        })
    });
    let place = Place::new();
    let (pulled, messages) = place.pull(&format!("{}/x:1", registry.address)).await;
    assert_eq!(pulled.unwrap().id, image.id());
    // Six cuts are more than the tries without progress, but every try made some.
    assert_eq!(registry.count(&path), 7);
    assert!(states(&messages, &Digest::of(&layer).short()).contains(&"Retrying in 1 second"));
    let found = place.store.get(&image.id()).unwrap();
    assert_eq!(found.size, image.size());
    place.assert_holds(2, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_ranges_starts_again() {
    let image = image();
    let (manifest, blobs) = content(&image, gzip);
    let layer = blobs[0].clone();
    let path = Digest::of(&layer).to_string();
    let registry = serving(manifest, blobs, move |request, before| {
        request.path.ends_with(&path).then(|| Answer {
            cut: (before < 2).then_some(200_000),
            ..Answer::ok(&layer)
        })
    });
    let place = Place::new();
    assert_eq!(
        place
            .pull(&format!("{}/x:1", registry.address))
            .await
            .0
            .unwrap()
            .id,
        image.id()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_never_moves_on_is_given_up() {
    let (manifest, blobs) = content(&image(), gzip);
    let registry = serving(manifest, blobs, |request, _| {
        is_blob(request).then(|| Answer {
            cut: Some(0),
            ..Answer::ok(b"0123456789")
        })
    });
    let error = refused(&Place::new(), &registry).await;
    assert_eq!(error.kind(), Kind::Network, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_registry_is_asked_again() {
    let image = image();
    for status in [429, 500, 503] {
        let (manifest, blobs) = content(&image, gzip);
        let registry = serving(manifest, blobs, move |_, before| {
            (before == 0).then(|| Answer::status(status))
        });
        let place = Place::new();
        assert_eq!(
            place
                .pull(&format!("{}/x:1", registry.address))
                .await
                .0
                .unwrap()
                .id,
            image.id(),
            "{status}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_stays_broken_is_told() {
    let (manifest, blobs) = content(&image(), gzip);
    let registry = serving(manifest, blobs, |request, _| {
        is_blob(request).then(|| Answer::status(500))
    });
    let error = refused(&Place::new(), &registry).await;
    assert_eq!(
        error.to_string(),
        "received unexpected HTTP status: 500 Internal Server Error"
    );
    let (manifest, blobs) = content(&image(), gzip);
    let registry = serving(manifest, blobs, |request, _| {
        let body = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
        request.path.contains("/manifests/").then(|| Answer {
            body: body.to_vec(),
            ..Answer::status(429)
        })
    });
    let error = refused(&Place::new(), &registry).await;
    assert_eq!(
        error.to_string(),
        "toomanyrequests: You have reached your pull rate limit."
    );
    assert_eq!(registry.count("/manifests/"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_content_are_found_out() {
    let image = image();
    let (manifest, blobs) = content(&image, gzip);
    let layer = Digest::of(&blobs[0]).to_string();
    let config = Digest::of(&image.config).to_string();
    let other = gzip(&Tar::new().bytes("evil", 0o755, b"evil").end());
    let mut flipped = blobs[0].clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let short = blobs[0][..1000].to_vec();
    let long = [blobs[0].clone(), vec![0; 1000]].concat();
    for (path, lie, kind, words) in [
        (
            &layer,
            other.clone(),
            Kind::Network,
            "closed the connection",
        ),
        (
            &layer,
            flipped,
            Kind::Invalid,
            "filesystem layer verification failed for digest",
        ),
        (&layer, short, Kind::Network, "closed the connection"),
        (&layer, long, Kind::Invalid, "more than"),
        (
            &config,
            b"{}".to_vec(),
            Kind::Invalid,
            "image config verification failed",
        ),
    ] {
        let path = path.clone();
        let registry = serving(manifest.clone(), blobs.clone(), move |request, _| {
            request.path.ends_with(&path).then(|| ranged(request, &lie))
        });
        let error = refused(&Place::new(), &registry).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }

    // The layer is what the manifest says, but not what the config says.
    let swapped = TestImage {
        layers: vec![image.layers[1].clone(), image.layers[0].clone()],
        ..image.clone()
    };
    let (manifest, blobs) = content(&swapped, gzip);
    let error = refused(
        &Place::new(),
        &serving(manifest.clone(), blobs.clone(), |_, _| None),
    )
    .await;
    assert!(
        error
            .to_string()
            .contains("layer verification failed: the image config promises"),
        "{error}"
    );

    // A manifest that is not the one asked for by digest.
    let registry = serving(manifest, blobs, |request, _| {
        request
            .path
            .contains("/manifests/")
            .then(|| Answer::ok(br#"{"schemaVersion":2}"#))
    });
    let asked = Digest::of(b"another");
    let place = Place::new();
    let error = place
        .pull(&format!("{}/x@{asked}", registry.address))
        .await
        .0
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("manifest verification failed for digest {asked}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_is_told_at_once() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let place = Place::new();
    let started = Instant::now();
    for name in [address.to_string(), format!("localhost:{}", address.port())] {
        let error = place.pull(&format!("{name}/x:1")).await.0.unwrap_err();
        assert_eq!(error.kind(), Kind::Network);
        assert_eq!(
            error.to_string(),
            format!("Get \"http://{name}/v2/\": dial tcp {address}: connect: connection refused")
        );
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn local_names_are_dialled_at_the_alias() {
    let image = image();
    let (manifest, blobs) = content(&image, gzip);
    // Only 127.0.0.1 listens; the name says 127.0.0.77, and the registry sees that name.
    let registry = serving(manifest, blobs, |request, _| {
        let host = request.headers.get("host").cloned().unwrap_or_default();
        (!host.starts_with("127.0.0.77:") && !host.starts_with("localhost:"))
            .then(|| Answer::status(421))
    });
    let options = PullOptions {
        access: Access {
            localhost_alias: Some("127.0.0.1".parse().unwrap()),
            ..Access::default()
        },
        ..PullOptions::default()
    };
    for host in ["127.0.0.77", "localhost"] {
        let place = Place::new();
        let name = format!("{host}:{}/x:1", registry.address.port());
        assert_eq!(
            place.pull_with(&name, options.clone()).await.0.unwrap().id,
            image.id()
        );
        assert_eq!(place.store.resolve(&name).unwrap().repo_tags, [name]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_fetched_and_renewed() {
    let image = image();
    let (manifest, blobs) = content(&image, gzip);
    let late = Digest::of(&blobs[1]).to_string();
    let expected = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode("me:secret")
    );
    let registry = serving(manifest, blobs, move |request, before| {
        let challenge = || {
            let realm = format!("http://{}/token", request.headers["host"]);
            let body =
                br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
            Answer {
                body: body.to_vec(),
                ..Answer::status(401)
            }
            .header(
                "www-authenticate",
                format!("Bearer realm=\"{realm}\",service=\"reg\""),
            )
        };
        if request.path.starts_with("/token?") {
            assert!(
                request.path.contains("scope=repository%3Ax%3Apull")
                    && request.path.contains("service=reg")
            );
            return Some(match request.headers.get("authorization") {
                Some(basic) if *basic == expected => {
                    Answer::ok(format!(r#"{{"token":"t{before}"}}"#).as_bytes())
                }
                Some(_) => Answer::status(401),
                None => Answer::ok(br#"{"access_token":"anonymous"}"#),
            });
        }
        match request.headers.get("authorization").map(String::as_str) {
            // The first token expires before the last layer.
            Some("Bearer t0") if request.path.ends_with(&late) => Some(challenge()),
            Some("Bearer t0" | "Bearer t1") => None,
            _ => Some(challenge()),
        }
    });
    let name = format!("{}/x:1", registry.address);
    let auth = |password: &str| PullOptions {
        access: Access {
            auth: Some(Auth {
                username: "me".to_owned(),
                password: password.to_owned(),
                ..Auth::default()
            }),
            ..Access::default()
        },
        ..PullOptions::default()
    };
    let place = Place::new();
    assert_eq!(
        place.pull_with(&name, auth("secret")).await.0.unwrap().id,
        image.id()
    );
    assert_eq!(registry.count("/token"), 2);
    let place = Place::new();
    let error = place.pull_with(&name, auth("wrong")).await.0.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (
            Kind::Unauthorized,
            "unauthorized: incorrect username or password"
        )
    );
    let error = place.pull(&name).await.0.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized);
    assert_eq!(error.to_string(), "unauthorized: authentication required");
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_credentials_are_sent() {
    let image = image();
    let (manifest, blobs) = content(&image, gzip);
    let expected = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode("me:secret")
    );
    let registry = serving(manifest, blobs, move |request, _| {
        (request.headers.get("authorization") != Some(&expected))
            .then(|| Answer::status(401).header("www-authenticate", "Basic realm=\"r\""))
    });
    let name = format!("{}/x:1", registry.address);
    let place = Place::new();
    let auth = Auth {
        username: "me".to_owned(),
        password: "secret".to_owned(),
        ..Auth::default()
    };
    let options = PullOptions {
        access: Access {
            auth: Some(auth),
            ..Access::default()
        },
        ..PullOptions::default()
    };
    assert_eq!(
        place.pull_with(&name, options).await.0.unwrap().id,
        image.id()
    );
    let error = Place::new().pull(&name).await.0.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "Head \"http://{}/v2/x/manifests/1\": no basic auth credentials",
            registry.address
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_dropped_leaves_nothing() {
    let (manifest, blobs) = content(&image(), gzip);
    let layer = blobs[0].clone();
    let path = Digest::of(&layer).to_string();
    let (reached, waiting) = std::sync::mpsc::channel::<()>();
    let reached = std::sync::Mutex::new(Some(reached));
    // The blob stalls after its first half: a second request never comes, none is answered.
    let registry = serving(manifest, blobs, move |request, _| {
        if request.path.ends_with(&path) {
            reached.lock().unwrap().take();
            std::thread::park();
        }
        None
    });
    let place = Place::new();
    let (sender, _messages) = listen();
    let reference = Reference::parse(&format!("{}/x:1", registry.address)).unwrap();
    let store = place.store.clone();
    let pull =
        tokio::spawn(async move { store.pull(&reference, PullOptions::default(), sender).await });
    tokio::task::spawn_blocking(move || waiting.recv())
        .await
        .unwrap()
        .unwrap_err();
    pull.abort();
    assert!(pull.await.unwrap_err().is_cancelled());
    let deadline = Instant::now() + Duration::from_secs(10);
    let left = || -> usize {
        let count = |name: &str| std::fs::read_dir(place.root().join(name)).unwrap().count();
        count("tmp") + count("layers") + count("blobs/sha256")
    };
    while left() > 0 {
        assert!(
            Instant::now() < deadline,
            "the interrupted pull left something"
        );
        tokio::task::yield_now().await;
    }
}
