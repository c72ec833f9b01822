//! Volumes: their whole life, in containers and out of them.

use std::path::Path;

use crate::support::{Host, host, request};

#[test]
fn a_volume_lives_apart_from_containers() {
    let host = host!();
    assert_eq!(
        host.docker(&["volume", "create", "--label", "a=b", "data"])
            .good(),
        "data"
    );
    let (status, again) = request(
        &host,
        "POST",
        "/volumes/create",
        "application/json",
        "{\"Name\":\"data\"}",
    );
    assert_eq!(status, 201, "{again}");
    assert!(again.contains("\"Labels\":{\"a\":\"b\"}"), "{again}");
    assert!(again.contains("\"Options\":null"), "{again}");
    assert!(
        again.contains("\"Driver\":\"local\"") && again.contains("\"Scope\":\"local\""),
        "{again}"
    );
    run(&host, "-v", "data:/d", "echo kept > /d/x").good();
    assert_eq!(
        run(&host, "-v", "data:/other", "cat /other/x").good(),
        "kept"
    );
    run(&host, "-v", "data:/d:ro", "touch /d/y").bad(1, "Read-only file system");

    host.docker(&["create", "--name", "user", "-v", "data:/d", "busybox"])
        .good();
    let id = host.field("user", ".Id");
    host.docker(&["volume", "rm", "data"])
        .bad(1, &format!("remove data: volume is in use - [{id}]"));
    assert_eq!(
        host.docker(&["volume", "ls", "-q", "-f", "dangling=true"])
            .good(),
        ""
    );
    let mounts = host.field("user", "json .Mounts");
    let source = host
        .docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", "data"])
        .good();
    assert_eq!(
        mounts,
        format!(
            "[{{\"Type\":\"volume\",\"Name\":\"data\",\"Source\":\"{source}\",\"Destination\":\"/d\",\"Driver\":\"local\",\"Mode\":\"z\",\"RW\":true,\"Propagation\":\"\"}}]"
        )
    );
    let df = host
        .docker(&["system", "df", "-v", "--format", "{{json .Volumes}}"])
        .good();
    assert!(df.contains("\"Links\":\"1\""), "{df}");
    host.docker(&["rm", "-v", "user"]).good();
    assert_eq!(host.docker(&["volume", "ls", "-q"]).good(), "data");
    host.docker(&["volume", "rm", "data"]).good();
    assert!(!Path::new(&source).exists());
    host.docker(&["volume", "rm", "data"])
        .bad(1, "get data: no such volume");
    host.docker(&["volume", "rm", "-f", "data"]).good();
    host.docker(&["volume", "inspect", "data"])
        .bad(1, "no such volume");
    for (name, why) in [
        ("a", "volume name is too short"),
        (
            ".hidden",
            "includes invalid characters for a local volume name",
        ),
    ] {
        host.docker(&["volume", "create", name]).bad(1, why);
    }
    host.docker(&["volume", "create", "-d", "nope", "data"])
        .bad(
            1,
            "error looking up volume plugin nope: plugin \"nope\" not found",
        );
}

#[test]
fn nobodys_volumes_go_with_their_container_or_by_prune() {
    let host = host!();
    let count = || host.docker(&["volume", "ls", "-q"]).good().lines().count();
    host.docker(&[
        "run",
        "--name",
        "first",
        "-v",
        "/data",
        "busybox",
        "cat",
        "/data/seed",
    ])
    .good();
    let of = |name: &str| {
        host.docker(&["inspect", "-f", "{{(index .Mounts 0).Name}}", name])
            .good()
    };
    let volume = of("first");
    host.docker(&[
        "create",
        "--name",
        "second",
        "--volumes-from",
        "first",
        "busybox",
    ])
    .good();
    assert_eq!(of("second"), volume);
    // The other one still uses it.
    host.docker(&["rm", "-v", "first"]).good();
    assert_eq!(count(), 1);
    host.docker(&["rm", "second"]).good();
    assert_eq!(count(), 1);
    host.docker(&["volume", "create", "named"]).good();
    host.docker(&["run", "--rm", "-v", "/data", "busybox", "true"])
        .good();
    assert_eq!(count(), 2);
    let pruned = host.docker(&["volume", "prune", "-f"]).good();
    assert!(
        pruned.contains(&volume) && !pruned.contains("named"),
        "{pruned}"
    );
    let pruned = host.docker(&["volume", "prune", "-af"]).good();
    assert!(pruned.contains("named"), "{pruned}");
    assert_eq!(count(), 0);
    let events = host.events(&["--filter", "type=volume", "--format", "{{.Action}}"]);
    for action in ["create", "mount", "unmount", "destroy", "prune"] {
        assert!(
            events.lines().any(|line| line == action),
            "{action}: {events}"
        );
    }
}

