//! The scripted engine listens on a Unix socket and answers each request by its first line.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the engine does for requests that begin with these words.
type Script = Vec<(&'static str, Answer)>;

enum Answer {
    /// A status and a JSON body.
    Json(u16, &'static str),
    /// The first time the first, then the second.
    Then(Box<Answer>, Box<Answer>),
    /// Takes the connection over and writes frames when a start has come.
    Output(&'static [(u8, &'static str)]),
    /// Takes the connection over, reads to the end of the input, and tells its length.
    CountInput,
    /// Answers the head at once and the body when the streams have been written.
    Exit(&'static str),
}

struct Engine {
    socket: std::path::PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

impl Engine {
    fn new(script: Script) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let script = Arc::new(script);
        let counts = Arc::new(Mutex::new(HashMap::new()));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                let counts = Arc::clone(&counts);
                thread::spawn(move || serve(stream.unwrap(), &script, &seen, &counts));
            }
        });
        Self {
            socket,
            requests,
            _dir: dir,
        }
    }

    fn slipway(&self, words: &[&str]) -> Output {
        self.slipway_with(words, "")
    }

    fn slipway_with(&self, words: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_slipway"))
            .args(words)
            .env("SLIPWAY_HOST", format!("unix://{}", self.socket.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command may end without reading it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    stream: UnixStream,
    script: &Script,
    seen: &Mutex<Vec<String>>,
    counts: &Mutex<HashMap<&'static str, usize>>,
) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap() > 2 {}
    let length = head
        .lines()
        .find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let line = head
        .lines()
        .next()
        .unwrap()
        .replace(" HTTP/1.1", "")
        .replace("/v1.51", "");
    seen.lock()
        .unwrap()
        .push(format!("{line} {}", String::from_utf8_lossy(&body)));
    let found = script.iter().find(|(words, _)| line.starts_with(words));
    let (words, answer) = found.unwrap_or_else(|| panic!("unexpected request: {line}"));
    let count = {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(words).or_insert(0);
        *count += 1;
        *count
    };
    act(answer, count, reader, seen);
}

fn act(
    answer: &Answer,
    count: usize,
    mut reader: BufReader<UnixStream>,
    seen: &Mutex<Vec<String>>,
) {
    let mut writer = reader.get_ref().try_clone().unwrap();
    match answer {
        Answer::Then(first, _) if count == 1 => act(first, count, reader, seen),
        Answer::Then(_, second) => act(second, count, reader, seen),
        Answer::Json(status, body) => {
            let length = body.len();
            write!(
                writer,
                "HTTP/1.1 {status} Word\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .unwrap();
        }
        Answer::Output(frames) => {
            upgrade(&mut writer);
            wait_for(seen, "/start");
            for (stream, text) in *frames {
                writer.write_all(&frame(*stream, text)).unwrap();
            }
        }
        Answer::CountInput => {
            upgrade(&mut writer);
            let mut input = Vec::new();
            reader.read_to_end(&mut input).unwrap();
            let text = format!("{} bytes\n", input.len());
            writer.write_all(&frame(1, &text)).unwrap();
        }
        Answer::Exit(body) => {
            let length = body.len();
            write!(
                writer,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            )
            .unwrap();
            wait_for(seen, "/start");
            writer.write_all(body.as_bytes()).unwrap();
        }
    }
}

fn upgrade(writer: &mut UnixStream) {
    writer
        .write_all(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        .unwrap();
}

fn frame(stream: u8, text: &str) -> Vec<u8> {
    let mut frame = vec![stream, 0, 0, 0];
    frame.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    frame.extend(text.as_bytes());
    frame
}

/// Waits until a request has come; the test's own deadline is the command's end.
fn wait_for(seen: &Mutex<Vec<String>>, word: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !seen.lock().unwrap().iter().any(|line| line.contains(word)) {
        assert!(std::time::Instant::now() < deadline, "no request {word}");
        thread::yield_now();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const CREATED: Answer = Answer::Json(201, r#"{"Id":"abc123","Warnings":null}"#);
const STARTED: Answer = Answer::Json(204, "");

#[test]
fn run_pulls_a_missing_image_and_ends_with_the_containers_code() {
    let missing = Answer::Json(404, r#"{"message":"No such image: box:latest"}"#);
    let engine = Engine::new(vec![
        (
            "POST /containers/create",
            Answer::Then(missing.into(), CREATED.into()),
        ),
        (
            "POST /images/create",
            Answer::Json(
                200,
                "{\"status\":\"Pulling from library/box\",\"id\":\"latest\"}\n\
                 {\"status\":\"Downloading\",\"progressDetail\":{\"current\":1,\"total\":2},\"id\":\"a1\"}\n\
                 {\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"a1\"}\n\
                 {\"status\":\"Status: Downloaded newer image for box:latest\"}\n",
            ),
        ),
        (
            "POST /containers/abc123/attach",
            Answer::Output(&[(1, "hello\n"), (2, "oops\n")]),
        ),
        (
            "POST /containers/abc123/wait",
            Answer::Exit(r#"{"StatusCode":3}"#),
        ),
        ("POST /containers/abc123/start", STARTED),
    ]);
    let out = engine.slipway(&["run", "--rm", "box", "sh", "-c", "exit 3"]);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), "hello\n");
    assert_eq!(
        text(&out.stderr),
        "Unable to find image 'box:latest' locally\n\
         latest: Pulling from library/box\n\
         a1: Pull complete\n\
         Status: Downloaded newer image for box:latest\n\
         oops\n"
    );
    let requests = engine.requests();
    assert!(requests[1].starts_with("POST /images/create?fromImage=box&tag=latest"));
    assert!(
        requests[2].contains(r#""Cmd":["sh","-c","exit 3"]"#),
        "{}",
        requests[2]
    );
    // Attached and waited for before the start.
    let order: Vec<&str> = ["attach", "wait", "start"]
        .into_iter()
        .zip(&requests[3..])
        .filter(|(word, line)| line.contains(word))
        .map(|(word, _)| word)
        .collect();
    assert_eq!(order, ["attach", "wait", "start"], "{requests:?}");
    assert!(requests[4].contains("condition=removed"), "{}", requests[4]);
}

#[test]
fn the_end_of_the_input_reaches_the_container() {
    let engine = Engine::new(vec![
        ("POST /containers/create", CREATED),
        ("POST /containers/abc123/attach", Answer::CountInput),
        (
            "POST /containers/abc123/wait",
            Answer::Exit(r#"{"StatusCode":0}"#),
        ),
        ("POST /containers/abc123/start", STARTED),
    ]);
    let input = "x".repeat(300_000);
    let out = engine.slipway_with(&["run", "-i", "box"], &input);
    assert_eq!(text(&out.stdout), "300000 bytes\n", "{}", text(&out.stderr));
    assert_eq!(out.status.code(), Some(0));
}

#[test]
fn what_cannot_run_has_dockers_codes() {
    for (message, code) in [
        (
            "exec: \\\"nope\\\": executable file not found in $PATH: unknown",
            127,
        ),
        ("exec: \\\"/etc\\\": is a directory: unknown", 126),
        ("something else", 125),
    ] {
        let body: &'static str = format!(r#"{{"message":"{message}"}}"#).leak();
        let engine = Engine::new(vec![
            ("POST /containers/create", CREATED),
            ("POST /containers/abc123/attach", Answer::CountInput),
            (
                "POST /containers/abc123/wait",
                Answer::Exit(r#"{"StatusCode":0}"#),
            ),
            ("POST /containers/abc123/start", Answer::Json(400, body)),
        ]);
        let out = engine.slipway(&["run", "box", "nope"]);
        assert_eq!(out.status.code(), Some(code), "{message}");
        assert!(
            text(&out.stderr).starts_with("error: "),
            "{}",
            text(&out.stderr)
        );
    }
}

#[test]
fn detached_prints_the_id() {
    let engine = Engine::new(vec![
        ("POST /containers/create?name=web", CREATED),
        ("POST /containers/abc123/start", STARTED),
    ]);
    let out = engine.slipway(&["run", "-d", "--name", "web", "box"]);
    assert_eq!(
        (text(&out.stdout), out.status.code()),
        ("abc123\n".into(), Some(0))
    );
    let out = engine.slipway(&["--json", "run", "-d", "--name", "web", "box"]);
    assert_eq!(text(&out.stdout), "{\"id\":\"abc123\"}\n");
}

#[test]
fn several_names_are_all_tried() {
    let missing = Answer::Json(404, r#"{"message":"No such container: b"}"#);
    let engine = Engine::new(vec![
        ("POST /containers/a/stop?t=1", STARTED),
        ("POST /containers/b/stop?t=1", missing),
        ("POST /containers/c/stop?t=1", STARTED),
    ]);
    let out = engine.slipway(&["stop", "-t", "1", "a", "b", "c"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(text(&out.stdout), "a\nc\n");
    assert_eq!(
        text(&out.stderr),
        "error: No such container: b\n  hint: `slipway ps -a` lists the containers\n"
    );
}

#[test]
fn exec_ends_with_the_commands_code() {
    let engine = Engine::new(vec![
        (
            "GET /containers/web/json",
            Answer::Json(200, r#"{"Id":"abc123","State":{"Running":true}}"#),
        ),
        (
            "POST /containers/web/exec",
            Answer::Json(201, r#"{"Id":"e1"}"#),
        ),
        (
            "POST /exec/e1/start",
            Answer::Output(&[(1, "out\n"), (2, "err\n")]),
        ),
        ("GET /exec/e1/json", Answer::Json(200, r#"{"ExitCode":42}"#)),
    ]);
    let out = engine.slipway(&["exec", "web", "ls", "-l"]);
    assert_eq!(out.status.code(), Some(42));
    assert_eq!(
        (text(&out.stdout), text(&out.stderr)),
        ("out\n".into(), "err\n".into())
    );
    assert!(engine.requests()[1].contains(r#""Cmd":["ls","-l"]"#));
}

#[test]
fn inspect_keeps_what_it_does_not_know() {
    let engine = Engine::new(vec![
        (
            "GET /containers/web/json",
            Answer::Json(200, r#"{"Zeta":[],"Id":"x","New":{"A":1.50}}"#),
        ),
        (
            "GET /containers/img/json",
            Answer::Json(404, r#"{"message":"No such container: img"}"#),
        ),
        (
            "GET /images/img/json",
            Answer::Json(200, r#"{"Id":"sha256:1"}"#),
        ),
        (
            "GET /containers/no/json",
            Answer::Json(404, r#"{"message":"No such container: no"}"#),
        ),
        (
            "GET /images/no/json",
            Answer::Json(404, r#"{"message":"No such image: no"}"#),
        ),
    ]);
    let out = engine.slipway(&["inspect", "web"]);
    assert_eq!(
        text(&out.stdout),
        "[\n    {\n        \"Zeta\": [],\n        \"Id\": \"x\",\n        \"New\": {\n            \"A\": 1.5\n        }\n    }\n]\n"
    );
    let out = engine.slipway(&["inspect", "--format", "{{.Id}}", "web", "img"]);
    assert_eq!(text(&out.stdout), "x\nsha256:1\n");
    let out = engine.slipway(&["inspect", "no"]);
    assert_eq!(
        (text(&out.stdout), out.status.code()),
        ("[]\n".into(), Some(1))
    );
    assert!(text(&out.stderr).starts_with("error: No such object: no\n"));
}

#[test]
fn a_failed_pull_is_an_error() {
    let engine = Engine::new(vec![(
        "POST /images/create",
        Answer::Json(
            200,
            r#"{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}"#,
        ),
    )]);
    let out = engine.slipway(&["pull", "box"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(text(&out.stdout), "Using default tag: latest\n");
    assert_eq!(
        text(&out.stderr),
        "error: manifest unknown\n  hint: check the image's name, tag and digest: the registry has no such image\n"
    );
    let out = engine.slipway(&["run", "--pull", "always", "box"]);
    assert_eq!(out.status.code(), Some(125), "{}", text(&out.stderr));
}

#[test]
fn a_reader_that_goes_ends_the_command_quietly() {
    let body: &'static str = format!(
        "[{}]",
        vec![r#"{"Id":"0123456789abcdef","Image":"box","Names":["/web"]}"#; 20_000].join(",")
    )
    .leak();
    let engine = Engine::new(vec![("GET /containers/json", Answer::Json(200, body))]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(["ps", "--format", "json"])
        .env(
            "SLIPWAY_HOST",
            format!("unix://{}", engine.socket.display()),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(141));
    assert_eq!(text(&out.stderr), "");
}

#[test]
fn a_terminal_is_needed_for_t() {
    let engine = Engine::new(Vec::new());
    let out = engine.slipway(&["run", "-it", "box"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).starts_with("error: the input device is not a TTY\n"));
    assert!(engine.requests().is_empty());
}

#[test]
fn update_changes_limits_and_bandwidth_and_passes_warnings_on() {
    let engine = Engine::new(vec![
        (
            "POST /containers/web/update",
            Answer::Json(200, r#"{"Warnings":["less than you think"]}"#),
        ),
        (
            "POST /slipway/containers/web/bandwidth",
            Answer::Json(200, r#"{"Egress":"10mbit","Ingress":"none"}"#),
        ),
    ]);
    let words = ["update", "-m", "64m", "--net-egress", "10mbit", "web"];
    let out = engine.slipway(&words);
    assert_eq!(text(&out.stdout), "web\n", "{}", text(&out.stderr));
    assert!(
        text(&out.stderr).contains("WARNING: less than you think"),
        "{}",
        text(&out.stderr)
    );
    assert_eq!(
        engine.requests(),
        [
            r#"POST /containers/web/update {"Memory":67108864}"#,
            r#"POST /slipway/containers/web/bandwidth {"Egress":"10mbit"}"#,
        ]
    );
    let out = engine.slipway(&["update", "web"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("one or more flags"));
}
