//! Exec sessions in a running container.

use warden::protocol::{FailureReason, Target};

use crate::support::{Warden, process, read_all};

/// A container to run sessions in.
fn running(warden: &mut Warden) -> Target {
    let mut spec = warden.spec("c", &["sleep", "1000"]);
    spec.process.env.push("OF=container".into());
    warden.launch(spec, false).unwrap().0
}

#[test]
fn a_session_is_inside_with_the_same_limits() {
    let mut warden = Warden::start();
    let target = running(&mut warden);
    let line = "hostname; ps | grep -c '[s]leep 1000'; cat /proc/self/cgroup; \
        grep -E 'CapEff|Seccomp:' /proc/self/status; ls /proc/self/fd; pwd; exit 5";
    let mut session = process(&["sh", "-c", line]);
    session.cwd = "/tmp".into();
    let (exec, client) = warden.launch_exec("c", "e1", session, false).unwrap();
    let (out, err) = read_all(client, false);
    assert_eq!(err, "");
    assert!(
        out.starts_with("box\n1\n") && out.contains("\n0::/\n"),
        "{out}"
    );
    assert!(
        out.contains("CapEff:\t00000000a80425fb\nSeccomp:\t2\n"),
        "{out}"
    );
    assert!(out.ends_with("0\n1\n2\n3\n/tmp\n"), "{out}");
    assert_eq!(warden.wait(&exec).code, 5);
    assert!(
        warden
            .list()
            .iter()
            .any(|state| state.target == target && state.exit.is_none())
    );
    warden.kill(&target, libc::SIGKILL);
    assert_eq!(warden.wait(&target).code, 137);
}

#[test]
fn a_session_ends_with_its_container() {
    let mut warden = Warden::start();
    let target = running(&mut warden);
    let (exec, _client) = warden
        .launch_exec("c", "e1", process(&["sleep", "1000"]), false)
        .unwrap();
    warden.kill(&target, libc::SIGKILL);
    assert_eq!(warden.wait(&exec).code, 137);
    assert_eq!(warden.wait(&target).code, 137);
    let failure = warden
        .launch_exec("c", "e2", process(&["true"]), false)
        .unwrap_err();
    assert_eq!(failure.reason, FailureReason::NotFound);
}

#[test]
fn terminals_input_and_users() {
    let mut warden = Warden::start();
    let target = running(&mut warden);
    let mut session = process(&["sh", "-c", "tty; stty size; id -un; echo $HOME"]);
    session.tty = true;
    session.console_size = Some((20, 50));
    session.user = "ann".into();
    let (exec, client) = warden.launch_exec("c", "tty", session, false).unwrap();
    let (out, _) = read_all(client, true);
    assert_eq!(out, "/dev/pts/0\r\n20 50\r\nann\r\n/home/ann\r\n");
    assert_eq!(warden.wait(&exec).code, 0);

    let mut session = process(&["cat"]);
    session.open_stdin = true;
    let (exec, mut client) = warden.launch_exec("c", "in", session, true).unwrap();
    std::io::Write::write_all(&mut client, b"through").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_all(client, false).0, "through");
    assert_eq!(warden.wait(&exec).code, 0);
    warden.kill(&target, libc::SIGKILL);
}

#[test]
fn failures_are_told_apart() {
    let mut warden = Warden::start();
    let target = running(&mut warden);
    let fails = |warden: &mut Warden, exec: &str, args: &[&str], cwd: &str| {
        let mut session = process(args);
        session.cwd = cwd.into();
        let failure = warden.launch_exec("c", exec, session, false).unwrap_err();
        (failure.reason, failure.message)
    };
    assert_eq!(
        fails(&mut warden, "a", &["foo"], "/"),
        (
            FailureReason::CommandNotFound,
            "exec: \"foo\": executable file not found in $PATH".into()
        )
    );
    assert_eq!(
        fails(&mut warden, "b", &["true"], "/nowhere"),
        (
            FailureReason::System,
            "chdir to cwd (\"/nowhere\") set in config.json failed: no such file or directory"
                .into()
        )
    );
    // The name of a failed session is free again.
    let (exec, _) = warden
        .launch_exec("c", "a", process(&["true"]), false)
        .unwrap();
    assert_eq!(warden.wait(&exec).code, 0);
    warden.kill(&target, libc::SIGKILL);
}

#[test]
fn what_a_session_leaves_behind_does_not_hold_its_exit() {
    let mut warden = Warden::start();
    let target = running(&mut warden);
    let session = process(&["sh", "-c", "sleep 1000 & echo started"]);
    let (exec, client) = warden.launch_exec("c", "bg", session, false).unwrap();
    assert_eq!(read_all(client, false).0, "started\n");
    assert_eq!(warden.wait(&exec).code, 0);
    warden.kill(&target, libc::SIGKILL);
}
