//! exec: other processes in a running container.

use crate::support::host;

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
