//! The engine dies and comes back; containers go on.

use crate::support::host;

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
