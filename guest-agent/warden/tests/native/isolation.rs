//! What a container may see and do.

use std::collections::BTreeMap;

use runtime::spec::{Namespace, Rlimit, Seccomp};

use crate::support::Warden;

#[test]
fn namespaces_are_its_own() {
    let mut warden = Warden::start();
    let out = warden.sh(
        "ns",
        "echo $$; hostname; ps | wc -l; ls /proc/1/fd; cat /proc/self/cgroup",
    );
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[..3], ["1", "box", "4"], "{out}");
    // No descriptor of the warden's came along.
    assert_eq!(lines[3..6], ["0", "1", "2"], "{out}");
    assert!(out.contains("0::/\n"), "the cgroup is the root: {out}");
    let out = warden.sh("net", "ls /sys/class/net; cat /proc/net/dev | grep -c :");
    assert_eq!(out, "lo\n1\n");
    let out = warden.sh("mounts", "cat /proc/mounts");
    assert!(out.starts_with("overlay / overlay rw"), "{out}");
    assert_eq!(
        out.lines().filter(|line| line.contains(" / ")).count(),
        1,
        "{out}"
    );
    for part in [
        "proc /proc proc rw,nosuid,nodev,noexec",
        "tmpfs /dev tmpfs rw,nosuid,",
        "devpts /dev/pts devpts rw,nosuid,noexec",
        "/dev/mqueue mqueue",
        "/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k",
        "sysfs /sys sysfs ro,nosuid,nodev,noexec",
        "/sys/fs/cgroup cgroup2 ro,nosuid,nodev,noexec",
    ] {
        assert!(out.contains(part), "{part} not in {out}");
    }
}

#[test]
fn host_namespaces_can_be_shared() {
    let mut warden = Warden::start();
    let mut spec = warden.spec(
        "host",
        &["sh", "-c", "cd /proc/self/ns; readlink net; readlink uts"],
    );
    spec.namespaces.net = Namespace::Host;
    spec.namespaces.uts = Namespace::Host;
    let (_, out, _) = warden.run(spec);
    let own = |kind: &str| {
        let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        link.display().to_string()
    };
    assert_eq!(out, format!("{}\n{}\n", own("net"), own("uts")));

    // Another container's, by path.
    let first = warden.spec("first", &["sleep", "1000"]);
    let (target, _client) = warden.launch(first, false).unwrap();
    let pid = warden
        .list()
        .iter()
        .find(|s| s.target == target)
        .unwrap()
        .pid;
    let mut second = warden.spec(
        "second",
        &[
            "sh",
            "-c",
            "hostname; ps | grep -c '[s]leep 1000'; readlink /proc/self/ns/net",
        ],
    );
    let path = |kind: &str| Namespace::Path(format!("/proc/{pid}/ns/{kind}").into());
    second.hostname = "ignored".into();
    second.namespaces.net = path("net");
    second.namespaces.pid = path("pid");
    second.namespaces.uts = path("uts");
    let (code, out, err) = warden.run(second);
    let net = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, format!("box\n1\n{}\n", net.display()));
    warden.kill(&target, libc::SIGKILL);
    assert_eq!(warden.wait(&target).code, 137);
    // The warden itself is where it was: new containers have pid 1 again.
    assert_eq!(warden.sh("after", "echo $$"), "1\n");
}

#[test]
fn users_groups_and_home() {
    let mut warden = Warden::start();
    let mut id = |user: &str, groups: &[&str]| {
        let name = format!("u-{}-{}", user.replace(':', "-"), groups.len());
        let mut spec = warden.spec(&name, &["sh", "-c", "id -u; id -g; id -G; echo $HOME"]);
        spec.process.user = user.into();
        spec.process.additional_groups = groups.iter().map(ToString::to_string).collect();
        let (code, out, err) = warden.run(spec);
        assert_eq!((code, err.as_str()), (0, ""));
        out.replace('\n', "|")
    };
    assert_eq!(id("", &[]), "0|0|0|/root|");
    assert_eq!(id("ann", &[]), "1000|1000|1000 29|/home/ann|");
    assert_eq!(id("1234:29", &["ann"]), "1234|29|29 1000|/|");
    let mut spec = warden.spec("stdout", &["sh", "-c", "echo hi > /dev/stdout; touch /x"]);
    spec.process.user = "ann".into();
    let (code, out, err) = warden.run(spec);
    assert_eq!((code, out.as_str()), (1, "hi\n"));
    assert!(err.contains("/x: Permission denied"), "{err}");
}

