//! Texts that clients send: filters, times, names, addresses, keys. Each is refused or means something,
//! and what is written out of it means the same.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "that is how a finding shows itself"
)]

use std::collections::BTreeMap;

use engine::containers::{DetachScanner, Scanned};
use engine::filters::{Filters, matches_pattern};
use engine::time::{Time, go_duration, human_duration, parse_go_duration};
use engine::{Subnet, go_bool};
use fuzz::seeds;
use images::{Auth, Digest, ImageConfig, Platform, Reference};
use libfuzzer_sys::fuzz_target;
use link::ports::Target;
use network::Resolvers;

fuzz_target!(init: seeds::write(examples()), |bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    let text: &str = &text;
    match kind % 12 {
        0 => filters(text),
        1 => pattern(text),
        2 => reference(text),
        3 => platform(text),
        4 => config(bytes),
        5 => times(text),
        6 => subnet(text),
        7 => detach(text),
        8 => resolvers(text),
        9 => target(text),
        10 => {
            let _ = (go_bool(text), Auth::from_header(text));
            if let Ok(digest) = Digest::parse(text) {
                assert_eq!(digest.to_string(), text);
            }
        }
        _ => {
            let seconds = bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            let _ = human_duration(seconds >> 1);
            let _ = go_duration(std::time::Duration::from_nanos(seconds));
        }
    }
});

fn filters(text: &str) {
    let Ok(filters) = Filters::parse(text) else {
        return;
    };
    let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let _ = filters.labels(&labels);
    for name in ["a", "label", "label!", "dangling", "until", "status"] {
        let _ = filters.flag(name);
        let wanted = filters.get(name);
        assert_eq!(filters.has(name), !wanted.is_empty());
        assert!(filters.any(name, |_| true));
        let _ = filters.all(name, |value| value == "b");
    }
    let _ = filters.accept_only(&["a", "label"]);
}

fn pattern(text: &str) {
    let (pattern, name) = text.split_once('\n').unwrap_or((text, "a-name_1"));
    if pattern == name {
        assert!(matches_pattern(pattern, name));
    }
    let _ = matches_pattern(pattern, name);
}

fn reference(text: &str) {
    for parse in [Reference::parse, Reference::parse_bare] {
        let Ok(found) = parse(text) else { continue };
        assert_eq!(parse(&found.to_string()).unwrap(), found, "the long form");
        // A name on Docker's own registry may begin like that of a registry; the short form is then this
        // one's, as in Docker.
        let first = found.path().split_once('/').map(|(first, _)| first);
        let like_a_registry =
            first.is_some_and(|first| first.contains(['.', ':']) || first == "localhost");
        if found.domain() != "docker.io" || !like_a_registry {
            assert_eq!(parse(&found.familiar()).unwrap(), found, "the short form");
        }
        let named = found.with_digest(Digest::of(b""));
        assert_eq!(parse(&named.to_string()).unwrap(), named);
        assert_eq!(found.with_tag("x").unwrap().tag(), Some("x"));
    }
}

fn platform(text: &str) {
    if let Ok(found) = Platform::parse(text) {
        assert_eq!(Platform::parse(&found.to_string()).unwrap(), found);
        assert_eq!(found.rank(&found), Some(100), "it does not fit itself");
    }
}

fn config(bytes: &[u8]) {
    let Ok(config) = ImageConfig::parse(bytes) else {
        return;
    };
    let _ = (config.diff_ids(), config.history(), config.healthcheck());
    let _ = (config.created(), config.author(), config.platform());
    let _ = (
        config.entrypoint(),
        config.cmd(),
        config.shell(),
        config.on_build(),
    );
    let _ = (
        config.env(),
        config.exposed_ports(),
        config.volumes(),
        config.labels(),
    );
    let again = config.value().to_string();
    assert_eq!(
        ImageConfig::parse(again.as_bytes()).unwrap().value(),
        config.value()
    );
}

