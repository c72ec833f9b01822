//! Instructions as people write them, and as nobody should.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;

fn changed(changes: &[&str]) -> Result<Config, String> {
    let mut config = Config {
        cmd: Some(vec!["old".into()]),
        entrypoint: Some(vec!["/entry".into()]),
        env: vec!["PATH=/bin".into(), "A=1".into()],
        working_dir: "/srv".into(),
        ..Config::default()
    };
    let changes: Vec<String> = changes.iter().map(|&line| line.to_owned()).collect();
    apply(&mut config, &changes).map_err(|error| error.to_string())?;
    Ok(config)
}

#[test]
fn commands_have_two_forms() {
    let config = changed(&[r#"CMD ["a", "b c"]"#]).unwrap();
    assert_eq!(config.command(), ["/entry", "a", "b c"]);
    let config = changed(&["cmd echo  $A 'x'"]).unwrap();
    assert_eq!(config.cmd.unwrap(), ["/bin/sh", "-c", "echo  $A 'x'"]);
    // A new entry point discards the command, unless that came before it.
    let config = changed(&[r#"ENTRYPOINT ["/new"]"#]).unwrap();
    assert_eq!(config.command(), ["/new"]);
    let config = changed(&["CMD [\"x\"]", "ENTRYPOINT [\"/new\"]"]).unwrap();
    assert_eq!(config.command(), ["/new", "x"]);
    let config = changed(&["ENTRYPOINT []"]).unwrap();
    assert_eq!((config.entrypoint, config.cmd), (None, None));
    assert_eq!(
        changed(&["CMD [1]"]).unwrap_err(),
        "when using JSON array syntax, arrays must be comprised of strings only"
    );
    // What looks like a list and is none is for the shell.
    let config = changed(&["CMD ['a']"]).unwrap();
    assert_eq!(config.cmd.unwrap(), ["/bin/sh", "-c", "['a']"]);
}

#[test]
fn environment_and_labels() {
    let config = changed(&[
        "ENV A=2 B=\"x y\" C=$PATH:/c",
        "ENV D one  two",
        "LABEL a.b='c d' e=f",
    ])
    .unwrap();
    assert_eq!(
        config.env,
        ["PATH=/bin", "A=2", "B=x y", "C=/bin:/c", "D=one  two"]
    );
    assert_eq!(config.labels["a.b"], "c d");
    assert_eq!(config.labels["e"], "f");
    assert_eq!(
        changed(&["ENV A"]).unwrap_err(),
        "ENV must have two arguments"
    );
    assert_eq!(
        changed(&["ENV A=1 b"]).unwrap_err(),
        "Syntax error - can't find = in \"b\". Must be of the form: name=value"
    );
    assert_eq!(
        changed(&["LABEL"]).unwrap_err(),
        "LABEL requires at least one argument"
    );
}

#[test]
fn the_other_instructions() {
    let config = changed(&[
        "EXPOSE 80 53/udp 8000-8001",
        "USER www",
        "WORKDIR sub/../dir",
        "VOLUME /a /b",
        "VOLUME [\"/c d\"]",
        "STOPSIGNAL SIGQUIT",
        "ONBUILD RUN echo  hi",
    ])
    .unwrap();
    let ports: Vec<_> = config.exposed_ports.keys().map(String::as_str).collect();
    assert_eq!(ports, ["80/tcp", "53/udp", "8000/tcp", "8001/tcp"]);
    assert_eq!(
        (config.user.as_str(), config.working_dir.as_str()),
        ("www", "/srv/dir")
    );
    let volumes: Vec<String> = config
        .volumes
        .unwrap()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(volumes, ["/a", "/b", "/c d"]);
    assert_eq!(config.stop_signal, "SIGQUIT");
    assert_eq!(config.on_build.unwrap(), ["RUN echo  hi"]);
    assert_eq!(changed(&["WORKDIR /x/"]).unwrap().working_dir, "/x");
    for (bad, why) in [
        ("STOPSIGNAL NOPE", "invalid signal: NOPE"),
        ("EXPOSE x", "invalid containerPort: x"),
        ("EXPOSE 80/ip", "invalid proto: ip"),
        ("USER", "USER requires exactly one argument"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        (
            "ONBUILD ONBUILD RUN x",
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
        ),
        ("RUN x", "RUN is not a valid change command"),
        ("SHELL [\"x\"]", "SHELL is not a valid change command"),
        ("nonsense", "nonsense is not a valid change command"),
        ("# only a remark", "file with no instructions"),
        ("CMD --x=1 a", "unknown flag: --x"),
    ] {
        assert_eq!(changed(&[bad]).unwrap_err(), why, "{bad}");
    }
}

#[test]
fn health_checks() {
    let check = |line: &str| changed(&[line]).map(|config| json!(config.healthcheck.unwrap()));
    assert_eq!(
        check("HEALTHCHECK --interval=5s --timeout=1m --retries=3 CMD curl -f x").unwrap(),
        json!({"Test": ["CMD-SHELL", "curl -f x"], "Interval": 5_000_000_000_i64,
            "Timeout": 60_000_000_000_i64, "Retries": 3})
    );
    assert_eq!(
        check("HEALTHCHECK CMD [\"true\"]").unwrap(),
        json!({"Test": ["CMD", "true"]})
    );
    assert_eq!(
        check("HEALTHCHECK none").unwrap(),
        json!({"Test": ["NONE"]})
    );
    for (bad, why) in [
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        (
            "HEALTHCHECK nope",
            "Unknown type \"NOPE\" in HEALTHCHECK (try CMD)",
        ),
        (
            "HEALTHCHECK --interval=1us CMD x",
            "Interval \"interval\" cannot be less than 1ms",
        ),
        (
            "HEALTHCHECK --retries=-1 CMD x",
            "--retries cannot be negative (-1)",
        ),
        ("HEALTHCHECK --what=1 CMD x", "unknown flag: --what"),
    ] {
        assert_eq!(check(bad).unwrap_err(), why, "{bad}");
    }
}

#[test]
fn lines_are_continued_and_a_bad_one_changes_nothing() {
    assert_eq!(
        lines("CMD a \\\n# remark\n\n  b\nUSER x\\\\\n"),
        ["CMD a   b", "USER x\\\\"]
    );
    let mut config = Config::default();
    let bad = ["USER www".to_owned(), "STOPSIGNAL NOPE".to_owned()];
    assert!(apply(&mut config, &bad).is_err());
    assert_eq!(config, Config::default());
}

proptest::proptest! {
    #[test]
    fn whatever_is_asked_nothing_panics(lines in proptest::collection::vec(
        "(CMD|ENV|LABEL|EXPOSE|VOLUME|USER|WORKDIR|ONBUILD|HEALTHCHECK|STOPSIGNAL|ENTRYPOINT)[ =\\[\\]\"'$\\\\a1{}:/,-]{0,16}", 0..4
    )) {
        let _ = apply(&mut Config::default(), &lines);
    }
}
