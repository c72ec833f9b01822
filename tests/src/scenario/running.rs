//! `docker run`: streams, terminals, exit codes, options.

use std::time::Duration;

use crate::busybox;
use crate::{Machine, Steps};

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    steps.step("run --rm", || simple(machine));
    steps.step("run: streams stay apart", || streams(machine));
    steps.step("run: exit codes", || exit_codes(machine));
    steps.step("run: 125, 126 and 127", || docker_codes(machine));
    steps.step("run -i: standard input and its end", || input(machine));
    steps.step("run: much output", || much_output(machine));
    steps.step("run -it", || terminal(machine));
    steps.step("run -it: window size", || window_size(machine));
    steps.step("run: environment, folder, user, names", || options(machine));
    steps.step("run: layers", || layers(machine));
    steps.step("run --read-only and --tmpfs", || read_only(machine));
    steps.step("run: a name that is taken", || name_conflict(machine));
    steps.step("run --entrypoint and --init of processes", || {
        processes(machine)
    });
}

fn simple(machine: &Machine) {
    let ran = machine.run(&[], &["echo", "hello"]).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("hello\n", ""));
    let left = machine.docker(&["ps", "-aq"]).text();
    assert_eq!(left, "", "a container outlived --rm");
}

fn streams(machine: &Machine) {
    let ran = machine
        .run(&[], &["sh", "-c", "echo out; echo err >&2"])
        .exits(0);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );
}

fn exit_codes(machine: &Machine) {
    for code in [0, 1, 7, 255] {
        let script = format!("exit {code}");
        let _ = machine.run(&[], &["sh", "-c", &script]).exits(code);
    }
    let _ = machine
        .run(&[], &["sh", "-c", "kill -KILL $$; exit 3"])
        .exits(3);
    // A shell in between is not process 1, which the kernel protects from its own signals.
    let _ = machine
        .run(&[], &["sh", "-c", "sh -c 'kill -TERM $$'; exit $?"])
        .exits(143);
}

fn docker_codes(machine: &Machine) {
    let _ = machine
        .run(&[], &["nonesuch"])
        .exits(127)
        .complains("exec: \"nonesuch\": executable file not found in $PATH");
    let _ = machine
        .run(&[], &["/nonesuch"])
        .exits(127)
        .complains("stat /nonesuch: no such file or directory");
    let _ = machine
        .run(&[], &["/etc/passwd"])
        .exits(126)
        .complains("permission denied");
    let _ = machine
        .docker(&["run", "--rm", "--pull", "never", "nowhere:1"])
        .exits(125)
        .complains("No such image: nowhere:1");
    let _ = machine
        .docker(&["run", "--rm", "--network", "nowhere", busybox::NAME])
        .exits(125)
        .complains("network nowhere not found");
    let left = machine.docker(&["ps", "-aq"]).text();
    assert_eq!(left, "", "a container that failed to start outlived --rm");
}

fn input(machine: &Machine) {
    let run = |input: Vec<u8>, command: &[&str]| {
        let mut args = vec!["run", "--rm", "-i", busybox::NAME];
        args.extend(command);
        machine.docker_command(&args).input(input).run()
    };
    assert_eq!(run(b"some words".to_vec(), &["cat"]).ok(), "some words");
    assert_eq!(run(Vec::new(), &["cat"]).ok(), "");
    // Enough to fill every buffer on the way.
    let megabyte: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let sum = busybox::digest(&megabyte);
    let said = run(megabyte, &["sha256sum"]).ok();
    assert_eq!(said.split(' ').next(), sum.strip_prefix("sha256:"));
    // Without -i there is nothing to read.
    assert_eq!(machine.run(&[], &["cat"]).ok(), "");
}

fn much_output(machine: &Machine) {
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    let text = machine.run(&[], &["sh", "-c", script]).ok();
    let wanted: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    assert_eq!(text.len(), wanted.len());
    assert!(text == wanted, "lines are missing or out of order");
}

fn terminal(machine: &Machine) {
    let mut terminal = machine.docker_terminal(&["run", "--rm", "-it", busybox::NAME, "sh"]);
    terminal.wait_for("/ # ");
    terminal.type_in("echo $((40+2))-$(tty)\r");
    terminal.wait_for("42-/dev/pts/0");
    // Ctrl-C reaches the program, not docker.
    // The quotes keep the echo of the line apart from what it prints.
    terminal.type_in("sh -c 'echo be\"\"gun; sleep 1000'\r");
    terminal.wait_for("begun");
    terminal.type_in("\u{3}");
    terminal.type_in("echo again-$?\r");
    terminal.wait_for("again-130");
    terminal.type_in("exit 5\r");
    assert_eq!(terminal.wait(), 5, "{}", terminal.screen());
}

fn window_size(machine: &Machine) {
    let mut terminal = machine.docker_terminal(&["run", "--rm", "-it", busybox::NAME, "sh"]);
    terminal.wait_for("/ # ");
    terminal.type_in("until stty size | grep -q '30 100'; do usleep 50000; done; echo first-$?\r");
    terminal.wait_for("first-0");
    terminal.resize(41, 121);
    terminal.type_in("until stty size | grep -q '41 121'; do usleep 50000; done; echo second-$?\r");
    terminal.wait_for("second-0");
    terminal.type_in("exit\r");
    assert_eq!(terminal.wait(), 0);
}

