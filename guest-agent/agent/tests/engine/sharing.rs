//! What a container has of others: shared memory, volumes, images, and an init of ours.

use crate::support::{host, request};

#[test]
fn modes_of_shared_memory() {
    let host = host!();
    let shm = |options: &[&str], script: &str| {
        let mut args = vec!["run", "--rm"];
        args.extend_from_slice(options);
        args.extend(["busybox", "sh", "-c", script]);
        host.docker(&args)
    };
    let size = "df -k /dev/shm | tail -n 1 | awk '{print $2}'";
    assert_eq!(shm(&[], size).good(), "65536");
    assert_eq!(shm(&["--shm-size", "8m"], size).good(), "8192");
    assert_eq!(
        shm(&["--ipc", "none"], "grep -c ' /dev/shm ' /proc/mounts").stdout,
        "0\n"
    );
    host.docker(&[
        "run",
        "-d",
        "--name",
        "donor",
        "--ipc",
        "shareable",
        "--shm-size",
        "4m",
        "busybox",
        "sh",
        "-c",
        "echo from the donor > /dev/shm/x; sleep 1000",
    ])
    .good();
    host.until("the donor has written", || {
        host.docker(&["exec", "donor", "cat", "/dev/shm/x"]).code == 0
    });
    let joined = shm(
        &["--ipc", "container:donor"],
        &format!("cat /dev/shm/x; {size}"),
    );
    assert_eq!(joined.good(), "from the donor\n4096");
    host.docker(&["run", "-d", "--name", "private", "busybox", "sleep", "1000"])
        .good();
    shm(&["--ipc", "container:private"], "true").bad(125, "non-shareable IPC");
    // Its directory is gone with it.
    host.docker(&["rm", "-f", "donor"]).good();
    shm(&["--ipc", "container:donor"], "true").bad(125, "No such container: donor");
}

#[test]
fn a_small_init_reaps_and_passes_signals_on() {
    let host = host!();
    let tree = "cat /proc/1/comm; cat /proc/1/cmdline | tr '\\0' ' '; echo; exit 5";
    let output = host.docker(&["run", "--rm", "--init", "busybox", "sh", "-c", tree]);
    assert_eq!(output.code, 5, "{output:?}");
    assert!(
        output
            .stdout
            .starts_with("docker-init\n/sbin/docker-init -- sh -c "),
        "{output:?}"
    );
    // A signal reaches the program, whose code is the container's.
    let trap = "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    host.docker(&[
        "run", "-d", "--init", "--name", "init", "busybox", "sh", "-c", trap,
    ])
    .good();
    host.until("it is ready", || {
        host.docker(&["logs", "init"]).stdout == "ready\n"
    });
    // An orphan that ends is not left as a zombie.
    host.docker(&["exec", "init", "sh", "-c", "(sleep 0.1 &) ; true"])
        .good();
    let zombies = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l";
    host.until("no zombie and no sleeper is left", || {
        let ps = host.docker(&["exec", "init", "ps"]).stdout;
        !ps.contains("sleep 0.1")
            && host.docker(&["exec", "init", "sh", "-c", zombies]).stdout == "0\n"
    });
    host.docker(&["stop", "init"]).good();
    assert_eq!(host.field("init", ".State.ExitCode"), "9");
    host.docker(&["run", "--rm", "--init", "busybox", "nosuch"])
        .bad(127, "nosuch");
}

