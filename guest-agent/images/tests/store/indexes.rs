//! Indexes put together in a registry, and identity tokens.

use std::sync::{Arc, Mutex};

use images::{Access, Auth, Kind, Platform, PullOptions, Reference, Source, put_index};
use serde_json::Value;

use crate::fixture::{Place, Tar, TestImage, gzip};
use crate::server::{Answer, FakeRegistry, RealRegistry, index};

/// An image for a processor; each is another one.
fn image(architecture: &str) -> TestImage {
    let layers = vec![
        Tar::new()
            .bytes("name", 0o644, architecture.as_bytes())
            .end(),
    ];
    TestImage::new(layers).with_config(|config| config["architecture"] = architecture.into())
}

fn sources(names: &[String]) -> Vec<Source> {
    let source = |name: &String| Source {
        name: Reference::parse(name).unwrap(),
        auth: None,
    };
    names.iter().map(source).collect()
}

/// What a platform's pull of `name` brings.
async fn pulled(name: &str, platform: &str) -> images::Result<images::Digest> {
    let options = PullOptions {
        platform: Some(Platform::parse(platform).unwrap()),
        ..PullOptions::default()
    };
    Ok(Place::new().pull_with(name, options).await.0?.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_for_several_platforms() {
    let (Some(near), Some(far)) = (RealRegistry::start(), RealRegistry::start()) else {
        return;
    };
    let [amd, arm, risc] = ["amd64", "arm64", "riscv64"].map(image);
    near.push("amd", "1", &amd, gzip).await;
    near.push("arm", "1", &arm, gzip).await;
    far.push("risc", "1", &risc, gzip).await;
    let name = |registry: &RealRegistry, rest: &str| format!("{}/{rest}", registry.address);
    let target = name(&near, "app:1");
    let made = put_index(
        &Reference::parse(&target).unwrap(),
        &sources(&[name(&near, "amd:1"), name(&near, "arm:1")]),
        &Access::default(),
    )
    .await
    .unwrap();
    assert_eq!(made.platforms.len(), 2);
    assert_eq!(pulled(&target, "linux/amd64").await.unwrap(), amd.id());
    assert_eq!(pulled(&target, "linux/arm64").await.unwrap(), arm.id());

    // It grows by an image of another registry; what it held stays, and one is replaced.
    let newer = TestImage::new(vec![Tar::new().bytes("newer", 0o644, b"").end()]);
    near.push("amd", "2", &newer, gzip).await;
    let made = put_index(
        &Reference::parse(&target).unwrap(),
        &sources(&[target.clone(), name(&far, "risc:1"), name(&near, "amd:2")]),
        &Access::default(),
    )
    .await
    .unwrap();
    assert_eq!(made.platforms.len(), 3);
    let document: Value = serde_json::from_slice(&made.document).unwrap();
    assert_eq!(document["manifests"].as_array().unwrap().len(), 3);
    assert_eq!(pulled(&target, "linux/riscv64").await.unwrap(), risc.id());
    assert_eq!(pulled(&target, "linux/arm64").await.unwrap(), arm.id());
    assert_eq!(pulled(&target, "linux/amd64").await.unwrap(), newer.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_become_an_index_is_refused() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    let target = Reference::parse(&format!("{}/app:1", registry.address)).unwrap();
    let absent = sources(&[format!("{}/absent:1", registry.address)]);
    let access = Access::default();
    let error = put_index(&target, &absent, &access).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    let error = put_index(&target, &[], &access).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(images::look_up(&target, &access).await.is_err());
    // An index whose images its registry has lost.
    let lost = index(&[("linux/amd64", b"{}")]);
    let liar = crate::server::serving(lost, Vec::new(), |_, _| None);
    let lost = sources(&[format!("{}/x:1", liar.address)]);
    let error = put_index(&target, &lost, &access).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert!(images::look_up(&target, &access).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_asks_for_an_identity_token() {
    let asked = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&asked);
    let registry = FakeRegistry::start(move |request, _| {
        if request.path.starts_with("/token") {
            request.path.clone_into(&mut seen.lock().unwrap());
            return Answer::ok(br#"{"token":"t","refresh_token":"stay"}"#);
        }
        if request.headers.get("authorization").map(String::as_str) == Some("Bearer t") {
            return Answer::ok(b"{}");
        }
        let realm = format!("http://{}/token", request.headers["host"]);
        let challenge = format!("Bearer realm=\"{realm}\",service=\"reg\"");
        Answer::status(401).header("www-authenticate", challenge)
    });
    let access = Access {
        auth: Some(Auth {
            username: "me".to_owned(),
            password: "secret".to_owned(),
            ..Auth::default()
        }),
        ..Access::default()
    };
    let identity = images::log_in(&registry.address.to_string(), &access).await;
    assert_eq!(identity.unwrap(), "stay");
    let asked = asked.lock().unwrap();
    assert!(asked.contains("offline_token=true"), "{asked}");
    assert!(asked.contains("account=me"), "{asked}");
}
