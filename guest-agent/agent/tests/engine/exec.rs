//! exec: other processes in a running container.

use crate::support::{host, request};

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
}
