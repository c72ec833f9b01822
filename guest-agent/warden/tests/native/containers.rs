//! Starting, stopping, failing to start.

use runtime::spec::{Mount, MountKind, Resources};
use warden::protocol::{Call, FailureReason, Outcome};

use crate::support::{Warden, eventually};

#[test]
fn exit_codes_and_output() {
    let mut warden = Warden::start();
    let spec = warden.spec("one", &["sh", "-c", "echo out; echo err >&2; exit 42"]);
    assert_eq!(
        warden.run(spec),
        (42, "out\n".to_owned(), "err\n".to_owned())
    );
    let spec = warden.spec("two", &["sh", "-c", "kill -9 $$; echo still here"]);
    // Pid 1 is immune to its own signals, as in every container.
    assert_eq!(warden.run(spec).1, "still here\n");
    let states = warden.list();
    assert_eq!(states.len(), 2);
    let exit = states[0].exit.as_ref().unwrap();
    assert_eq!((exit.code, exit.oom_killed), (42, false));
    for state in states {
        warden.done(Call::Forget {
            target: state.target,
        });
    }
    assert!(warden.list().is_empty());
}

#[test]
fn signals_give_128_and_more() {
    let mut warden = Warden::start();
    let spec = warden.spec("killed", &["sleep", "1000"]);
    let (target, _client) = warden.launch(spec, false).unwrap();
    warden.kill(&target, libc::SIGKILL);
    assert_eq!(warden.wait(&target).code, 137);
    let line = "trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let spec = warden.spec("trapped", &["sh", "-c", line]);
    let (target, client) = warden.launch(spec, false).unwrap();
    let log = warden.dir.path().join("trapped/log");
    eventually("the trap is set", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("ready"))
    });
    warden.kill(&target, libc::SIGTERM);
    assert_eq!(warden.wait(&target).code, 7);
    let (out, _) = crate::support::read_all(client, false);
    assert_eq!(out, "ready\ngot\n");
    // Gone is gone.
    match warden.call(
        Call::Signal {
            target,
            signal: libc::SIGTERM,
        },
        &[],
    ) {
        Outcome::Failed(failure) => assert_eq!(failure.reason, FailureReason::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_can_not_start_says_why() {
    let mut warden = Warden::start();
    let mut number = 0;
    let mut why = |warden: &mut Warden, args: &[&str], user: &str| {
        number += 1;
        let mut spec = warden.spec(&format!("bad-{number}"), args);
        spec.process.user = user.to_owned();
        let failure = warden.launch(spec, false).unwrap_err();
        (failure.reason, failure.message)
    };
    assert_eq!(
        why(&mut warden, &["foo"], ""),
        (
            FailureReason::CommandNotFound,
            "exec: \"foo\": executable file not found in $PATH".into()
        )
    );
    assert_eq!(
        why(&mut warden, &["/no/such"], "").1,
        "exec: \"/no/such\": stat /no/such: no such file or directory"
    );
    assert_eq!(
        why(&mut warden, &["/etc"], ""),
        (
            FailureReason::CommandNotExecutable,
            "exec: \"/etc\": is a directory: permission denied".into()
        )
    );
    assert_eq!(
        why(&mut warden, &["/etc/not-executable"], "").1,
        "exec: \"/etc/not-executable\": permission denied"
    );
    assert_eq!(
        why(&mut warden, &["sh"], "foo"),
        (
            FailureReason::UnknownUser,
            "unable to find user foo: no matching entries in passwd file".into()
        )
    );
    assert_eq!(
        why(&mut warden, &[], "").1,
        "exec: \"\": executable file not found in $PATH"
    );
    assert!(warden.list().is_empty(), "failures leave nothing behind");
    // The kernel's own refusal comes from the container, as with runc.
    let spec = warden.spec("format", &["bad-format"]);
    let (code, _, err) = warden.run(spec);
    assert_eq!(
        (code, err.as_str()),
        (255, "exec /bin/bad-format: exec format error\n")
    );
}

#[test]
fn the_same_name_can_not_start_twice() {
    let mut warden = Warden::start();
    let spec = warden.spec("twin", &["sleep", "1000"]);
    let (target, _client) = warden.launch(spec.clone(), false).unwrap();
    let failure = warden.launch(spec, false).unwrap_err();
    assert_eq!(failure.reason, FailureReason::InvalidSpec);
    warden.kill(&target, libc::SIGKILL);
    assert_eq!(warden.wait(&target).code, 137);
}

#[test]
fn mounts_stay_inside_the_root() {
    let mut warden = Warden::start();
    let shared = warden.dir.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("file"), "from outside").unwrap();
    let upper = warden.dir.path().join("m/upper");
    std::fs::create_dir_all(&upper).unwrap();
    // A link out of the root, which must be resolved inside it.
    std::os::unix::fs::symlink("../../../../escape", upper.join("link")).unwrap();
    let mount = |kind, source: &std::path::Path, target: &str, readonly, option: &str| Mount {
        kind,
        source: source.to_owned(),
        target: target.into(),
        readonly,
        options: vec![option.to_owned()],
    };
    let mut spec = warden.spec(
        "m",
        &[
            "sh",
            "-c",
            "cat /data/file /escape/file /one; touch /data/x; touch /link/y; df -m /t",
        ],
    );
    spec.mounts = vec![
        mount(MountKind::Bind, &shared, "/data", true, "rprivate"),
        mount(MountKind::Bind, &shared, "/link", false, "rprivate"),
        mount(
            MountKind::Bind,
            &shared.join("file"),
            "/one",
            true,
            "rprivate",
        ),
        mount(
            MountKind::Tmpfs,
            "".as_ref(),
            "/t",
            false,
            "size=7m,mode=1777",
        ),
    ];
    std::fs::create_dir(upper.join("escape")).unwrap();
    let (code, out, err) = warden.run(spec);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.starts_with("from outsidefrom outsidefrom outside"),
        "{out}"
    );
    assert!(out.contains(" 7 "), "{out}");
    assert!(err.contains("/data/x: Read-only file system"), "{err}");
    assert!(shared.join("y").exists() && !shared.join("x").exists());

    let mut spec = warden.spec("p", &["true"]);
    spec.mounts = vec![mount(
        MountKind::Bind,
        &shared,
        "/proc/self",
        false,
        "rprivate",
    )];
    let failure = warden.launch(spec, false).unwrap_err();
    assert!(failure.message.contains("inside /proc"), "{failure}");
}

