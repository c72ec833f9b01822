//! Volumes and networks: docker's words, and the verbs that docker has not.

use super::engine::{Client, Engine};

pub(crate) fn run(engine: &Engine) {
    lists(engine);
    life(engine);
    files(engine);
    archives(engine);
}

fn lists(engine: &Engine) {
    for words in [
        &["volume", "create", "vol10"][..],
        &["volume", "create", "vol2", "--label", "a=b", "--label", "c"],
        &[
            "volume",
            "create",
            "-o",
            "type=tmpfs",
            "-o",
            "device=tmpfs",
            "vol1",
        ],
        &[
            "network",
            "create",
            "net10",
            "--subnet",
            "10.77.0.0/24",
            "--gateway",
            "10.77.0.9",
        ],
        &["network", "create", "net2", "--label", "a=b", "--internal"],
        &[
            "network",
            "create",
            "net1",
            "--ipv6",
            "--subnet",
            "fd77::/64",
            "-o",
            "x=y",
        ],
    ] {
        let made = engine.slipway(words);
        made.exits(0);
        assert_eq!(made.stdout.lines().count(), 1, "{made}");
    }
    for words in [
        &["volume", "ls"][..],
        &["volume", "ls", "-q"],
        &["volume", "list", "--filter", "label=a=b"],
        &[
            "volume",
            "ls",
            "--filter",
            "dangling=true",
            "--format",
            "{{.Name}} {{.Driver}} {{.Size}}",
        ],
        &["volume", "ls", "--format", "json"],
        &["volume", "inspect", "vol1", "vol2", "nope"],
        &["volume", "inspect", "-f", "{{.Mountpoint}}", "vol2"],
        &["network", "ls"],
        &["network", "ls", "-q", "--no-trunc"],
        &[
            "network",
            "ls",
            "--filter",
            "driver=bridge",
            "--format",
            "{{.ID}} {{.Name}} {{.Internal}} {{.IPv6}}",
        ],
        &[
            "network", "inspect", "net1", "net2", "net10", "bridge", "nope",
        ],
        &["network", "inspect", "-f", "{{.Driver}}", "net1"],
    ] {
        super::same(engine, words);
    }
}

fn life(engine: &Engine) {
    let web = [
        "run", "-d", "--name", "hub", "-v", "vol2:/d", "busybox", "sleep", "1000",
    ];
    engine.slipway(&web).exits(0);
    for client in [Client::Docker, Client::Slipway] {
        for words in [
            &[
                "network",
                "connect",
                "--alias",
                "x",
                "--ip",
                "10.77.0.50",
                "net10",
                "hub",
            ][..],
            &["network", "disconnect", "net10", "hub"],
        ] {
            let ran = engine.run(client, words, "");
            assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran}");
        }
    }
    // What is wrong is said as docker says it.
    for words in [
        &["volume", "rm", "vol2"][..],
        &["volume", "rm", "nope", "nope2"],
        &["volume", "create", "-d", "nope", "x1"],
        &["volume", "create", "-o", "foo=1", "x1"],
        &["network", "rm", "nope"],
        &["network", "rm", "bridge"],
        &["network", "connect", "nope", "hub"],
        &["network", "connect", "net1", "nope"],
        &["network", "disconnect", "net1", "hub"],
        &["network", "create", "net1"],
        &["network", "create", "--subnet", "10.77.0.0/25", "x1"],
        &["network", "create", "--gateway", "10.0.0.1", "x1"],
        &[
            "network",
            "create",
            "--subnet",
            "10.78.0.0/24",
            "--gateway",
            "10.79.0.1",
            "x1",
        ],
    ] {
        let (docker, slipway) = super::same(engine, words);
        for line in docker.lines_of_its_error() {
            assert!(
                slipway.stderr.contains(&line),
                "{words:?}: {line:?} is not in {slipway}"
            );
        }
    }
    let asked = engine.slipway(&["volume", "prune", "-a"]);
    asked.exits(1);
    assert!(
        asked
            .stderr
            .contains("WARNING! This will remove all local volumes"),
        "{asked}"
    );
    assert!(
        engine
            .slipway(&["volume", "ls", "-q"])
            .stdout
            .contains("vol10\n")
    );
    for client in [Client::Docker, Client::Slipway] {
        engine.slipway(&["volume", "create", "pruned"]).exits(0);
        engine.slipway(&["network", "create", "unused"]).exits(0);
        let words = ["volume", "prune", "-af", "--filter", "label!=a"];
        let pruned = engine.run(client, &words, "").stdout;
        assert!(pruned.starts_with("Deleted Volumes:\n"), "{pruned}");
        assert!(
            pruned.contains("pruned\n") && pruned.ends_with("\n\nTotal reclaimed space: 0B\n"),
            "{pruned}"
        );
        let pruned = engine.run(client, &["network", "prune"], "y\n").stdout;
        assert!(
            pruned.contains("unused\n") && pruned.ends_with("\n\n"),
            "{pruned}"
        );
    }
    super::same(engine, &["network", "prune", "-f"]);
    let gone = engine.slipway(&["network", "rm", "-f", "net1"]);
    assert_eq!((gone.code, gone.stdout.as_str()), (0, ""), "{gone}");
}

