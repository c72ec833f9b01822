//! Every command is given to both; standard output and the exit code must be the same, and
//! `slipway` must say what docker says, in its own form.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

mod engine;
mod image;
mod terminal;
mod versions;
mod volumes;

use std::process::Command;
use std::time::{Duration, Instant};

use engine::{Client, Engine, Ran};
use terminal::Terminal;

/// Set in the copy of this test that runs in namespaces of its own.
const INSIDE: &str = "SLIPWAY_CLI_TEST_ISOLATED";

#[test]
fn slipway_prints_what_docker_prints() {
    let found = match engine::Programs::find() {
        Ok(found) => found,
        Err(why) => {
            return tests::steps::skip(&why);
        }
    };
    if std::env::var_os(INSIDE).is_none() {
        return isolate(&found);
    }
    let engine = Engine::start(&found);
    prepare(&engine);
    images(&engine);
    containers(&engine);
    processes(&engine);
    mistakes(&engine);
    runs(&engine);
    signals_and_streams(&engine);
    a_terminal(&engine);
    files(&engine);
    changes(&engine);
    versions::run(&engine);
    volumes::run(&engine);
}

/// Runs this test again where the host's firewall and interfaces are out of reach.
fn isolate(found: &engine::Programs) {
    let script = "\"$IP\" link set lo up && exec \"$TEST\" --exact \
                  unix::slipway_prints_what_docker_prints --nocapture";
    let status = Command::new(&found.unshare)
        .args([
            "--mount",
            "--net",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
        ])
        .env(INSIDE, "1")
        .env("IP", &found.ip)
        .env("TEST", std::env::current_exe().unwrap())
        .status()
        .unwrap();
    assert!(status.success(), "the isolated test failed: see above");
}

fn prepare(engine: &Engine) {
    let archive = engine.home().join("box.tar");
    image::write(&archive).unwrap();
    let loaded = engine.slipway(&["load", "-i", archive.to_str().unwrap()]);
    assert_eq!(loaded.stdout, "Loaded image: busybox:latest\n", "{loaded}");
    let script = "echo words; echo bad >&2; exec sleep 1000";
    for words in [
        &["tag", "busybox", "localhost:5000/a/box:v1"][..],
        &[
            "run", "-d", "--name", "web", "-l", "a=b", "--expose", "80-82", "busybox", "sh", "-c",
            script,
        ],
        &[
            "create",
            "--name",
            "made",
            "busybox",
            "echo",
            "a \"quoted\" word that is long",
        ],
    ] {
        engine.slipway(words).exits(0);
    }
    engine
        .slipway(&["run", "--name", "done", "busybox", "false"])
        .exits(1);
    // What it says goes to its log by a way of its own.
    let deadline = Instant::now() + Duration::from_secs(20);
    while engine.slipway(&["logs", "web"]).stderr != "bad\n" {
        assert!(Instant::now() < deadline, "the log stays empty");
    }
}

fn images(engine: &Engine) {
    for words in [
        &["images"][..],
        &["images", "-q"],
        &["images", "--no-trunc"],
        &["images", "--digests"],
        &["images", "busybox"],
        &["images", "--filter", "dangling=true"],
        &["images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}"],
        &["inspect", "busybox"],
    ] {
        same(engine, words);
    }
}

fn containers(engine: &Engine) {
    for words in [
        &["ps"][..],
        &["ps", "-a"],
        &["ps", "-aq"],
        &["ps", "-a", "--no-trunc"],
        &["ps", "-as"],
        &["ps", "-l"],
        &["ps", "-n", "2"],
        &["ps", "-a", "--filter", "status=exited"],
        &[
            "ps",
            "--format",
            "{{.Names}} {{.State}} {{.Ports}} {{.Labels}}",
        ],
        &["logs", "web"],
        &["logs", "-t", "web"],
        &["logs", "-n", "1", "web"],
        &["inspect", "web", "done"],
        &[
            "inspect",
            "-f",
            "{{.State.Status}} {{.Config.Cmd}} {{json .State.ExitCode}}",
            "web",
        ],
        &["wait", "done"],
        &["events", "--since", "10m", "--until", "0s"],
        &["version", "-f", "{{.Server.Version}}"],
        &["info", "-f", "{{.ServerVersion}} {{.Driver}}"],
    ] {
        same(engine, words);
    }
}

