//! What is asked of an engine, over its API and through the docker command.

use std::fs;

use serde_json::json;
use tests::peers::Peer;
use tests::{busybox, http};

/// One request; anything but success ends the measurement.
pub(crate) fn ask(engine: &Peer, method: &str, path: &str, body: &str) -> http::Answer {
    let answer = http::unix(engine.socket(), method, path, body.as_bytes())
        .unwrap_or_else(|error| panic!("{}: {method} {path}: {error}", engine.name()));
    assert!(
        answer.status < 400,
        "{}: {method} {path}: {} {}",
        engine.name(),
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
pub(crate) fn create(engine: &Peer, network: &str, command: &[&str]) -> String {
    let body = json!({
        "Image": busybox::NAME,
        "Cmd": command,
        "HostConfig": { "NetworkMode": network },
    });
    let answer = ask(engine, "POST", "/containers/create", &body.to_string());
    answer.json()["Id"].as_str().expect("an id").to_owned()
}

/// Starts a container.
pub(crate) fn start(engine: &Peer, id: &str) {
    ask(engine, "POST", &format!("/containers/{id}/start"), "");
}

/// Removes a container, running or not.
pub(crate) fn remove(engine: &Peer, id: &str) {
    ask(engine, "DELETE", &format!("/containers/{id}?force=1"), "");
}

/// Creates, starts, waits for and removes a container.
pub(crate) fn whole_life(engine: &Peer, network: &str) {
    let id = create(engine, network, &["true"]);
    start(engine, &id);
    let code = ask(engine, "POST", &format!("/containers/{id}/wait"), "").json();
    assert_eq!(code["StatusCode"], 0);
    remove(engine, &id);
}

/// A session in a running container, from its making to its exit code.
pub(crate) fn exec(engine: &Peer, id: &str) {
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
