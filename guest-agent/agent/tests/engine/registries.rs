//! push, pull, login, search and distribution inspect with the real docker command and a real
//! registry.

use serde_json::{Value, json};

use crate::support::registry::{Guard, Registry};
use crate::support::{archive, host, request};

#[test]
fn an_image_is_pushed_and_pulled_again() {
    let host = host!();
    let registry = Registry::start(&host, 5000, Guard::default());
    let name = format!("{}/box:1", registry.address);
    host.docker(&["tag", "busybox", &name]).good();
    let said = host.docker(&["push", &name]).good();
    let lines: Vec<&str> = said.lines().collect();
    let heading = format!("The push refers to repository [{}/box]", registry.address);
    assert_eq!(lines[0], heading);
    assert!(said.contains(": Preparing\n"), "{said}");
    assert!(said.contains(": Pushed\n"), "{said}");
    let last = lines.last().unwrap();
    let digest = last
        .strip_prefix("1: digest: ")
        .and_then(|rest| rest.split(' ').next())
        .unwrap_or_else(|| panic!("{said}"));
    assert!(last.contains(" size: "), "{said}");
    let digests = host.field(&name, "json .RepoDigests");
    assert_eq!(digests, format!("[\"{}/box@{digest}\"]", registry.address));

    // Again: nothing travels, and it says how much did not.
    let again = host.docker(&["push", &name]).good();
    assert!(again.contains("Layer already exists"), "{again}");
    assert!(
        again.contains("Saved ") && again.contains("sent 0B"),
        "{again}"
    );
    assert!(again.ends_with(last), "{again}");

    // To another repository of the registry: taken over.
    let other = format!("{}/other/box:2", registry.address);
    host.docker(&["tag", "busybox", &other]).good();
    let mounted = host.docker(&["push", &other]).good();
    assert!(mounted.contains(": Mounted from box\n"), "{mounted}");

    let id = host.field(&name, ".Id");
    host.docker(&["rmi", "-f", &id]).good();
    let pulled = host.docker(&["pull", &name]).good();
    assert!(pulled.contains(&format!("Digest: {digest}")), "{pulled}");
    assert_eq!(host.field(&name, ".Id"), id);
    assert_eq!(
        host.docker(&["run", "--rm", &name, "echo", "hi"]).good(),
        "hi"
    );
    // What was pulled is pushed as it was.
    let third = format!("{}/third:1", registry.address);
    host.docker(&["tag", &name, &third]).good();
    let pushed = host.docker(&["push", &third]).good();
    assert!(
        pushed.contains(&format!("1: digest: {digest} size:")),
        "{pushed}"
    );

    // All tags.
    let second = format!("{}/box:second", registry.address);
    host.docker(&["tag", &name, &second]).good();
    let all = host.docker(&["push", "-a", &format!("{}/box", registry.address)]);
    let all = all.good();
    assert!(all.contains("second: digest: "), "{all}");
    host.docker(&["rmi", &second]).good();
    let all = host.docker(&["pull", "-a", &format!("{}/box", registry.address)]);
    let all = all.good();
    assert!(all.contains("second: Pulling from box"), "{all}");
    assert_eq!(host.field(&second, ".Id"), id);
    let events = host.events(&["--filter", "type=image", "--filter", "event=push"]);
    assert!(events.contains("image push"), "{events}");
}

#[test]
fn pushes_and_pulls_at_once_do_not_disturb_each_other() {
    let host = host!();
    let registry = Registry::start(&host, 5005, Guard::default());
    let names: Vec<String> = (0..4)
        .map(|number| format!("{}/box{number}:1", registry.address))
        .collect();
    for name in &names {
        host.docker(&["tag", "busybox", name]).good();
    }
    let all = |verb: &[&str]| {
        let start = |name: &String| {
            let words = [verb, &[name.as_str()]].concat();
            let mut command = host.command(&words);
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        };
        let running: Vec<_> = names.iter().map(start).collect();
        for mut child in running {
            assert!(child.wait().unwrap().success(), "{verb:?}");
        }
    };
    all(&["push", "-q"]);
    for _ in 0..3 {
        all(&["rmi"]);
        all(&["pull", "-q"]);
    }
    let (_, body) = request(&host, "POST", "/slipway/images/check", "", "");
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["Findings"], json!([]), "{body}");
}

#[test]
fn what_cannot_be_pushed_is_told_in_dockers_words() {
    let host = host!();
    host.docker(&["push", "127.0.0.1:5099/nothing:1"]).bad(
        1,
        "An image does not exist locally with the tag: 127.0.0.1:5099/nothing",
    );
    host.docker(&["tag", "busybox", "127.0.0.1:5099/box:1"])
        .good();
    host.docker(&["push", "127.0.0.1:5099/box:2"])
        .bad(1, "tag does not exist: 127.0.0.1:5099/box:2");
    host.docker(&["push", "127.0.0.1:5099/box:1"])
        .bad(1, "connection refused");
}

#[test]
fn passwords_are_asked_for_and_kept_by_docker() {
    let host = host!();
    let guard = Guard {
        password: true,
        ..Guard::default()
    };
    let registry = Registry::start(&host, 5001, guard);
    let name = format!("{}/box:1", registry.address);
    host.docker(&["tag", "busybox", &name]).good();
    host.docker(&["push", &name])
        .bad(1, "no basic auth credentials");
    let login = |password: &str| {
        let words = ["login", "-u", "me", "--password-stdin", &registry.address];
        host.docker_with_input(&words, password)
    };
    login("wrong").bad(
        1,
        &format!(
            "login attempt to http://{}/v2/ failed with status: 401 Unauthorized",
            registry.address
        ),
    );
    let said = login("secret").good();
    assert!(said.contains("Login Succeeded"), "{said}");
    host.docker(&["push", &name]).good();
    host.docker(&["rmi", &name]).good();
    host.docker(&["pull", &name]).good();
    host.docker(&["logout", &registry.address]).good();
    host.docker(&["rmi", &name]).good();
    host.docker(&["pull", &name])
        .bad(1, "no basic auth credentials");
}