fn processes(engine: &Engine) {
    for words in [
        &["top", "web"][..],
        &["top", "web", "-o", "pid,cmd"],
        &["exec", "web", "sh", "-c", "echo out; echo err >&2; exit 3"],
        &[
            "exec",
            "-e",
            "A=1",
            "-w",
            "/tmp",
            "-u",
            "nobody",
            "web",
            "sh",
            "-c",
            "id; pwd; echo $A",
        ],
        &["exec", "web", "nonesuch"],
        &["exec", "done", "ls"],
        &["exec", "-d", "web", "true"],
    ] {
        same(engine, words);
    }
}

fn mistakes(engine: &Engine) {
    for words in [
        &["inspect", "nope"][..],
        &["exec", "nope", "ls"],
        &["run", "--rm", "busybox", "nope"],
        &["run", "--rm", "busybox", "/etc/passwd"],
        &["run", "--rm", "busybox", "/etc"],
        &["run", "--name", "web", "busybox"],
        &["run", "--rm", "Busybox"],
        &["run", "--rm", "-m", "5m", "busybox"],
        &["run", "--rm", "--pull", "never", "nope"],
        &["run", "--rm", "127.0.0.1:1/nope"],
        &["rm", "web"],
        &["stop", "nope"],
        &["rmi", "nope"],
        &["logs", "nope"],
        &["kill", "done"],
        &["kill", "-s", "NOPE", "web"],
        &["unpause", "web"],
        &["wait", "nope"],
        &["rename", "web", "done"],
        &["tag", "nope", "x"],
        &["attach", "done"],
        &["pull", "127.0.0.1:1/x"],
        &["pull", "X"],
        &["rm", "-f", "nope"],
        &["rmi", "-f", "nope"],
        &["load", "-i", "/etc/passwd"],
    ] {
        let (docker, slipway) = same(engine, words);
        for line in docker.lines_of_its_error() {
            assert!(
                slipway.stderr.contains(&line),
                "{words:?}: slipway does not say {line:?}:\n{slipway}"
            );
        }
    }
}

fn runs(engine: &Engine) {
    let script = "hostname; pwd; id; echo $A; touch /x; df /t /dev/shm | tail -n +2; ulimit -n";
    for words in [
        &["run", "--rm", "busybox", "sh", "-c", "exit 42"][..],
        &["run", "--rm", "busybox", "sh", "-c", "kill -9 $$"],
        &[
            "run",
            "--rm",
            "-e",
            "A=1",
            "-h",
            "box",
            "-w",
            "/tmp",
            "-u",
            "65534:65534",
            "--tmpfs",
            "/t:size=1m",
            "--shm-size",
            "8m",
            "--read-only",
            "--ulimit",
            "nofile=100:200",
            "busybox",
            "sh",
            "-c",
            script,
        ],
        &[
            "run",
            "--rm",
            "--cap-drop",
            "ALL",
            "--cap-add",
            "CHOWN",
            "--security-opt",
            "no-new-privileges",
            "busybox",
            "grep",
            "-E",
            "Cap|NoNew",
            "/proc/self/status",
        ],
        &[
            "run",
            "--rm",
            "--network",
            "none",
            "busybox",
            "ip",
            "-o",
            "link",
        ],
        &[
            "run",
            "--rm",
            "--add-host",
            "foo:1.2.3.4",
            "--dns",
            "9.9.9.9",
            "busybox",
            "sh",
            "-c",
            "grep foo /etc/hosts; cat /etc/resolv.conf",
        ],
        &["run", "--rm", "--entrypoint", "echo", "busybox", "a", "b"],
        &["run", "--rm", "--init", "busybox", "sh", "-c", "exit 7"],
        &[
            "run",
            "-a",
            "stderr",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "echo out; echo err >&2",
        ],
        &["start", "-a", "done"],
    ] {
        same(engine, words);
    }
}

