//! run, create, start, stop and the other verbs of a container's life.

use crate::support::{archive, host, request};
use serde_json::json;

#[test]
fn run_prints_the_output_and_passes_the_exit_code_on() {
    let host = host!();
    assert_eq!(
        host.docker(&["run", "--rm", "busybox", "echo", "hello"])
            .good(),
        "hello"
    );
    let output = host.docker(&["run", "--rm", "busybox", "sh", "-c", "echo no >&2; exit 7"]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (7, "", "no\n")
    );
    let output = host.docker_with_input(&["run", "-i", "--rm", "busybox", "wc", "-c"], "12345");
    assert_eq!(output.good().trim(), "5");
    // `--rm` has left nothing.
    assert_eq!(host.docker(&["ps", "-aq"]).good(), "");
}

#[test]
fn a_start_that_fails_has_dockers_message_and_exit_code() {
    let host = host!();
    let prefix = "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: ";
    let cases = [
        (
            "nosuch",
            127,
            "exec: \"nosuch\": executable file not found in $PATH: unknown",
        ),
        (
            "/plain",
            126,
            "exec: \"/plain\": permission denied: unknown",
        ),
        (
            "/etc",
            126,
            "exec: \"/etc\": is a directory: unknown: permission denied",
        ),
    ];
    for (command, code, message) in cases {
        let output = host.docker(&["run", "--rm", "busybox", command]);
        assert_eq!(output.code, code, "{output:?}");
        let expected =
            format!("{prefix}{message}\n\nRun 'docker run --help' for more information\n");
        assert_eq!(output.stderr, expected);
    }
    host.docker(&["run", "--name", "kept", "busybox", "nosuch"])
        .bad(127, "nosuch");
    assert_eq!(host.field("kept", ".State.Status"), "created");
    assert_eq!(host.field("kept", ".State.ExitCode"), "127");
    assert!(
        host.field("kept", ".State.Error")
            .contains("executable file not found")
    );
}

#[test]
fn a_container_goes_through_its_states() {
    let host = host!();
    let id = host
        .docker(&["create", "--name", "life", "busybox", "sleep", "1000"])
        .good();
    assert_eq!(id.len(), 64);
    assert_eq!(host.docker(&["ps", "-q", "--no-trunc"]).good(), "");
    assert_eq!(
        host.field("life", ".State.StartedAt"),
        "0001-01-01T00:00:00Z"
    );
    assert_eq!(host.docker(&["start", "life"]).good(), "life");
    assert_eq!(host.docker(&["ps", "-q", "--no-trunc"]).good(), id);
    assert_eq!(host.docker(&["pause", "life"]).good(), "life");
    assert_eq!(host.field("life", ".State.Status"), "paused");
    let error = format!("Error response from daemon: Container {id} is already paused");
    host.docker(&["pause", "life"]).bad(1, &error);
    host.docker(&["rm", "life"]).bad(
        1,
        "cannot remove container \"life\": container is paused and must be unpaused first",
    );
    assert_eq!(host.docker(&["unpause", "life"]).good(), "life");
    host.docker(&["rm", "life"]).bad(1, "cannot remove container \"life\": container is running: stop the container before removing or force remove");
    assert_eq!(host.docker(&["rename", "life", "lives"]).good(), "");
    assert_eq!(
        host.docker(&["restart", "-t", "0", "lives"]).good(),
        "lives"
    );
    assert_eq!(host.docker(&["kill", "lives"]).good(), "lives");
    assert_eq!(host.docker(&["wait", "lives"]).good(), "137");
    assert_eq!(host.field("lives", ".State.Status"), "exited");
    let error = format!("cannot kill container: lives: container {id} is not running");
    host.docker(&["kill", "lives"]).bad(1, &error);
    assert_eq!(host.docker(&["stop", "lives"]).good(), "lives");
    assert_eq!(host.docker(&["rm", "lives"]).good(), "lives");
    host.docker(&["rm", "lives"])
        .bad(1, "No such container: lives");
}

#[test]
fn what_pauses_and_goes_on_is_told_in_dockers_order() {
    let host = host!();
    let trap = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    host.docker(&["run", "-d", "--name", "held", "busybox", "sh", "-c", trap])
        .good();
    host.docker(&["commit", "held", "made"]).good();
    host.docker(&["pause", "held"]).good();
    host.docker(&["stop", "held"]).good();
    let told = host.events(&["--filter", "container=held", "--format", "{{.Action}}"]);
    let told: Vec<&str> = told.lines().collect();
    let expected = [
        "create", "start", "pause", "commit", "unpause", "pause", "kill", "unpause",
    ];
    assert_eq!(told[..expected.len()], expected);
    // Who of these two is first is the container's affair.
    let mut last = told[expected.len()..].to_vec();
    last.sort_unstable();
    assert_eq!(last, ["die", "stop"]);
}