#[test]
fn capabilities_are_dockers() {
    let mut warden = Warden::start();
    let line = "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status";
    let status = |warden: &mut Warden, name: &str, user: &str, strict: bool| {
        let mut spec = warden.spec(name, &["sh", "-c", line]);
        spec.process.user = user.into();
        spec.process.no_new_privileges = strict;
        let (_, out, _) = warden.run(spec);
        out.lines()
            .filter_map(|line| line.split_once(":\t"))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let root = status(&mut warden, "root", "", false);
    let docker = "00000000a80425fb";
    for (set, value) in [
        ("CapInh", "0000000000000000"),
        ("CapPrm", docker),
        ("CapEff", docker),
        ("CapBnd", docker),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "0"),
        ("Seccomp", "2"),
    ] {
        assert_eq!(root[set], value, "{set}");
    }
    let ann = status(&mut warden, "ann", "ann", true);
    for (set, value) in [
        ("CapPrm", "0000000000000000"),
        ("CapEff", "0000000000000000"),
        ("CapBnd", docker),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
    ] {
        assert_eq!(ann[set], value, "{set}");
    }
}

#[test]
fn the_filter_refuses_and_a_profile_replaces_it() {
    let mut warden = Warden::start();
    let line = "unshare -m true; echo $?";
    let mut spec = warden.spec("default", &["sh", "-c", line]);
    let all = ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SETPCAP"];
    let (_, out, err) = warden.run(spec.clone());
    assert_eq!(out, "1\n");
    assert!(err.contains("Operation not permitted"), "{err}");
    spec.id = "unconfined".into();
    spec.process.seccomp = Seccomp::Unconfined;
    spec.process.capabilities = all.map(str::to_owned).to_vec();
    assert_eq!(warden.run(spec.clone()).1, "0\n");
    // An own profile: everything but mkdir, which gets an errno of its own (ENOSPC).
    let mut spec = warden.spec("own", &["sh", "-c", "mkdir /x; echo $?"]);
    spec.process.seccomp = Seccomp::Profile(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],
        "action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#
            .into(),
    );
    let (_, out, err) = warden.run(spec);
    assert_eq!(out, "1\n");
    assert!(err.contains("No space left on device"), "{err}");
    let mut spec = warden.spec("broken", &["true"]);
    spec.process.seccomp = Seccomp::Profile("{".into());
    let failure = warden.launch(spec, false).unwrap_err();
    assert!(
        failure.message.contains("Decoding seccomp profile failed"),
        "{failure}"
    );
}

#[test]
fn masked_and_readonly_paths() {
    let mut warden = Warden::start();
    let line = "ls /sys/firmware; cat /proc/keys; echo keys; \
        echo 1 > /proc/sys/kernel/msgmax; touch /sys/x; \
        touch /sys/firmware/x; touch /sys/fs/cgroup/x; echo done";
    let spec = warden.spec("masked", &["sh", "-c", line]);
    let (_, out, err) = warden.run(spec);
    assert_eq!(out, "keys\ndone\n", "{err}");
    assert_eq!(err.matches("Read-only file system").count(), 4, "{err}");
    // A container of its own choosing must not get at what a mask covers by a link.
    let upper = warden.dir.path().join("linked/upper");
    std::fs::create_dir_all(&upper).unwrap();
    std::os::unix::fs::symlink("/tmp", upper.join("proc")).unwrap();
    let spec = warden.spec("linked", &["true"]);
    let failure = warden.launch(spec, false).unwrap_err();
    assert_eq!(
        failure.message,
        "the image's \"/proc\" is not an ordinary directory"
    );
}

