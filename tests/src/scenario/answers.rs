//! What is refused, and in which words: `data/answers.json`, which was written down from Docker's
//! daemon 28.5 and holds for every engine.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::Answer;
use crate::{Machine, Steps, busybox};

/// The image that bodies name.
const IMAGE: &str = "IMAGE";

/// One request and what is answered.
#[derive(Debug, Deserialize)]
struct Case {
    /// `create` and `start` are of a container with the body, `exec` of a session in one that runs;
    /// others are requests as they are: `GET /containers/nope/json`.
    ask: String,
    #[serde(default)]
    with: Value,
    status: u16,
    /// The message; Docker's daemons end some with `: unknown`, by their version.
    says: String,
}

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../data/answers.json")).expect("answers.json");
    let of = |kinds: &[&str]| -> Vec<&Case> {
        let is = |case: &&Case| kinds.contains(&case.ask.split(' ').next().unwrap_or_default());
        cases.iter().filter(is).collect()
    };
    steps.step("answers: creates that are refused", || {
        check(of(&["create"]), |case| create(machine, &case.with));
    });
    steps.step("answers: starts that are refused", || {
        check(of(&["start"]), |case| {
            let made = create(machine, &case.with);
            assert_eq!(made.status, 201, "{}: {}", case.with, made.text());
            let id = text(&made, "Id");
            let answer = machine.api("POST", &format!("/containers/{id}/start"), b"");
            machine.api("DELETE", &format!("/containers/{id}?force=1&v=1"), b"");
            answer
        });
    });
    steps.step("answers: sessions that are refused", || {
        machine
            .docker(&[
                "run",
                "-d",
                "--name",
                "asked",
                busybox::NAME,
                "sleep",
                "1000",
            ])
            .ok();
        check(of(&["exec"]), |case| session(machine, &case.with));
        machine.docker(&["rm", "-f", "asked"]).ok();
    });
    steps.step("answers: requests that are refused", || {
        check(of(&["GET", "POST", "DELETE", "PUT"]), |case| {
            let (method, path) = case.ask.split_once(' ').unwrap_or_default();
            let body = if case.with.is_null() {
                Vec::new()
            } else {
                case.with.to_string().into_bytes()
            };
            machine.api(method, path, &body)
        });
    });
}

/// Asks all, and tells of every answer that is another one.
fn check(cases: Vec<&Case>, ask: impl Fn(&Case) -> Answer) {
    assert!(!cases.is_empty(), "no cases");
    let mut wrong = Vec::new();
    for case in cases {
        let answer = ask(case);
        let said = serde_json::from_slice::<Value>(&answer.body)
            .ok()
            .and_then(|value| Some(value.get("message")?.as_str()?.to_owned()))
            .unwrap_or_else(|| answer.text());
        if (answer.status, plain(&said)) != (case.status, plain(&case.says)) {
            wrong.push(format!(
                "{} {}\n  expected {} {}\n  got      {} {said}",
                case.ask, case.with, case.status, case.says, answer.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn plain(text: &str) -> String {
    text.replace(": unknown", "")
}

fn create(machine: &Machine, with: &Value) -> Answer {
    let mut body = with.clone();
    if body.is_object() && body.get("Image").is_none() {
        body["Image"] = json!(IMAGE);
    }
    let body = body.to_string().replace(IMAGE, busybox::NAME);
    machine.api("POST", "/containers/create", body.as_bytes())
}

/// The answer to a session's creation, or to its start when that is taken.
fn session(machine: &Machine, with: &Value) -> Answer {
    let made = machine.api(
        "POST",
        "/containers/asked/exec",
        with.to_string().as_bytes(),
    );
    if made.status != 201 {
        return made;
    }
    let path = format!("/exec/{}/start", text(&made, "Id"));
    machine.api("POST", &path, br#"{"Detach":true}"#)
}

fn text(answer: &Answer, key: &str) -> String {
    answer.json()[key].as_str().unwrap_or_default().to_owned()
}