#[test]
fn mounts_come_from_other_containers_and_from_images() {
    let host = host!();
    let dir = host.path("shared");
    std::fs::create_dir(&dir).unwrap();
    let bind = format!("{dir}:/bound");
    host.docker(&[
        "create", "--name", "data", "-v", &bind, "-v", "/vol", "busybox",
    ])
    .good();
    let script = "echo x > /bound/new && echo y > /vol/new && cat /bound/new /vol/new";
    let from = |option: &str, script: &str| {
        host.docker(&[
            "run",
            "--rm",
            "--volumes-from",
            option,
            "busybox",
            "sh",
            "-c",
            script,
        ])
    };
    assert_eq!(from("data", script).good(), "x\ny");
    assert_eq!(from("data:ro", "cat /vol/new").good(), "y");
    from("data:ro", "touch /bound/other").bad(1, "Read-only file system");
    let body = "{\"Image\":\"busybox\",\"HostConfig\":{\"VolumesFrom\":[\"nope\"]}}";
    let (status, answer) = request(
        &host,
        "POST",
        "/containers/create",
        "application/json",
        body,
    );
    assert_eq!(status, 400);
    assert!(answer.contains("No such container: nope"), "{answer}");
    from("data:what", "true").bad(125, "invalid mode: what");

    let image = |mount: &str, script: &str| {
        host.docker(&[
            "run", "--rm", "--mount", mount, "busybox", "sh", "-c", script,
        ])
    };
    let mount = "type=image,src=busybox,dst=/img";
    assert_eq!(image(mount, "cat /img/data/seed").good(), "from the image");
    image(mount, "echo w > /img/w").bad(1, "Read-only file system");
    let part = "type=image,src=busybox,dst=/img,image-subpath=data";
    assert_eq!(image(part, "ls /img").good(), "seed");
    let script = "mkdir /sub /hack && echo world > /sub/hello && ln -s ../sub /hack/good && ln -s \
                  ../../../../etc /hack/bad && ln -s /sub /hack/absolute";
    host.docker(&["run", "--name", "parts", "busybox", "sh", "-c", script])
        .good();
    host.docker(&["commit", "parts", "parts"]).good();
    let part = |subpath: &str, script: &str| {
        let mount = format!("type=image,src=parts,dst=/img,image-subpath={subpath}");
        image(&mount, script)
    };
    assert_eq!(part("hack/good", "ls /img").good(), "hello");
    assert_eq!(part("sub/hello", "cat /img").good(), "world");
    part("sub/hello", "echo w > /img").bad(1, "Read-only file system");
    for outside in ["hack/bad", "hack/absolute"] {
        part(outside, "true").bad(125, "path concatenation escapes the base directory");
    }
    let nope = r#"{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"image","Source":"nope","Target":"/i"}]}}"#;
    // The command would take a 404 for a missing image of the container's.
    let (status, answer) = request(
        &host,
        "POST",
        "/containers/create",
        "application/json",
        nope,
    );
    assert_eq!(status, 404);
    assert!(answer.contains("No such image: nope"), "{answer}");
    // The command reads this code out of the words, Docker's.
    part("nope", "true").bad(127, "cannot access path");

    // Where Docker would mount it, whether or not it is there.
    host.docker(&["create", "--name", "shown", "--mount", mount, "busybox"])
        .good();
    let source = host.field("shown", "(index .Mounts 0).Source");
    assert!(source.ends_with("/merged"), "{source}");

    let tmpfs = "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700";
    let script = "stat -c %a /t; df -k /t | tail -n 1 | awk '{print $2}'";
    assert_eq!(image(tmpfs, script).good(), "700\n1024");
}

#[test]
fn options_of_tmpfs_are_the_mounts_own() {
    let host = host!();
    let script = "grep ' /t ' /proc/self/mountinfo";
    let mounted = |options: &str| {
        let tmpfs = format!("/t:{options}");
        let words = ["run", "--rm", "--tmpfs", &tmpfs, "busybox", "sh", "-c"];
        host.docker(&[&words[..], &[script]].concat()).good()
    };
    for (options, yes, no) in [
        (
            "private",
            "rw,nosuid,nodev,noexec,relatime - tmpfs",
            "shared:",
        ),
        ("rprivate,rshared", "shared:", "unbindable"),
        ("unbindable", "unbindable", "shared:"),
        ("ro,rw", "rw,nosuid", "ro,nosuid"),
        ("sync,dirsync", "tmpfs rw,sync,dirsync", "strictatime"),
        ("strictatime", "rw,nosuid,nodev,noexec - tmpfs", "relatime"),
    ] {
        let found = mounted(options);
        assert!(
            found.contains(yes) && !found.contains(no),
            "{options}: {found}"
        );
    }
}
