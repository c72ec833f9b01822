//! Health checks: run as exec sessions, seen in inspect, ps and events.

use crate::support::{Host, host};

fn status(host: &Host, name: &str) -> String {
    host.field(name, ".State.Health.Status")
}

#[test]
fn a_check_decides_and_is_seen_everywhere() {
    let host = host!();
    host.docker(&[
        "run",
        "-d",
        "--name",
        "checked",
        "--health-cmd",
        "echo looking; test -e /well",
        "--health-interval",
        "100ms",
        "--health-retries",
        "2",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    let ps = |filter: &str| {
        let format = "{{.Names}} {{.Status}}";
        host.docker(&["ps", "--filter", filter, "--format", format])
            .good()
    };
    host.until("it is unhealthy", || {
        status(&host, "checked") == "unhealthy"
    });
    assert!(ps("health=unhealthy").ends_with("(unhealthy)"));
    assert_eq!(ps("health=healthy"), "");
    let last = "(index .State.Health.Log 0)";
    assert_eq!(host.field("checked", &format!("{last}.Output")), "looking");
    assert_eq!(host.field("checked", &format!("{last}.ExitCode")), "1");
    host.docker(&["exec", "checked", "touch", "/well"]).good();
    host.until("it is healthy", || status(&host, "checked") == "healthy");
    assert_eq!(host.field("checked", ".State.Health.FailingStreak"), "0");
    assert!(ps("health=healthy").ends_with("(healthy)"));
    host.until("five results are kept", || {
        host.field("checked", "len .State.Health.Log") == "5"
    });
    host.docker(&["ps", "--filter", "health=nonsense"]).bad(
        1,
        "invalid filter 'health=nonsense': invalid value for health (nonsense): must be one of none, starting, healthy, unhealthy",
    );

    let verdicts = || {
        host.docker(&[
            "events",
            "--since",
            "1h",
            "--until=-1s",
            "--filter",
            "event=health_status",
            "--format",
            "{{.Action}}",
        ])
        .good()
    };
    assert_eq!(
        verdicts(),
        "health_status: unhealthy\nhealth_status: healthy"
    );
    let sessions = host
        .docker(&[
            "events",
            "--since",
            "1h",
            "--until=-1s",
            "--filter",
            "event=exec_start",
            "--format",
            "{{.Action}}",
        ])
        .good();
    assert!(
        sessions.contains("exec_start: /bin/sh -c echo looking; test -e /well"),
        "{sessions}"
    );

    // A frozen container is not asked, and counts as unhealthy until it is asked again.
    host.docker(&["pause", "checked"]).good();
    assert_eq!(status(&host, "checked"), "unhealthy");
    host.docker(&["unpause", "checked"]).good();
    host.until("it is healthy", || status(&host, "checked") == "healthy");

    let agent = host.agent().expect("the agent runs");
    let pid = rustix::process::Pid::from_raw(agent).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    host.until("another agent asks", || {
        host.agent().is_some_and(|new| new != agent)
            && host.docker(&["ps"]).code == 0
            && status(&host, "checked") == "healthy"
    });
    host.docker(&["stop", "-t", "0", "checked"]).good();
    assert_eq!(status(&host, "checked"), "unhealthy");
    assert_eq!(host.field("checked", "len .State.Health.Log"), "5");
    host.docker(&["start", "checked"]).good();
    host.until("it is healthy again", || {
        status(&host, "checked") == "healthy"
    });
}

#[test]
fn a_check_that_takes_too_long_is_killed() {
    let host = host!();
    host.docker(&[
        "run",
        "-d",
        "--name",
        "slow",
        "--health-cmd",
        "echo begun; exec sleep 876",
        "--health-interval",
        "100ms",
        "--health-timeout",
        "1s",
        "--health-retries",
        "1",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    host.until("it is unhealthy", || status(&host, "slow") == "unhealthy");
    let last = "(index .State.Health.Log 0)";
    assert_eq!(
        host.field("slow", &format!("{last}.Output")),
        "Health check exceeded timeout (1s): begun"
    );
    assert_eq!(host.field("slow", &format!("{last}.ExitCode")), "-1");
    // Checks end with the pause, and leave nothing.
    host.docker(&["pause", "slow"]).good();
    host.until("nothing of a check is left", || {
        let left = host.docker(&["top", "slow", "-o", "pid,args"]).good();
        !left.contains("sleep 876")
    });
    host.docker(&["rm", "-f", "slow"]).good();
}

#[test]
fn checks_come_from_the_image_and_can_be_switched_off() {
    let host = host!();
    let run = |name: &str, more: &[&str]| {
        let mut args = vec!["run", "-d", "--name", name];
        args.extend(more);
        args.extend(["busybox", "sleep", "1000"]);
        host.docker(&args)
    };
    run("none", &["--no-healthcheck"]).good();
    assert_eq!(host.field("none", ".Config.Healthcheck.Test"), "[NONE]");
    assert_eq!(host.field("none", "json .State.Health"), "null");
    run(
        "missing",
        &["--health-cmd", "true", "--health-interval", "1us"],
    )
    .bad(125, "Interval in Healthcheck cannot be less than 1ms");
    // The start period forgives failures.
    run(
        "patient",
        &[
            "--health-cmd",
            "/nowhere",
            "--health-start-period",
            "1h",
            "--health-start-interval",
            "50ms",
            "--health-retries",
            "1",
        ],
    )
    .good();
    host.until("it was asked often enough", || {
        host.field("patient", "len .State.Health.Log") == "5"
    });
    assert_eq!(status(&host, "patient"), "starting");
    let ps = host.docker(&["ps", "--filter", "name=patient", "--format", "{{.Status}}"]);
    assert!(ps.good().ends_with("(health: starting)"));
}