#[test]
fn a_readonly_root_keeps_its_mounts_writable() {
    let mut warden = Warden::start();
    let mut spec = warden.spec(
        "ro",
        &["sh", "-c", "touch /x; touch /dev/shm/y && echo shm; pwd"],
    );
    spec.readonly_root = true;
    spec.process.cwd = "/made/for/it".into();
    let (_, out, err) = warden.run(spec);
    assert_eq!(out, "shm\n/made/for/it\n");
    assert!(err.contains("/x: Read-only file system"), "{err}");
}

#[test]
fn limits_sysctls_and_scores() {
    let mut warden = Warden::start();
    let line = "ulimit -n; cat /proc/sys/net/ipv4/ip_default_ttl /proc/self/oom_score_adj; \
        cat /proc/sys/kernel/domainname";
    let mut spec = warden.spec("limits", &["sh", "-c", line]);
    spec.process.rlimits = vec![Rlimit {
        name: "nofile".into(),
        soft: 777,
        hard: 778,
    }];
    spec.process.oom_score_adj = 321;
    spec.domainname = "example".into();
    spec.sysctls = [("net.ipv4.ip_default_ttl".to_owned(), "77".to_owned())].into();
    let (code, out, err) = warden.run(spec);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "777\n77\n321\nexample\n", "")
    );
    let mut spec = warden.spec("bad", &["true"]);
    spec.sysctls = [("kernel.panic".to_owned(), "1".to_owned())].into();
    let failure = warden.launch(spec, false).unwrap_err();
    assert_eq!(
        failure.message,
        "sysctl \"kernel.panic\" is not in a separate kernel namespace"
    );
}

#[test]
fn devices_are_the_standard_ones() {
    let mut warden = Warden::start();
    let out = warden.sh(
        "dev",
        "ls /dev; stat -c '%t:%T %a' /dev/null /dev/tty; readlink /dev/ptmx",
    );
    assert_eq!(
        out.replace('\n', " "),
        "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero \
         1:3 666 5:0 666 pts/ptmx "
    );
    // A node can be made, but only the standard devices can be opened.
    let line = "mknod /kmsg c 1 11 && head -c 1 /kmsg; mknod /null c 1 3 && echo x > /null";
    let spec = warden.spec("nodes", &["sh", "-c", line]);
    let (code, _, err) = warden.run(spec);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("/kmsg: Operation not permitted"), "{err}");
    let mut spec = warden.spec(
        "privileged",
        &["sh", "-c", "ls /dev; touch /sys/fs/cgroup/x"],
    );
    spec.privileged = true;
    spec.masked_paths.clear();
    spec.readonly_paths.clear();
    let (_, out, err) = warden.run(spec.clone());
    assert!(out.lines().count() > 16, "{out}");
    assert!(err.contains("Read-only"), "{err}");
    spec.id = "writable".into();
    spec.writable_cgroups = true;
    let (_, _, err) = warden.run(spec);
    assert!(!err.contains("Read-only"), "{err}");
}

#[test]
fn the_working_directory_can_not_leave_the_root() {
    let mut warden = Warden::start();
    for (number, cwd) in [
        "/proc/self/fd/3",
        "/proc/self/fd/7",
        "/proc/self/fd/8/../..",
    ]
    .into_iter()
    .enumerate()
    {
        let mut spec = warden.spec(&format!("cwd-{number}"), &["pwd"]);
        spec.process.cwd = cwd.into();
        // Either there is nothing there, or the link is not followed.
        assert!(warden.launch(spec, false).is_err(), "{cwd}");
    }
    let mut spec = warden.spec("relative", &["pwd"]);
    spec.process.cwd = "tmp".into();
    let failure = warden.launch(spec, false).unwrap_err();
    assert_eq!(failure.message, "Cwd must be an absolute path");
}