#[test]
fn new_volumes_have_what_the_image_has() {
    let host = host!();
    assert_eq!(
        run(&host, "-v", "full:/data", "cat /data/seed").good(),
        "from the image"
    );
    assert_eq!(run(&host, "-v", "bare:/data:nocopy", "ls /data").good(), "");
    let nocopy = "type=volume,src=bare2,dst=/data,volume-nocopy";
    assert_eq!(run(&host, "--mount", nocopy, "ls /data").good(), "");
    // One with content stays as it is.
    run(&host, "-v", "own:/d", "echo mine > /d/x").good();
    assert_eq!(run(&host, "-v", "own:/data", "ls /data").good(), "x");
    run(
        &host,
        "-v",
        "own:/d",
        "mkdir /d/sub && echo deep > /d/sub/f; ln -s /etc /d/out",
    )
    .good();
    let part = |path: &str| format!("type=volume,src=own,dst=/p,volume-subpath={path}");
    assert_eq!(
        run(&host, "--mount", &part("sub"), "cat /p/f").good(),
        "deep"
    );
    assert_eq!(run(&host, "--mount", &part("x"), "cat /p").good(), "mine");
    run(&host, "--mount", &part("nope"), "true").bad(127, "cannot access path");
    run(&host, "--mount", &part("out"), "true").bad(125, "escapes the base directory");
    run(&host, "--mount", &part("../.."), "true").bad(125, "subpath must be a relative path");
    // An empty directory in it is filled as a volume is.
    run(&host, "-v", "own:/d", "mkdir /d/bin").good();
    let bin = "type=volume,src=own,dst=/bin,volume-subpath=bin";
    assert_eq!(
        run(&host, "--mount", bin, "ls /bin/busybox").good(),
        "/bin/busybox"
    );
    assert_eq!(
        run(&host, "-v", "own:/d", "ls /d; ls /d/bin/busybox").good(),
        "bin\nout\nsub\nx\n/d/bin/busybox"
    );
}

/// What a container would see is what counts: through links, and without what upper layers took away.
#[test]
fn new_volumes_are_filled_with_what_would_be_seen() {
    let host = host!();
    let step = |from: &str, script: &str, to: &str| {
        let args = ["run", "--name", "step", from, "sh", "-c", script];
        host.docker(&args).good();
        host.docker(&["commit", "step", to]).good();
        host.docker(&["rm", "step"]).good();
    };
    let script = "mkdir -p /real/d /gone/d /swap/d; echo 1 > /real/d/f; ln /real/d/f /real/d/g
        chown -R 5:6 /real/d; chmod 750 /real/d; ln -s /real /link; ln -s ../../link/d /real/d/up
        echo 2 > /gone/d/f; echo 3 > /swap/d/f";
    step("busybox", script, "seen:1");
    let script = "rm -r /gone /swap; mkdir -p /swap/d; echo 4 > /swap/d/new";
    step("seen:1", script, "seen:2");
    let run = |mount: &str, script: &str| {
        host.docker(&["run", "--rm", "-v", mount, "seen:2", "sh", "-c", script])
    };
    for mount in ["/link/d", "named:/link/d"] {
        let script =
            "cd /link/d; ls; cat g; stat -c '%u:%g %a %h' . f; mount | grep -c ' on /real/d '";
        let expected = "f\ng\nup\n1\n5:6 750 2\n5:6 644 2\n1";
        assert_eq!(run(mount, script).good(), expected, "{mount}");
    }
    assert_eq!(run("gone:/gone/d", "ls /gone/d").good(), "");
    assert_eq!(run("/swap/d", "ls /swap/d").good(), "new");
    // Docker tells it when the container is made, and nothing is left of it.
    let volumes = host.docker(&["volume", "ls", "-q"]).good();
    let create = ["create", "-v", "/bin/busybox", "seen:2"];
    host.docker(&create)
        .bad(1, "cannot mount volume over existing file, file exists");
    assert_eq!(host.docker(&["volume", "ls", "-q"]).good(), volumes);
    // A working directory that a layer took away is there for copies.
    host.docker(&["create", "--name", "dir", "-w", "/gone/d", "seen:2"])
        .good();
    std::fs::write(host.path("copied"), "x").unwrap();
    host.docker(&["cp", &host.path("copied"), "dir:/gone/d/x"])
        .good();
}

#[test]
fn a_volume_may_be_a_mount() {
    let host = host!();
    let create = |options: &[&str], name: &str| {
        let mut args = vec!["volume", "create"];
        for option in options {
            args.extend(["-o", option]);
        }
        args.push(name);
        host.docker(&args)
    };
    let tmpfs = ["type=tmpfs", "device=tmpfs", "o=size=1m,mode=700"];
    create(&tmpfs, "memory").good();
    let script = "stat -c %a /m; df -k /m | tail -n 1 | awk '{print $2}'; echo x > /m/x";
    assert_eq!(run(&host, "-v", "memory:/m", script).good(), "700\n1024");
    assert_eq!(run(&host, "-v", "memory:/m", "ls /m").good(), "");
    let dir = host.path("given");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(format!("{dir}/f"), "bound").unwrap();
    create(&["type=none", &format!("device={dir}"), "o=bind"], "bound").good();
    assert_eq!(run(&host, "-v", "bound:/b", "cat /b/f").good(), "bound");
    host.docker(&["volume", "rm", "bound", "memory"]).good();
    assert!(
        Path::new(&dir).join("f").exists(),
        "the device's files stay"
    );
    create(&["type=none", "device=/nope/nope", "o=bind"], "lost").good();
    run(&host, "-v", "lost:/b", "true").bad(127, "failed to mount local volume: mount /nope/nope:");
    create(&["foo=1"], "bad").bad(1, "invalid option: \"foo\"");
    create(&["type=tmpfs"], "bad").bad(1, "missing required option: \"device\"");
    create(&["type=nfs", "device=:/x", "o=addr=192.0.2.1"], "remote").good();
    run(&host, "-v", "remote:/r", "true").bad(125, "failed to mount local volume: mount :/x:");
}