fn options(machine: &Machine) {
    let env = machine.run(&["-e", "A=b c", "-e", "EMPTY="], &["env"]).ok();
    let has = |line: &str| env.lines().any(|found| found == line);
    assert!(
        has("A=b c") && has("EMPTY=") && has("FROM_IMAGE=yes") && has("HOME=/root"),
        "{env}"
    );
    assert!(
        has("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        "{env}"
    );
    assert_eq!(
        machine.run(&["-w", "/made/here"], &["pwd"]).text(),
        "/made/here"
    );
    assert_eq!(
        machine.run(&["-u", "sailor"], &["id"]).text(),
        "uid=1000(sailor) gid=1000(sailor) groups=1000(sailor),1001(crew)"
    );
    assert_eq!(
        machine.run(&["-u", "7:8"], &["id"]).text(),
        "uid=7 gid=8 groups=8"
    );
    let _ = machine
        .run(&["-u", "nobody-here"], &["id"])
        .exits(125)
        .complains("unable to find user nobody-here: no matching entries in passwd file");
    assert_eq!(
        machine.run(&["-h", "box.lan"], &["hostname"]).text(),
        "box.lan"
    );
    assert_eq!(
        machine.run(&["--entrypoint", "echo"], &["a", "b"]).text(),
        "a b"
    );
    let hosts = machine
        .run(
            &["-h", "box", "--add-host", "far:10.1.2.3"],
            &["cat", "/etc/hosts"],
        )
        .ok();
    assert!(
        hosts.contains("127.0.0.1\tlocalhost") && hosts.contains("10.1.2.3\tfar"),
        "{hosts}"
    );
    assert!(hosts.lines().any(|line| line.ends_with("\tbox")), "{hosts}");
    let limit = machine.run(
        &["--ulimit", "nofile=123:456"],
        &["sh", "-c", "ulimit -n; ulimit -Hn"],
    );
    assert_eq!(limit.ok(), "123\n456\n");
    let file = machine.home().join("id");
    let path = file.to_str().expect("a short path");
    let id = machine.run_detached(&["--cidfile", path, "-l", "color=blue"], &["true"]);
    assert_eq!(std::fs::read_to_string(&file).expect("the id file"), id);
    let found = machine
        .docker(&["ps", "-aq", "--no-trunc", "--filter", "label=color=blue"])
        .text();
    assert_eq!(found, id);
    assert_eq!(machine.docker(&["wait", &id]).text(), "0");
    machine.docker(&["rm", &id]).ok();
}

fn layers(machine: &Machine) {
    let script = "cat /etc/replaced; ls /etc/removed; echo mine > /etc/replaced; cat /etc/replaced; rm -r /home && ls -d /home";
    let ran = machine.run(&[], &["sh", "-c", script]);
    assert_eq!(ran.stdout, "second\nmine\n", "{ran}");
    assert!(ran.stderr.contains("/etc/removed: No such file"), "{ran}");
    // The next container sees the image as it was.
    assert_eq!(
        machine
            .run(&[], &["sh", "-c", "cat /etc/replaced; ls -d /home"])
            .ok(),
        "second\n/home\n"
    );
}

fn read_only(machine: &Machine) {
    let ran = machine.run(&["--read-only"], &["touch", "/file"]).exits(1);
    let _ = ran.complains("Read-only file system");
    let script = "touch /t/file && df -k /t | tail -1";
    let text = machine
        .run(
            &["--read-only", "--tmpfs", "/t:size=4m"],
            &["sh", "-c", script],
        )
        .ok();
    assert!(text.contains("4096"), "{text}");
    let shm = machine
        .run(
            &["--shm-size", "8m"],
            &["sh", "-c", "df -k /dev/shm | tail -1"],
        )
        .ok();
    assert!(shm.contains("8192"), "{shm}");
}

fn name_conflict(machine: &Machine) {
    let id = machine.run_detached(&["--name", "taken"], &["sleep", "1000"]);
    let refused = machine.run(&["--name", "taken"], &["true"]).exits(125);
    let _ = refused.complains(&format!("Conflict. The container name \"/taken\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."));
    let refused = machine.run(&["--name", "not/valid"], &["true"]).exits(125);
    let _ = refused.complains(
        "Invalid container name (not/valid), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    );
    machine.docker(&["rm", "-f", "taken"]).ok();
}

fn processes(machine: &Machine) {
    // The container has its own processes: its command is the first.
    let text = machine
        .run(&[], &["sh", "-c", "echo $$; ls -d /proc/[0-9]* | wc -l"])
        .ok();
    let numbers: Vec<u32> = text
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    assert_eq!(numbers.first(), Some(&1), "{text}");
    assert!(numbers.get(1).is_some_and(|count| *count <= 4), "{text}");
    // Orphans of a container end with it.
    let begun = std::time::Instant::now();
    machine.run(&[], &["sh", "-c", "sleep 1000 & exit 0"]).ok();
    assert!(begun.elapsed() < Duration::from_secs(60));
}