#[test]
fn stop_sends_the_stop_signal_and_waits() {
    let host = host!();
    let script = "trap 'echo got it; exit 3' USR1; echo ready; while :; do sleep 0.05; done";
    host.docker(&[
        "run",
        "-d",
        "--name",
        "polite",
        "--stop-signal",
        "USR1",
        "busybox",
        "sh",
        "-c",
        script,
    ])
    .good();
    host.until("it is ready", || {
        host.docker(&["logs", "polite"]).stdout == "ready\n"
    });
    host.docker(&["stop", "polite"]).good();
    assert_eq!(host.field("polite", ".State.ExitCode"), "3");
    assert_eq!(host.docker(&["logs", "polite"]).good(), "ready\ngot it");
}

#[test]
fn a_failing_container_is_restarted_as_often_as_its_policy_says() {
    let host = host!();
    host.docker(&[
        "run",
        "-d",
        "--name",
        "again",
        "--restart",
        "on-failure:2",
        "busybox",
        "sh",
        "-c",
        "echo run; exit 3",
    ])
    .good();
    host.until("the restarts are over", || {
        host.field("again", ".State.Status") == "exited"
    });
    assert_eq!(host.field("again", ".RestartCount"), "2");
    assert_eq!(host.docker(&["logs", "again"]).good(), "run\nrun\nrun");
}

#[test]
fn a_container_is_restarting_until_its_policy_has_started_it() {
    let host = host!();
    let policy = "on-failure:3";
    let words = [
        "run",
        "-d",
        "--name",
        "again",
        "--restart",
        policy,
        "busybox",
        "false",
    ];
    host.docker(&words).good();
    // Looking without a pause also meets it in the few milliseconds of each start.
    let last = loop {
        let (status, body) = request(&host, "GET", "/containers/again/json", "", "");
        assert_eq!(status, 200, "{body}");
        let found: serde_json::Value = serde_json::from_str(&body).unwrap();
        if found["State"]["Running"] == json!(false) {
            break found;
        }
        let word = found["State"]["Status"].as_str().unwrap();
        assert!(["running", "restarting"].contains(&word), "{found}");
    };
    assert_eq!(last["State"]["Status"], "exited");
    assert_eq!(last["RestartCount"], 3);
}

#[test]
fn ps_shows_and_filters_as_docker_does() {
    let host = host!();
    host.docker(&[
        "run", "-d", "--name", "up-1", "-l", "k=v", "busybox", "sleep", "1000",
    ])
    .good();
    host.docker(&["run", "--name", "down-1", "busybox", "sh", "-c", "exit 4"]);
    let format = "{{.Names}} {{.Image}} {{.State}} {{.Command}}";
    let all = host.docker(&["ps", "-a", "--format", format]).good();
    assert_eq!(
        all,
        "down-1 busybox exited \"sh -c 'exit 4'\"\nup-1 busybox running \"sleep 1000\""
    );
    for (filter, expected) in [
        ("status=exited", "down-1"),
        ("exited=4", "down-1"),
        ("label=k=v", "up-1"),
        ("name=up", "up-1"),
        ("since=up-1", "down-1"),
        ("ancestor=busybox", "down-1\nup-1"),
        ("name=none", ""),
    ] {
        let names = host
            .docker(&["ps", "-a", "--filter", filter, "--format", "{{.Names}}"])
            .good();
        assert_eq!(names, expected, "{filter}");
    }
    host.docker(&["ps", "--filter", "nonsense=1"])
        .bad(1, "invalid filter 'nonsense'");
    let table = host.docker(&["top", "up-1"]).good();
    assert!(
        table.contains("UID") && table.contains("sleep 1000"),
        "{table}"
    );
    let table = host.docker(&["top", "up-1", "aux"]).good();
    assert!(table.contains("Ss") && table.contains(" 0:00 "), "{table}");
    host.docker(&["top", "up-1", "--nosuch"])
        .bad(1, "ps: error: unknown gnu long option");
    let events = host.events(&["--filter", "event=top"]);
    assert!(events.contains("container top"), "{events}");
    let pruned = host.docker(&["container", "prune", "-f"]).good();
    assert!(pruned.contains("Total reclaimed space"), "{pruned}");
    assert_eq!(
        host.docker(&["ps", "-a", "--format", "{{.Names}}"]).good(),
        "up-1"
    );
}

