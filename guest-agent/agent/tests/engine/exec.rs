//! exec: other processes in a running container.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use crate::support::{Host, host, request};

/// What comes back when input follows a request that names no upgrade, with one byte of the head
/// and the input's first half in pieces of their own, as clients without a buffer send them.
fn speak(host: &Host, path: &str, body: &str, input: &str) -> String {
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    let limit = Some(std::time::Duration::from_secs(60));
    stream.set_read_timeout(limit).unwrap();
    let length = body.len();
    let head = format!(
        "OST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    let (first, second) = input.split_at(input.len() / 2);
    for piece in ["P", &head, &format!("{body}{first}"), second] {
        stream.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn old_clients_take_the_connection_over_without_saying_so() {
    let host = host!();
    host.docker(&["run", "-di", "--name", "cat", "busybox", "cat"])
        .good();
    let session = r#"{"AttachStdin":true,"AttachStdout":true,"Cmd":["cat"],"Tty":true}"#;
    let json = "Content-Type: application/json";
    let created = host.send_with(
        "POST",
        "/containers/cat/exec",
        json,
        session.as_bytes(),
        session.len(),
    );
    let created: serde_json::Value = serde_json::from_str(&created.body).unwrap();
    let start = format!("/exec/{}/start", created["Id"].as_str().unwrap());
    let answer = speak(&host, &start, r#"{"Tty":true}"#, "hello\n\u{4}");
    let (head, said) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 OK\r\n") && head.contains("application/vnd.docker.raw-stream"));
    assert_eq!(said, "hello\r\nhello\r\n");
    let attach = "/containers/cat/attach?stream=1&stdin=1&stdout=1";
    let answer = speak(&host, attach, "", "hi\n");
    let (_, said) = answer.split_once("\r\n\r\n").unwrap();
    // However many frames it came in.
    let (mut frames, mut text) = (said, String::new());
    while let Some(frame) = frames.strip_prefix("\u{1}\0\0\0\0\0\0") {
        let (piece, next) = frame[1..].split_at(frame.as_bytes()[0].into());
        text.push_str(piece);
        frames = next;
    }
    assert_eq!((text.as_str(), frames), ("hi\n", ""));
    // Where nothing was taken over the next request is one.
    let next = "GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = speak(&host, "/containers/nobody/attach", "", next);
    assert!(
        answer.contains(" 404 ") && answer.ends_with("OK"),
        "{answer}"
    );
}

#[test]
fn exec_prints_the_output_and_passes_the_exit_code_on() {
    let host = host!();
    let id = host
        .docker(&[
            "run", "-d", "--name", "box", "-e", "A=1", "busybox", "sleep", "1000",
        ])
        .good();
    assert_eq!(
        host.docker(&[
            "exec",
            "-e",
            "B=2",
            "-w",
            "/tmp",
            "box",
            "sh",
            "-c",
            "echo $A$B; pwd"
        ])
        .good(),
        "12\n/tmp"
    );
    assert_eq!(
        host.docker(&["exec", "-u", "www", "box", "id", "-un"])
            .good(),
        "www"
    );
    assert_eq!(
        host.docker_with_input(&["exec", "-i", "box", "cat"], "in and out\n")
            .good(),
        "in and out"
    );
    let output = host.docker(&["exec", "box", "sh", "-c", "echo no >&2; exit 9"]);
    assert_eq!((output.code, output.stderr.as_str()), (9, "no\n"));
    let output = host.docker(&["exec", "box", "nosuch"]);
    assert_eq!(output.code, 127, "{output:?}");
    assert!(
        (output.stdout + &output.stderr).contains(
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH"
        )
    );
    assert_eq!(
        host.docker(&["exec", "-d", "box", "touch", "/made"]).good(),
        ""
    );
    host.until("the file is there", || {
        host.docker(&["exec", "box", "ls", "/made"]).code == 0
    });
    host.docker(&["pause", "box"]).good();
    host.docker(&["exec", "box", "true"]).bad(
        1,
        "Container box is paused, unpause the container before exec",
    );
    host.docker(&["unpause", "box"]).good();
    host.docker(&["kill", "box"]).good();
    let error = format!("Error response from daemon: container {id} is not running");
    host.docker(&["exec", "box", "true"]).bad(1, &error);
    assert_eq!(host.field("box", ".ExecIDs"), "[]");
}

#[test]
fn a_session_keeps_its_process_id_and_answers_whom_it_owes_nothing() {
    let host = host!();
    host.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])
        .good();
    let json = "application/json";
    let session = |body: &str| {
        let (status, answer) = request(&host, "POST", "/containers/box/exec", json, body);
        assert_eq!(status, 201, "{answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["Id"].as_str().unwrap().to_owned()
    };
    let start = |id: &str| request(&host, "POST", &format!("/exec/{id}/start"), json, "{}");
    let inspect = |id: &str| -> serde_json::Value {
        let path = format!("/exec/{id}/json");
        serde_json::from_str(&request(&host, "GET", &path, "", "").1).unwrap()
    };
    // Nothing is attached: the answer does not wait for the end.
    let id = session(r#"{"Cmd":["sleep","1000"]}"#);
    assert_eq!(inspect(&id)["Pid"], 0);
    assert_eq!(start(&id), (200, String::new()));
    assert_eq!(inspect(&id)["Running"], true);

    let id = session(r#"{"Cmd":["true"],"AttachStdout":true}"#);
    assert_eq!(start(&id).0, 200);
    let ended = inspect(&id);
    assert_eq!(
        (&ended["Running"], &ended["ExitCode"]),
        (&false.into(), &0.into())
    );
    assert!(ended["Pid"].as_i64().unwrap() > 0, "{ended}");
    // One whose start fails has no process, and one that has ended has none any more.
    let resize = |id: &str| request(&host, "POST", &format!("/exec/{id}/resize?h=9&w=9"), "", "");
    let failed = session(r#"{"Cmd":["nosuch"]}"#);
    let path = format!("/exec/{failed}/start");
    let refused = request(&host, "POST", &path, json, r#"{"Detach":true}"#);
    assert_eq!(refused.0, 400, "{}", refused.1);
    let (status, message) = resize(&failed);
    assert_eq!(status, 400, "{message}");
    assert!(message.contains("exec process is not started"), "{message}");
    assert_eq!(resize(&id).0, 404);
}