fn files(engine: &Engine) {
    let script = "mkdir -m 1777 /d/dir; echo words > /d/dir/file; ln -s dir/file /d/link; ln -s /etc/passwd /d/out";
    engine
        .slipway(&["exec", "hub", "sh", "-c", script])
        .exits(0);
    let sizes = engine.slipway(&["volume", "ls", "--size", "--filter", "name=vol2"]);
    assert_eq!(
        sizes.stdout,
        "DRIVER    VOLUME NAME   LINKS     SIZE\nlocal     vol2          1         6B\n"
    );
    let list = engine.slipway(&["volume", "browse", "vol2"]).stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert!(
        lines[0].starts_with("MODE         OWNER     SIZE      MODIFIED"),
        "{list}"
    );
    assert!(
        lines[1].starts_with("drwxrwxrwt   0:0       0B        20"),
        "{list}"
    );
    assert!(lines[2].ends_with("/link -> dir/file"), "{list}");
    let json = engine
        .slipway(&["--json", "volume", "browse", "vol2", "dir"])
        .stdout;
    let entry: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(entry["Path"], "/dir/file");
    assert_eq!((&entry["Size"], &entry["Mode"]), (&6.into(), &0o644.into()));
    for words in [
        &["volume", "cat", "vol2", "link"][..],
        &["volume", "browse", "--cat", "vol2", "/dir/file"],
    ] {
        assert_eq!(engine.slipway(words).stdout, "words\n");
    }
    let out = engine.slipway(&["volume", "cat", "vol2", "out"]);
    out.exits(1);
    assert!(
        out.stderr.contains("the volume vol2 has no file /out"),
        "{out}"
    );
}

fn archives(engine: &Engine) {
    let at = |name: &str| engine.home().join(name).to_str().unwrap().to_owned();
    let file = at("vol2.tar.zst");
    let backup = engine.slipway(&["volume", "backup", "vol2", "-o", &file]);
    backup.exits(0);
    assert!(
        backup.stderr.contains("hub may write meanwhile; --pause"),
        "{backup}"
    );
    assert!(
        backup
            .stderr
            .contains("Backed up 6B of the volume vol2 to "),
        "{backup}"
    );
    let quiet = engine.slipway(&["--json", "volume", "backup", "vol2", "--pause", "-o", &file]);
    let json: serde_json::Value = serde_json::from_str(&quiet.stdout).unwrap();
    assert_eq!(
        (&json["bytes"], &json["paused"][0]),
        (&6.into(), &"hub".into())
    );
    assert_eq!(quiet.stderr, "");
    let size = std::fs::metadata(&file).unwrap().len();
    assert_eq!(json["archive_bytes"], size);

    // A volume that is not there leaves no file.
    engine
        .slipway(&["volume", "backup", "nope", "-o", &at("nope.tar")])
        .exits(1);
    assert!(!engine.home().join("nope.tar").exists());

    let made = engine.slipway(&["volume", "restore", "new", &file]);
    made.exits(0);
    assert!(
        made.stderr
            .contains("Restored 6B in 5 entries into the new volume new"),
        "{made}"
    );
    assert_eq!(
        engine.slipway(&["volume", "cat", "new", "dir/file"]).stdout,
        "words\n"
    );
    let again = engine.slipway(&["volume", "restore", "new", &file]);
    again.exits(1);
    assert!(
        again
            .stderr
            .contains("with --force the archive's take their place"),
        "{again}"
    );
    engine
        .slipway(&["volume", "restore", "-f", "new", &file])
        .exits(0);
    let used = engine.slipway(&["volume", "restore", "-f", "vol2", &file]);
    assert!(
        used.stderr.contains("used by containers that run: hub"),
        "{used}"
    );
    let stopped = engine.slipway(&["volume", "restore", "-f", "--stop", "vol2", &file]);
    assert!(
        stopped.stderr.contains("hub was stopped and started again"),
        "{stopped}"
    );
    std::fs::write(at("bad"), &std::fs::read(&file).unwrap()[..100]).unwrap();
    let bad = engine.slipway(&["volume", "restore", "-f", "new", &at("bad")]);
    bad.exits(1);
    assert!(bad.stderr.contains("the archive is cut off"), "{bad}");
    assert_eq!(
        engine.slipway(&["volume", "cat", "new", "dir/file"]).stdout,
        "words\n"
    );

    let clone = engine.slipway(&["volume", "clone", "new", "twin"]);
    assert_eq!(
        (clone.code, clone.stdout.as_str()),
        (0, "twin\n"),
        "{clone}"
    );
    assert_eq!(
        engine.slipway(&["volume", "cat", "twin", "link"]).stdout,
        "words\n"
    );
    engine.slipway(&["rm", "-f", "hub"]).exits(0);
    let all = ["volume", "rm", "vol2", "new", "twin"];
    assert_eq!(engine.slipway(&all).stdout, "vol2\nnew\ntwin\n");
}