#[test]
fn an_engine_that_dies_loses_no_exit() {
    let mut warden = Warden::start();
    let spec = warden.spec("kept", &["sh", "-c", "sleep 0.1; exit 9"]);
    let (target, _client) = warden.launch(spec, false).unwrap();
    let spec = warden.spec("alive", &["sleep", "1000"]);
    let (alive, _client) = warden.launch(spec, false).unwrap();
    let agent = rustix::process::Pid::from_raw(warden.agent_pid()).unwrap();
    rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
    warden.take_new_engine();
    eventually("the exit is listed", || {
        warden
            .list()
            .iter()
            .any(|state| state.target == target && state.exit.as_ref().is_some_and(|e| e.code == 9))
    });
    assert!(
        warden
            .list()
            .iter()
            .any(|s| s.target == alive && s.exit.is_none())
    );
    warden.kill(&alive, libc::SIGKILL);
    assert_eq!(warden.wait(&alive).code, 137);
}

#[test]
fn power_off_ends_everything() {
    let mut warden = Warden::start();
    let spec = warden.spec("last", &["sleep", "1000"]);
    let (_, client) = warden.launch(spec, false).unwrap();
    warden.done(Call::PowerOff);
    assert!(warden.child().wait().unwrap().success());
    assert_eq!(crate::support::read_all(client, false).0, "");
}