#[test]
fn a_registry_with_tls_on_this_computer_is_spoken_to() {
    let host = host!();
    let guard = Guard {
        tls: true,
        ..Guard::default()
    };
    let registry = Registry::start(&host, 5002, guard);
    let name = format!("{}/box:1", registry.address);
    host.docker(&["tag", "busybox", &name]).good();
    host.docker(&["push", &name]).good();
    host.docker(&["rmi", &name]).good();
    host.docker(&["pull", &name]).good();
}

#[test]
fn registries_are_asked_about_images() {
    let host = host!();
    let registry = Registry::start(&host, 5003, Guard::default());
    let name = format!("{}/tools/box:1", registry.address);
    host.docker(&["tag", "busybox", &name]).good();
    host.docker(&["push", &name]).good();
    let path = format!("/distribution/{name}/json");
    let (status, body) = request(&host, "GET", &path, "", "");
    assert_eq!(status, 200, "{body}");
    let found: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        found["Descriptor"]["mediaType"],
        "application/vnd.docker.distribution.manifest.v2+json"
    );
    assert_eq!(
        found["Platforms"],
        json!([{ "architecture": "amd64", "os": "linux" }])
    );
    let (status, body) = request(&host, "GET", &path.replace(":1", ":2"), "", "");
    assert_eq!(status, 404, "{body}");
    let found = host
        .docker(&[
            "search",
            "--format",
            "{{.Name}}",
            &format!("{}/box", registry.address),
        ])
        .good();
    assert_eq!(found, format!("{}/tools/box", registry.address));
}

#[test]
fn mirrors_are_asked_first() {
    let host = host!();
    let registry = Registry::start(&host, 5004, Guard::default());
    let name = format!("{}/library/mirrored:1", registry.address);
    host.docker(&["tag", "busybox", &name]).good();
    host.docker(&["push", &name]).good();
    let settings = format!(r#"{{"registry-mirrors":["http://{}"]}}"#, registry.address);
    let path = "/slipway/images/registries";
    let (status, body) = request(&host, "PUT", path, "application/json", &settings);
    assert_eq!(status, 200, "{body}");
    let said = host.docker(&["pull", "mirrored:1"]).good();
    assert!(said.contains("1: Pulling from library/mirrored"), "{said}");
    let info = host.docker(&["info"]).good();
    let shown = format!(" Registry Mirrors:\n  http://{}/", registry.address);
    assert!(info.contains(&shown), "{info}");
    assert_eq!(host.field("mirrored:1", ".Id"), host.field(&name, ".Id"));
    let bad = r#"{"registry-mirrors":["nonsense"]}"#;
    let (status, body) = request(&host, "PUT", path, "application/json", bad);
    assert!(status == 400 && body.contains("invalid mirror"), "{body}");
}

#[test]
fn versions_are_kept_and_gone_back_to() {
    let host = host!();
    for number in ["1", "2", "3"] {
        let image = archive::image("app:1", &json!({ "Env": [format!("N={number}")] })).unwrap();
        std::fs::write(host.dir.path().join("app.tar"), image).unwrap();
        host.docker(&["load", "-q", "-i", &host.path("app.tar")])
            .good();
    }
    let ids = || -> Vec<Value> {
        let (status, body) = request(&host, "GET", "/slipway/images/log?name=app:1", "", "");
        assert_eq!(status, 200, "{body}");
        let log: Value = serde_json::from_str(&body).unwrap();
        log["Versions"].as_array().unwrap().clone()
    };
    let log = ids();
    assert_eq!(log.len(), 3);
    assert_eq!(log[0]["Current"], true);
    assert_eq!(
        (&log[0]["How"], &log[0]["Version"]),
        (&json!("load"), &json!(3))
    );
    assert!(
        log[0]["By"].as_str().unwrap().starts_with("docker "),
        "{}",
        log[0]
    );
    let back = |to: &str| {
        let path = format!("/slipway/images/rollback?name=app:1&to={to}");
        request(&host, "POST", &path, "", "")
    };
    assert_eq!(back("").0, 200);
    assert_eq!(
        host.field("app:1", ".Id"),
        log[1]["Image"].as_str().unwrap()
    );
    assert_eq!(back("1").0, 200);
    assert_eq!(host.field("app:1", ".Config.Env"), "[N=1]");
    let after = ids();
    assert_eq!((after.len(), &after[0]["How"]), (5, &json!("rollback")));

    // Two earlier ones are kept; with nothing set all that have no name go.
    let keep = |versions: u32| {
        let text = format!(r#"{{"Versions":{versions}}}"#);
        let path = "/slipway/images/retention";
        assert_eq!(
            request(&host, "PUT", path, "application/json", &text).0,
            200
        );
    };
    keep(2);
    host.docker(&["image", "prune", "-f"]).good();
    assert!(ids().iter().all(|version| version["Available"] == true));
    keep(0);
    let pruned = host.docker(&["image", "prune", "-f"]).good();
    assert!(pruned.contains("deleted: sha256:"), "{pruned}");
    let (status, body) = back("3");
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("was removed"), "{body}");
    let (_, body) = request(&host, "POST", "/slipway/images/check", "", "");
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&report["Sound"], &report["Findings"]),
        (&json!(true), &json!([]))
    );
}
