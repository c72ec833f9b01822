//! Names that Docker accepts and refuses.
#![allow(clippy::unwrap_used)]

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn names_are_normalised_as_docker_does() {
    for (text, normal, familiar) in [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("library/nginx:1", "docker.io/library/nginx:1", "nginx:1"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        (
            "docker.io/nginx",
            "docker.io/library/nginx:latest",
            "nginx:latest",
        ),
        (
            "index.docker.io/library/nginx",
            "docker.io/library/nginx:latest",
            "nginx:latest",
        ),
        (
            "docker.io/library/a/b",
            "docker.io/library/a/b:latest",
            "library/a/b:latest",
        ),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        (
            "localhost:5000/x:2",
            "localhost:5000/x:2",
            "localhost:5000/x:2",
        ),
        (
            "127.0.0.1:5000/a/b",
            "127.0.0.1:5000/a/b:latest",
            "127.0.0.1:5000/a/b:latest",
        ),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        (
            "ghcr.io/a/b-c__d.e:V1_x",
            "ghcr.io/a/b-c__d.e:V1_x",
            "ghcr.io/a/b-c__d.e:V1_x",
        ),
        ("Upper/x", "Upper/x:latest", "Upper/x:latest"),
        ("a---b", "docker.io/library/a---b:latest", "a---b:latest"),
        ("nginx:5000", "docker.io/library/nginx:5000", "nginx:5000"),
    ] {
        let reference = Reference::parse(text).unwrap();
        assert_eq!(reference.to_string(), normal, "{text}");
        assert_eq!(reference.familiar(), familiar, "{text}");
        assert_eq!(Reference::parse(normal).unwrap(), reference, "{text}");
    }
}

#[test]
fn digests_stand_in_for_tags() {
    let reference = Reference::parse(&format!("nginx@{DIGEST}")).unwrap();
    assert_eq!(reference.tag(), None);
    assert_eq!(reference.familiar(), format!("nginx@{DIGEST}"));
    let both = Reference::parse(&format!("nginx:1@{DIGEST}")).unwrap();
    assert_eq!(both.tag(), Some("1"));
    assert!(both.digest().is_some());
}

#[test]
fn bad_names_are_refused() {
    let long_tag = format!("x:{}", "a".repeat(129));
    let long_name = format!("x/{}", "a".repeat(255));
    let hex = "a".repeat(64);
    for text in [
        "",
        ":",
        "@",
        "x:",
        "x@",
        ":x",
        "a//b",
        "/x",
        "x/",
        "a..b",
        "a___b",
        "-x",
        "x-",
        "a b",
        "x:a/b:c",
        "x@sha256:00",
        "x@md5:d41d8cd98f00b204e9800998ecf8427e",
        "x.com:port/y",
        "x.com:/y",
        "é",
        "x:é",
        "x:-a",
        "[::1/x",
        "-.com/x",
        "../x",
        "x/../y",
        &long_tag,
        &long_name,
        &hex,
    ] {
        assert!(
            matches!(Reference::parse(text), Err(Error::Invalid(_))),
            "{text:?}"
        );
    }
    assert_eq!(
        Reference::parse("user/App").unwrap_err().to_string(),
        "invalid reference format: repository name (user/App) must be lowercase"
    );
}

proptest::proptest! {
    #[test]
    fn parsing_never_panics_and_the_normal_form_is_stable(text in "[a-zA-Z0-9._:/@\\[\\]-]{0,80}") {
        if let Ok(reference) = Reference::parse(&text) {
            proptest::prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
            proptest::prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
        }
    }

    #[test]
    fn any_text_is_refused_or_parsed_without_panic(text in ".*") {
        let _ = Reference::parse(&text);
    }
}
