//! What is asked of an engine, over its API and through the docker command.

use std::fs;
use std::path::Path;

use serde_json::json;
use tests::peers::Peer;
use tests::{busybox, http};

use tests::figure::time;

/// One request; anything but success ends the measurement.
pub(crate) fn ask(engine: &Path, method: &str, path: &str, body: &str) -> http::Answer {
    let answer = http::unix(engine, method, path, body.as_bytes())
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    assert!(
        answer.status < 400,
        "{method} {path}: {} {}",
        answer.status,
        answer.text()
    );
    answer
}

/// Loads the image that all containers here are made of.
pub(crate) fn load(engine: &Peer, image: &busybox::Image) {
    let path = engine.dir().join("image.tar");
    image.write_archive(&path);
    let bytes = fs::read(&path).expect("the archive");
    let answer = http::unix_with(
        engine.socket(),
        "POST",
        "/images/load?quiet=1",
        "application/x-tar",
        &bytes,
    )
    .expect("loading");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Creates a container and returns its id.
pub(crate) fn create(engine: &Path, network: &str, command: &[&str]) -> String {
    let body = json!({
        "Image": busybox::NAME,
        "Cmd": command,
        "HostConfig": { "NetworkMode": network },
    });
    let answer = ask(engine, "POST", "/containers/create", &body.to_string());
    answer.json()["Id"].as_str().expect("an id").to_owned()
}

/// Starts a container.
pub(crate) fn start(engine: &Path, id: &str) {
    ask(engine, "POST", &format!("/containers/{id}/start"), "");
}

/// Removes a container, running or not.
pub(crate) fn remove(engine: &Path, id: &str) {
    ask(engine, "DELETE", &format!("/containers/{id}?force=1"), "");
}

/// The steps of [`whole_life`].
pub(crate) const STEPS: [&str; 4] = ["create", "start", "wait", "remove"];

/// Creates, starts, waits for and removes a container; how long each step took, in milliseconds.
pub(crate) fn whole_life(engine: &Path, network: &str) -> [f64; 4] {
    let mut id = String::new();
    [
        time(|| id = create(engine, network, &["true"])),
        time(|| start(engine, &id)),
        time(|| {
            let code = ask(engine, "POST", &format!("/containers/{id}/wait"), "").json();
            assert_eq!(code["StatusCode"], 0);
        }),
        time(|| remove(engine, &id)),
    ]
}

/// A session in a running container, from its making to its exit code.
pub(crate) fn exec(engine: &Path, id: &str) {
    let made = ask(
        engine,
        "POST",
        &format!("/containers/{id}/exec"),
        r#"{"Cmd":["true"],"AttachStdout":true}"#,
    );
    let exec = made.json()["Id"].as_str().expect("an id").to_owned();
    // The answer ends when the session does.
    ask(
        engine,
        "POST",
        &format!("/exec/{exec}/start"),
        r#"{"Detach":false}"#,
    );
    let state = ask(engine, "GET", &format!("/exec/{exec}/json"), "").json();
    assert_eq!(state["ExitCode"], 0);
}