#[test]
fn pause_stops_the_clock_of_a_container() {
    let mut warden = Warden::start();
    let line = "while :; do echo tick; sleep 0.01; done";
    let spec = warden.spec("paused", &["sh", "-c", line]);
    let (target, _client) = warden.launch(spec, false).unwrap();
    let log = warden.dir.path().join("paused/log");
    let size = || std::fs::metadata(&log).map_or(0, |data| data.len());
    let freeze = |frozen| Call::Freeze {
        container: "paused".into(),
        frozen,
    };
    eventually("it ticks", || size() > 0);
    warden.done(freeze(true));
    // What was in the pipe is through once the warden answers again and again.
    let mut before = size();
    eventually("it is still", || {
        let _ = warden.list();
        let now = size();
        std::mem::replace(&mut before, now) == now
    });
    let still = size();
    warden.done(freeze(false));
    eventually("it ticks again", || size() > still);
    warden.done(freeze(true));
    warden.kill(&target, libc::SIGKILL);
    assert_eq!(warden.wait(&target).code, 137);
}

#[test]
fn many_containers_leave_nothing_behind() {
    let mut warden = Warden::start();
    let open = |warden: &Warden| {
        std::fs::read_dir(format!("/proc/{}/fd", warden.pid()))
            .unwrap()
            .count()
    };
    // The first container loads the device filter, which stays.
    let spec = warden.spec("first", &["true"]);
    assert_eq!(warden.run(spec).0, 0);
    for state in warden.list() {
        warden.done(Call::Forget {
            target: state.target,
        });
    }
    let before = open(&warden);
    for round in 0..5 {
        let clients: Vec<_> = (0..8)
            .map(|number| {
                let name = format!("many-{round}-{number}");
                let mut spec = warden.spec(&name, &["echo", "hi"]);
                spec.process.tty = number % 2 == 0;
                warden.launch(spec, false).unwrap()
            })
            .collect();
        for (target, client) in clients {
            let (out, _) =
                crate::support::read_all(client, target.container.ends_with(['0', '2', '4', '6']));
            assert_eq!(out.trim_end(), "hi");
            assert_eq!(warden.wait(&target).code, 0);
            warden.done(Call::Forget { target });
        }
    }
    assert!(warden.list().is_empty());
    assert_eq!(open(&warden), before, "descriptors of the warden");
    let children = format!("/proc/{0}/task/{0}/children", warden.pid());
    let children = std::fs::read_to_string(children).unwrap();
    assert_eq!(children.split_whitespace().count(), 1, "only the engine");
    for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
        let ours = format!("{root}/slipway-test-{}", warden.pid());
        let left = std::fs::read_dir(ours).map_or(0, |entries| {
            entries
                .flatten()
                .filter(|entry| entry.path().is_dir())
                .count()
        });
        assert_eq!(left, 0, "cgroups");
    }
}

#[test]
fn limits_change_while_a_container_runs() {
    let mut warden = Warden::start();
    let spec = warden.spec("limited", &["sleep", "1000"]);
    let cgroup = spec.cgroup.clone();
    let (target, _client) = warden.launch(spec, false).unwrap();
    let update = |warden: &mut Warden, container: &str| {
        let resources = Box::new(Resources {
            pids: Some(17),
            ..Resources::default()
        });
        let container = container.to_owned();
        warden.call(
            Call::Update {
                container,
                resources,
            },
            &[],
        )
    };
    let Outcome::Updated { warnings } = update(&mut warden, "limited") else {
        panic!("not updated");
    };
    let hierarchy = runtime::cgroup::Hierarchy::find().unwrap();
    let counters = hierarchy.existing(&cgroup).counters();
    if warnings.is_empty() {
        assert_eq!(counters.pids_limit, Some(17));
    } else {
        // A host without the controller says so, and runs on.
        let text = "Your kernel does not support pids.max. The limit is discarded.";
        assert_eq!(warnings, [text]);
        assert_eq!(counters.pids_limit, None);
    }
    assert_eq!(counters.pids, 1);
    warden.kill(&target, libc::SIGKILL);
    warden.wait(&target);
    match update(&mut warden, "limited") {
        Outcome::Failed(failure) => assert_eq!(failure.reason, FailureReason::NotFound),
        other => panic!("{other:?}"),
    }
}