#[test]
fn options_reach_the_process() {
    let host = host!();
    let bind = format!("{}:/mnt:ro", host.dir.path().display());
    let script = "pwd; id -u; echo $NAME; hostname; grep extra /etc/hosts; touch /mnt/x 2>&1; touch /t/y && echo tmpfs; ulimit -n";
    let output = host
        .docker(&[
            "run",
            "--rm",
            "-v",
            &bind,
            "-w",
            "/mnt",
            "-u",
            "www",
            "-e",
            "NAME=value",
            "--hostname",
            "box",
            "--add-host",
            "extra:1.2.3.4",
            "--tmpfs",
            "/t:mode=1777",
            "--ulimit",
            "nofile=99:100",
            "busybox",
            "sh",
            "-c",
            script,
        ])
        .good();
    let expected =
        "/mnt\n33\nvalue\nbox\n1.2.3.4\textra\ntouch: /mnt/x: Read-only file system\ntmpfs\n99";
    assert_eq!(output, expected);
    let root = host.docker(&["run", "--rm", "--read-only", "busybox", "touch", "/x"]);
    root.bad(1, "Read-only file system");
    let caps = [
        "run",
        "--rm",
        "--cap-drop",
        "ALL",
        "--cap-add",
        "CHOWN",
        "busybox",
        "grep",
        "CapEff",
        "/proc/self/status",
    ];
    assert_eq!(host.docker(&caps).good(), "CapEff:\t0000000000000001");
    let links = host
        .docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            "busybox",
            "ls",
            "/sys/class/net",
        ])
        .good();
    assert_eq!(links, "lo");
}

#[test]
fn an_images_settings_are_merged_and_its_volumes_filled() {
    let host = host!();
    let config = json!({
        "Entrypoint": ["/bin/echo", "entry"], "Cmd": ["default"], "Env": ["A=image", "B=image"],
        "Volumes": { "/data": {} }, "WorkingDir": "/var/www", "Labels": { "from": "image" },
    });
    let archive = archive::image("app:1", &config).unwrap();
    std::fs::write(host.dir.path().join("app.tar"), archive).unwrap();
    host.docker(&["load", "-q", "-i", &host.path("app.tar")])
        .good();
    assert_eq!(
        host.docker(&["run", "--rm", "app:1"]).good(),
        "entry default"
    );
    assert_eq!(
        host.docker(&["run", "--rm", "app:1", "mine"]).good(),
        "entry mine"
    );
    let script = "echo $A $B; pwd; cat /data/seed; echo kept > /data/new";
    let args = [
        "run",
        "--name",
        "vol",
        "-e",
        "A=own",
        "--entrypoint",
        "sh",
        "app:1",
        "-c",
        script,
    ];
    assert_eq!(
        host.docker(&args).good(),
        "own image\n/var/www\nfrom the image"
    );
    let source = host.field("vol", "(index .Mounts 0).Source");
    assert_eq!(
        std::fs::read_to_string(format!("{source}/new")).unwrap(),
        "kept\n"
    );
    assert_eq!(host.field("vol", "index .Config.Labels \"from\""), "image");
}

#[test]
fn events_tell_the_story() {
    let host = host!();
    host.docker(&["run", "--name", "story", "busybox", "sh", "-c", "exit 5"]);
    host.docker(&["rm", "story"]).good();
    let format = "{{.Action}} {{index .Actor.Attributes \"exitCode\"}}";
    // docker sends whole seconds: the present one would be cut off.
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let until = (now.as_secs() + 1).to_string();
    let args = [
        "events",
        "--since",
        "1h",
        "--until",
        &until,
        "--filter",
        "type=container",
        "--format",
        format,
    ];
    let story = host.docker(&args).good();
    let actions: Vec<&str> = story.lines().map(str::trim).collect();
    assert_eq!(actions, ["create", "attach", "start", "die 5", "destroy"]);
}

#[test]
fn a_container_without_network_has_no_place_on_any() {
    let host = host!();
    let body = r#"{"Image":"busybox","Cmd":["sleep","1000"],"NetworkDisabled":true}"#;
    let path = "/containers/create?name=alone";
    let answer = request(&host, "POST", path, "application/json", body);
    assert_eq!(answer.0, 201, "{answer:?}");
    let told = || {
        [
            "json .NetworkSettings.Networks",
            ".NetworkSettings.SandboxID",
        ]
        .map(|field| host.field("alone", field))
    };
    let killer = || host.field("alone", "json .HostConfig.OomKillDisable");
    assert_eq!(
        (told(), killer()),
        (["{}".into(), String::new()], "false".into())
    );
    host.docker(&["start", "alone"]).good();
    assert_eq!(
        (told(), killer()),
        (["{}".into(), String::new()], "null".into())
    );
    let devices = host
        .docker(&["exec", "alone", "ls", "/sys/class/net"])
        .good();
    assert_eq!(devices, "lo");
}