fn signals_and_streams(engine: &Engine) {
    let input = "x".repeat(200_000);
    for client in [Client::Docker, Client::Slipway] {
        let ran = engine.run(
            client,
            &["run", "--rm", "-i", "busybox", "wc", "-c"],
            &input,
        );
        assert_eq!(ran.stdout, "200000\n", "{ran}");
        let ran = engine.run(client, &["exec", "-i", "web", "wc", "-c"], &input);
        assert_eq!(ran.stdout, "200000\n", "{ran}");
    }
    // A signal to the command is a signal to the container.
    let script = "trap 'echo got it; exit 9' TERM; echo ready; while true; do sleep 0.1; done";
    let mut child = engine.spawn(&["run", "--rm", "busybox", "sh", "-c", script]);
    child.wait_for("ready\n");
    child.signal(rustix::process::Signal::TERM);
    let ran = child.finish();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (9, "ready\ngot it\n"),
        "{ran}"
    );
}

fn a_terminal(engine: &Engine) {
    let mut first = Terminal::start(engine, &["run", "-it", "--name", "shell", "busybox", "sh"]);
    first.answers("echo $((40 + 2))", "42\r\n");
    first.answers("stty size", "24 80\r\n");
    first.resize(33, 111);
    first.answers("stty size", "33 111\r\n");
    // Ctrl-C is for the program inside.
    // It says so itself: before, the shell's line editor would take the key.
    first.type_in("sh -c 'echo go''ing; exec sleep 1000'\r");
    first.wait_for("going\r\n");
    first.type_in("\x03");
    first.answers("echo $((1 + 1))", "2\r\n");
    first.type_in("\x10\x11");
    assert_eq!(first.end(), 0, "detaching is no failure");
    let ps = engine.slipway(&["ps", "--filter", "name=shell", "--format", "{{.State}}"]);
    assert_eq!(ps.stdout, "running\n");
    let mut second = Terminal::start(engine, &["attach", "shell"]);
    second.answers("echo $((50 + 5))", "55\r\n");
    let mut third = Terminal::start(engine, &["exec", "-it", "shell", "sh"]);
    third.answers("stty size", "24 80\r\n");
    third.type_in("exit 5\r");
    assert_eq!(third.end(), 5);
    second.type_in("exit 7\r");
    assert_eq!(second.end(), 7);
    engine.slipway(&["rm", "shell"]).exits(0);
}

