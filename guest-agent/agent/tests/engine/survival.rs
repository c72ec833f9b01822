//! The engine dies and comes back; containers go on.

use crate::support::{Host, host};

#[test]
fn containers_survive_the_engine_and_their_ends_are_recorded() {
    let host = host!();
    let script = "while [ ! -e /go ]; do sleep 0.05; done; echo done; exit 9";
    host.docker(&["run", "-d", "--name", "ends", "busybox", "sh", "-c", script])
        .good();
    host.docker(&["run", "-d", "--name", "stays", "busybox", "sleep", "1000"])
        .good();
    let address = host.field("stays", ".NetworkSettings.IPAddress");
    let first = host.field("ends", ".State.Pid");
    for round in 0..3 {
        let agent = host.agent().expect("the agent runs");
        let pid = rustix::process::Pid::from_raw(agent).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        if round == 1 {
            // It ends while nobody looks.
            std::fs::write(format!("/proc/{first}/root/go"), "").unwrap();
        }
        host.until("another agent answers", || {
            host.agent().is_some_and(|new| new != agent) && host.docker(&["ps"]).code == 0
        });
    }
    assert_eq!(host.field("stays", ".State.Status"), "running");
    assert_eq!(host.field("stays", ".NetworkSettings.IPAddress"), address);
    assert_eq!(
        host.docker(&["exec", "stays", "echo", "alive"]).good(),
        "alive"
    );
    host.until("the end is recorded", || {
        host.field("ends", ".State.Status") == "exited"
    });
    assert_eq!(host.field("ends", ".State.ExitCode"), "9");
    assert_eq!(host.docker(&["logs", "ends"]).good(), "done");
    host.docker(&["start", "ends"]).good();
    host.docker(&["rm", "-f", "ends", "stays"]).good();
}

/// Numbers that differ from run to run; the seed is printed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        eprintln!("the dice's seed is {}", now.as_nanos());
        Self(u64::try_from(now.as_nanos() & 0xffff_ffff).unwrap())
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

pub(crate) fn kill_agent(host: &Host) {
    host.until("an agent runs", || host.agent().is_some());
    let agent = host.agent().expect("the agent runs");
    let pid = rustix::process::Pid::from_raw(agent).unwrap();
    // It may just have ended by itself, which is as good.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    host.until("it is gone", || host.agent() != Some(agent));
}

/// What a short run leaves is written a moment after its end; until then the warden knows.
#[test]
fn an_engine_killed_right_after_a_short_run_knows_of_it() {
    let host = host!();
    for round in 0..6 {
        let name = format!("short{round}");
        let run = ["run", "--name", &name, "busybox", "sh", "-c", "exit 7"];
        assert_eq!(host.docker(&run).code, 7);
        let gone = format!("gone{round}");
        host.docker(&["run", "--name", &gone, "busybox", "true"])
            .good();
        host.docker(&["rm", &gone]).good();
        host.docker(&["run", "--rm", "busybox", "true"]).good();
        host.docker(&["start", &name]).good();
        kill_agent(&host);
        host.until("another agent answers", || host.docker(&["ps"]).code == 0);
        host.until("its end is known", || {
            host.field(&name, ".State.Status}} {{.State.ExitCode") == "exited 7"
        });
    }
    let all = host.docker(&["ps", "-a", "--format", "{{.Names}}"]).good();
    assert_eq!(all.lines().count(), 6, "{all}");
}

/// Fifty containers write and end, some of them again and again, while the engine is killed at any
/// instant.
#[test]
fn an_engine_killed_at_any_instant_loses_nothing() {
    const CONTAINERS: usize = 50;
    const LINES: usize = 40;
    let host = host!();
    let mut dice = Dice::new();
    let restarts = |number: usize| number.is_multiple_of(5);
    for number in 0..CONTAINERS {
        let name = format!("c{number}");
        let script = format!(
            "i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); sleep 0.1; done; exit {}",
            number + 1
        );
        let mut args = vec!["create", "--name", &name];
        if restarts(number) {
            args.push("--restart=on-failure:2");
        }
        args.extend(["busybox", "sh", "-c", &script]);
        host.docker(&args).good();
    }
    host.docker(&["run", "-di", "--name", "talks", "busybox", "cat"])
        .good();
    let names: Vec<String> = (0..CONTAINERS).map(|number| format!("c{number}")).collect();
    let mut args = vec!["start"];
    args.extend(names.iter().map(String::as_str));
    // The engine dies in the midst of the starts as well; those that are left are started below.
    let mut starting = host
        .command(&args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..8 {
        std::thread::sleep(std::time::Duration::from_millis(dice.below(700)));
        kill_agent(&host);
    }
    host.until("the engine answers", || host.docker(&["ps"]).code == 0);
    starting.wait().unwrap();
    let never = host
        .docker(&["ps", "-aq", "--filter", "status=created"])
        .good();
    if !never.is_empty() {
        let mut args = vec!["start"];
        args.extend(never.lines());
        host.docker(&args).good();
    }
    let mut talk = host
        .command(&["attach", "talks"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(talk.stdin.as_mut().unwrap(), b"hello\n").unwrap();
    let mut heard = String::new();
    let mut reader = std::io::BufReader::new(talk.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut reader, &mut heard).unwrap();
    assert_eq!(heard, "hello\n");
    host.until("all have ended for good", || {
        let format = "{{.Names}}";
        host.docker(&["ps", "--format", format]).good() == "talks"
    });
    for (number, name) in names.iter().enumerate() {
        let facts = host.field(name, ".State.Status}} {{.State.ExitCode}} {{.RestartCount");
        let runs = if restarts(number) { 3 } else { 1 };
        assert_eq!(
            facts,
            format!("exited {} {}", number + 1, runs - 1),
            "{name}"
        );
        let wanted: String = (0..runs)
            .flat_map(|_| 0..LINES)
            .map(|line| format!("line {line}\n"))
            .collect();
        assert_eq!(host.docker(&["logs", name]).stdout, wanted, "{name}");
    }
    host.docker(&["rm", "-f", "talks"]).good();
    talk.wait().unwrap();
}