#[test]
fn a_copy_leaves_no_volume_mounted() {
    let host = host!();
    let dir = host.path("given");
    std::fs::create_dir(&dir).unwrap();
    let device = format!("device={dir}");
    for (name, options) in [
        ("bound", ["type=none", &device, "o=bind"]),
        ("memory", ["type=tmpfs", "device=tmpfs", "o=size=1m"]),
    ] {
        let [kind, device, data] = options;
        host.docker(&[
            "volume", "create", "-o", kind, "-o", device, "-o", data, name,
        ])
        .good();
    }
    let mounted = || {
        let path = format!("/proc/{}/mountinfo", host.agent().unwrap());
        let mounts = std::fs::read_to_string(path).unwrap();
        let ours = mounts.lines().filter(|line| line.contains("/volumes/"));
        ours.map(str::to_owned).collect::<Vec<_>>()
    };
    let create = |name: &str| {
        let volumes = ["-v", "bound:/b", "-v", "memory:/m"];
        let words = [&["create", "--name", name][..], &volumes[..]].concat();
        host.docker(&[&words[..], &["busybox", "sleep", "1000"]].concat())
            .good();
    };
    create("idle");
    let file = host.path("file");
    std::fs::write(&file, "copied").unwrap();
    for target in ["idle:/b/file", "idle:/m/file"] {
        host.docker(&["cp", &file, target]).good();
        assert_eq!(mounted(), Vec::<String>::new(), "after a copy to {target}");
    }
    let there = std::fs::read_to_string(format!("{dir}/file")).unwrap();
    assert_eq!(there, "copied", "it was mounted for the copy");
    host.docker(&["cp", "idle:/nope", &file])
        .bad(1, "Could not find the file");
    assert_eq!(mounted(), Vec::<String>::new(), "after a copy that failed");

    // What a running container has stays where it is.
    create("runs");
    host.docker(&["start", "runs"]).good();
    let before = mounted();
    assert_eq!(before.len(), 2, "{before:?}");
    host.docker(&["cp", "idle:/b/file", &host.path("back")])
        .good();
    assert_eq!(mounted(), before);
}

#[track_caller]
fn run(host: &Host, flag: &str, mount: &str, script: &str) -> crate::support::Output {
    host.docker(&["run", "--rm", flag, mount, "busybox", "sh", "-c", script])
}

/// What the engine mounts below its root must not stay in a container that sees it.
#[test]
fn a_bind_of_the_engines_root_follows_its_mounts() {
    let host = host!();
    let root = host.docker(&["info", "-f", "{{.DockerRootDir}}"]).good();
    let bind = |mount: &str| host.docker(&["create", "--mount", mount, "busybox"]);
    let part = |path: &str| format!("type=bind,src={path},dst=/x");
    for path in ["/", root.as_str()] {
        let id = bind(&part(path)).good();
        assert_eq!(host.field(&id, "(index .Mounts 0).Propagation"), "rslave");
        bind(&format!("{},bind-propagation=private", part(path))).bad(
            1,
            "must use either propagation mode \"rslave\" or \"rshared\"",
        );
    }
    let id = bind(&part("/etc")).good();
    assert_eq!(host.field(&id, "(index .Mounts 0).Propagation"), "rprivate");
}

#[test]
fn a_list_does_not_tell_where_a_volume_is_that_nobody_has_named() {
    let host = host!();
    let script = "sleep 1000";
    host.docker(&[
        "run",
        "-d",
        "--name",
        "box",
        "-v",
        "named:/named",
        "-v",
        "/bare",
        "busybox",
        "sh",
        "-c",
        script,
    ])
    .good();
    host.docker(&["create", "--volumes-from", "box", "busybox"])
        .good();
    let list = host.send("GET", "/containers/json?all=1", b"").body;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    for container in list.as_array().unwrap() {
        for mount in container["Mounts"].as_array().unwrap() {
            let told = mount["Source"] != "";
            assert_eq!(told, mount["Name"] == "named", "{mount}");
        }
    }
    // The other list has the same order.
    let used = host.send("GET", "/system/df?type=container", b"").body;
    let used: serde_json::Value = serde_json::from_str(&used).unwrap();
    let ids = |all: &serde_json::Value| -> Vec<serde_json::Value> {
        let all = all.as_array().unwrap();
        all.iter().map(|one| one["Id"].clone()).collect()
    };
    assert_eq!(ids(&used["Containers"]), ids(&list));
    let source = host.field("box", "range .Mounts}}{{.Source}};{{end");
    assert_eq!(source.matches("/_data;").count(), 2, "{source}");
}