fn files(engine: &Engine) {
    let at = |name: &str| engine.home().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir_all(engine.home().join("tree/sub")).unwrap();
    std::fs::write(engine.home().join("tree/file"), "words\n").unwrap();
    std::os::unix::fs::symlink("file", engine.home().join("tree/link")).unwrap();
    std::fs::hard_link(at("tree/file"), at("tree/sub/same")).unwrap();
    for (client, name) in [(Client::Docker, "docker"), (Client::Slipway, "slipway")] {
        let to = format!("web:/{name}");
        let inside = |path: &str| format!("web:/{name}/{path}");
        for words in [
            // A new name, into a directory, what is in a directory, another name for a file.
            &["cp", &at("tree"), &to][..],
            &["cp", &at("tree"), &to],
            &["cp", &format!("{}/.", at("tree/sub")), &to],
            &["cp", &at("tree/file"), &inside("other")],
            &["cp", "-a", &at("tree/link"), &inside("link2")],
            &["cp", "-L", &at("tree/link"), &inside("followed")],
            &["cp", &to, &at(&format!("back-{name}"))],
            &["cp", &inside("tree"), &at(&format!("back-{name}"))],
            &["cp", "-L", &inside("link"), &at(&format!("back-{name}"))],
            &["cp", &inside("file"), &at(&format!("back-{name}/renamed"))],
            &["cp", &inside("sub/."), &at(&format!("back-{name}/new"))],
        ] {
            engine.run(client, words, "").exits(0);
        }
    }
    let inside = |name: &str| {
        let find = format!(
            "cd /{name} && find . | sort && find . -type l -exec readlink {{}} ';' && cat followed other && stat -c %h file sub/same"
        );
        engine.slipway(&["exec", "web", "sh", "-c", &find]).stdout
    };
    assert_eq!(inside("docker"), inside("slipway"));
    let here = |name: &str| {
        let find =
            "find . | sort; cat link renamed new/same; stat -c '%a %Y %h %N' file sub tree/link";
        let dir = engine.home().join(format!("back-{name}"));
        let output = Command::new("sh")
            .args(["-c", find])
            .current_dir(dir)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(here("docker"), here("slipway"));
    for words in [
        &["diff", "web"][..],
        &["diff", "made"],
        &["diff", "nope"],
        &["cp", "web:/docker/file", "-"],
        &["cp", "web:/nope", "-"],
        &["cp", "nope:/x", &at("x")],
        &["cp", "web:/etc/passwd", &at("no/where/x")],
        &["cp", &at("nope"), "web:/"],
        &["cp", &at("tree"), "web:/etc/passwd"],
        &["cp", &at("tree/file"), "web:/no/where"],
        &["cp", &at("tree/file"), "web:/new/"],
        &["cp", "web:/a", "web:/b"],
        &["cp", "a", "b"],
        &["cp", "-", "web:/etc/passwd"],
        &["export", "nope"],
        &["commit", "nope"],
        &["commit", "made", "Big"],
        &["commit", "-c", "RUN x", "made"],
    ] {
        same(engine, words);
    }
    for client in [Client::Docker, Client::Slipway] {
        let archive = engine.home().join("root.tar");
        let words = ["export", "-o", archive.to_str().unwrap(), "web"];
        engine.run(client, &words, "").exits(0);
        let list = Command::new("tar")
            .arg("tf")
            .arg(&archive)
            .output()
            .unwrap();
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        assert!(list.contains("docker/tree/link\n"), "{list}");
        let words = [
            "commit",
            "-m",
            "remark",
            "-c",
            "CMD [\"echo\",\"made\"]",
            "-p=false",
            "web",
            "made:1",
        ];
        let made = engine.run(client, &words, "").stdout;
        assert!(made.starts_with("sha256:") && made.len() == 72, "{made}");
        assert_eq!(
            engine.run(client, &["run", "--rm", "made:1"], "").stdout,
            "made\n"
        );
    }
    engine.slipway(&["rmi", "-f", "made:1"]).exits(0);
}

fn changes(engine: &Engine) {
    for (words, stdout) in [
        (&["pause", "web"][..], "web\n"),
        (&["unpause", "web"], "web\n"),
        (&["rename", "web", "site"], ""),
        (&["restart", "-t", "0", "site"], "site\n"),
        (&["kill", "site"], "site\n"),
        (&["wait", "site"], "137\n"),
        (&["start", "site"], "site\n"),
        (&["stop", "-t", "0", "site"], "site\n"),
        (&["rm", "site", "done", "made"], "site\ndone\nmade\n"),
        (
            &["rmi", "localhost:5000/a/box:v1"],
            "Untagged: localhost:5000/a/box:v1\n",
        ),
    ] {
        let ran = engine.slipway(words);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (0, stdout),
            "{words:?}: {ran}"
        );
    }
    let cid = engine.home().join("cid");
    let cid = cid.to_str().unwrap();
    let ran = engine.slipway(&["run", "--rm", "-d", "--cidfile", cid, "busybox", "true"]);
    assert_eq!(ran.stdout.trim_end(), std::fs::read_to_string(cid).unwrap());
    assert_eq!(same(engine, &["ps", "-q"]).1.stdout, "");
}

/// Gives a command to both. Ages change between two looks: then they look again.
fn same(engine: &Engine, words: &[&str]) -> (Ran, Ran) {
    let mut attempts = 0;
    loop {
        let docker = engine.run(Client::Docker, words, "");
        let slipway = engine.run(Client::Slipway, words, "");
        let equal = docker.code == slipway.code && docker.stdout == slipway.stdout;
        attempts += 1;
        if equal || attempts == 5 {
            assert!(equal, "{words:?}\ndocker: {docker}\nslipway: {slipway}");
            return (docker, slipway);
        }
    }
}