fn times(text: &str) {
    let now = Time::from_unix(1_700_000_000, 5);
    if let Some(time) = Time::parse_client(text, now) {
        let _ = (time.unix(), time.unix_nano(), time.with_nanoseconds());
        let _ = (time.since(now), now.since(time), time.seconds_since(now));
        // Before the year one there is no text for it.
        if time >= Time::zero() {
            assert_eq!(time.to_string().parse::<Time>().ok(), Some(time));
        }
    }
    if let Some(nanoseconds) = parse_go_duration(text)
        && let Ok(nanoseconds) = u64::try_from(nanoseconds)
    {
        let said = go_duration(std::time::Duration::from_nanos(nanoseconds));
        let again = parse_go_duration(&said);
        assert_eq!(again, i64::try_from(nanoseconds).ok(), "{said}");
    }
}

fn subnet(text: &str) {
    let (first, second) = text.split_once(' ').unwrap_or((text, "10.0.0.0/8"));
    let Ok(subnet) = first.parse::<Subnet>() else {
        return;
    };
    assert_eq!(subnet.to_string().parse::<Subnet>().unwrap(), subnet);
    assert!(subnet.contains(subnet.base()) && subnet.contains(subnet.last()));
    let _ = (
        subnet.hosts().take(3).count(),
        subnet.addresses().take(3).count(),
    );
    for address in subnet.hosts().take(3) {
        assert!(subnet.contains(address) && !subnet.is_reserved(address));
    }
    if let Ok(other) = second.parse::<Subnet>() {
        assert_eq!(subnet.overlaps(&other), other.overlaps(&subnet));
    }
    for number in [0, 1, 7, u128::MAX] {
        if let Some(next) = subnet.nth(subnet.prefix_len(), number) {
            assert_eq!(
                next.overlaps(&subnet),
                number == 0,
                "{next} is not behind {subnet}"
            );
            assert!(next.base() >= subnet.base(), "{next} is before {subnet}");
        }
    }
}

/// However the typing is cut, the same comes through.
fn detach(text: &str) {
    let (keys, typed) = text.split_once('\n').unwrap_or(("", text));
    let Ok(scanner) = DetachScanner::parse(keys) else {
        return;
    };
    let whole = through(scanner.clone(), [typed.as_bytes()]);
    let single = through(scanner, typed.as_bytes().chunks(1));
    assert_eq!(whole, single);
}

fn through<'a>(
    mut scanner: DetachScanner,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    for piece in pieces {
        match scanner.scan(piece) {
            Scanned::Forward(bytes) => all.extend(bytes),
            Scanned::Detach(bytes) => {
                all.extend(bytes);
                return (all, true);
            }
        }
    }
    (all, false)
}

fn resolvers(text: &str) {
    let found = Resolvers::parse(text);
    assert_eq!(Resolvers::parse(&found.render()), found);
}

fn target(text: &str) {
    if let Ok(found) = text.parse::<Target>() {
        assert_eq!(found.to_string().parse::<Target>().unwrap(), found);
    }
}

fn examples() -> Vec<Vec<u8>> {
    let texts: [(u8, &str); 20] = [
        (0, r#"{"status":["running"],"label":["a=b"]}"#),
        (0, r#"{"label":{"a":true},"until":{"1h":false}}"#),
        (1, "^/?(web|db)-[0-9]+$\nweb-12"),
        (2, "localhost:5000/a/b_c:tag"),
        (2, "docker.io/library/nginx"),
        (3, "linux/arm/v7"),
        (
            4,
            r#"{"os":"linux","config":{"Env":["A=1"]},"rootfs":{"diff_ids":[]}}"#,
        ),
        (
            4,
            r#"{"history":[{"empty_layer":true}],"config":{"Healthcheck":{"Test":["CMD"]}}}"#,
        ),
        (5, "1700000000.123456789"),
        (5, "1h2m3.5s"),
        (5, "2024-05-01T10:00:00.5+02:00"),
        (6, "10.1.0.0/16 10.1.2.0/24"),
        (6, "fd00::/64"),
        (7, "ctrl-p,ctrl-q\n\u{10}a\u{10}\u{11}b"),
        (7, "a,a,b\naaab"),
        (8, "nameserver 192.168.1.1\nsearch lan\noptions ndots:0\n"),
        (9, "tcp 127.0.0.1:80"),
        (9, "udp [::1]:53"),
        (10, "true"),
        (11, "12345678"),
    ];
    let seed = |(kind, text): (u8, &str)| [&[kind], text.as_bytes()].concat();
    texts.into_iter().map(seed).collect()
}
