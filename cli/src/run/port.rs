//! `-p` and `--expose`: ports of the container, and where they are published.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

/// Where a port is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Binding {
    host_ip: String,
    host_port: String,
}

/// `80/tcp` to where it is published.
pub(crate) type Bindings = BTreeMap<String, Vec<Binding>>;

/// Parses one `-p` word into `into`: `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, each port possibly a
/// range, or `published=…,target=…`.
///
/// # Errors
/// Docker's words.
pub(crate) fn publish(word: &str, into: &mut Bindings) -> Result<(), String> {
    let word = long_form(word)?;
    let (ip, host, container) = split(&word);
    let (protocol, container) = protocol(container);
    match protocol.as_str() {
        "tcp" | "udp" | "sctp" => {}
        other => return Err(format!("invalid proto: {other}")),
    }
    let ip = address(ip)?;
    if container.is_empty() {
        return Err(format!("no port specified: {word}<empty>"));
    }
    let (first, last) =
        range(container).ok_or_else(|| format!("invalid containerPort: {container}"))?;
    let host_range = if host.is_empty() {
        None
    } else {
        Some(range(host).ok_or_else(|| format!("invalid hostPort: {host}"))?)
    };
    if let Some((host_first, host_last)) = host_range
        && last - first != host_last - host_first
        && last != first
    {
        return Err(format!(
            "invalid ranges specified for container and host Ports: {container} and {host}"
        ));
    }
    for port in first..=last {
        let host_port = match host_range {
            None => String::new(),
            Some((host_first, host_last)) if first == last && host_first != host_last => {
                format!("{host_first}-{host_last}")
            }
            Some((host_first, _)) => (host_first + (port - first)).to_string(),
        };
        into.entry(format!("{port}/{protocol}"))
            .or_default()
            .push(Binding {
                host_ip: ip.clone(),
                host_port,
            });
    }
    Ok(())
}

/// Parses one `--expose` word: `PORT[-PORT][/PROTOCOL]`.
///
/// # Errors
/// Docker's words.
pub(crate) fn expose(word: &str) -> Result<Vec<String>, String> {
    if word.contains(':') {
        return Err(format!("invalid port format for --expose: {word}"));
    }
    let (protocol, ports) = protocol(word);
    let (first, last) = range(ports)
        .ok_or_else(|| format!("invalid range format for --expose: {word}, error: invalid port"))?;
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}

fn long_form(word: &str) -> Result<String, String> {
    if !word.contains('=') {
        return Ok(word.to_owned());
    }
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for field in word.split(',') {
        let (key, value) = field
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| {
                format!("invalid publish opts format (should be name=value but got '{field}')")
            })?;
        match key {
            "published" => published = value,
            "target" => target = value,
            "protocol" => protocol = value,
            _ => {}
        }
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

fn split(word: &str) -> (&str, &str, &str) {
    match word.rsplit_once(':') {
        None => ("", "", word),
        Some((rest, container)) => match rest.rsplit_once(':') {
            None => ("", rest, container),
            Some((ip, host)) => (ip, host, container),
        },
    }
}

fn protocol(port: &str) -> (String, &str) {
    match port.split_once('/') {
        Some((port, protocol)) if !protocol.is_empty() => (protocol.to_lowercase(), port),
        Some((port, _)) => ("tcp".to_owned(), port),
        None => ("tcp".to_owned(), port),
    }
}

fn address(ip: &str) -> Result<String, String> {
    if ip.is_empty() {
        return Ok(String::new());
    }
    let bare = ip
        .strip_prefix('[')
        .and_then(|ip| ip.strip_suffix(']'))
        .unwrap_or(ip);
    match bare.parse::<IpAddr>() {
        Ok(_) => Ok(bare.to_owned()),
        Err(_) => Err(format!("invalid IP address: {ip}")),
    }
}

fn range(ports: &str) -> Option<(u16, u16)> {
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(word: &str) -> Result<Vec<String>, String> {
        let mut bindings = Bindings::new();
        publish(word, &mut bindings)?;
        let mut words = Vec::new();
        for (port, bindings) in bindings {
            for Binding { host_ip, host_port } in bindings {
                words.push(format!("{host_ip}|{host_port}|{port}"));
            }
        }
        Ok(words)
    }

    #[test]
    fn forms() {
        for (word, parsed) in [
            ("80", vec!["||80/tcp"]),
            ("8080:80", vec!["|8080|80/tcp"]),
            ("8080:80/UDP", vec!["|8080|80/udp"]),
            ("127.0.0.1:8080:80", vec!["127.0.0.1|8080|80/tcp"]),
            ("127.0.0.1::80", vec!["127.0.0.1||80/tcp"]),
            ("[::1]:8080:80", vec!["::1|8080|80/tcp"]),
            ("::1:8080:80", vec!["::1|8080|80/tcp"]),
            ("8080-8081:80-81", vec!["|8080|80/tcp", "|8081|81/tcp"]),
            ("8080-8090:80", vec!["|8080-8090|80/tcp"]),
            (
                "published=8080,target=80,protocol=udp",
                vec!["|8080|80/udp"],
            ),
        ] {
            assert_eq!(parse(word).unwrap(), parsed, "{word}");
        }
    }

    #[test]
    fn mistakes() {
        for (word, error) in [
            ("8080:", "no port specified: 8080:<empty>"),
            ("80/xyz", "invalid proto: xyz"),
            ("1.2.3:80:80", "invalid IP address: 1.2.3"),
            ("80:x", "invalid containerPort: x"),
            ("70000:80", "invalid hostPort: 70000"),
            ("81-80", "invalid containerPort: 81-80"),
            (
                "8080-8082:80-81",
                "invalid ranges specified for container and host Ports: 80-81 and 8080-8082",
            ),
            (
                "published=1,oops",
                "invalid publish opts format (should be name=value but got 'oops')",
            ),
        ] {
            assert_eq!(parse(word).unwrap_err(), error, "{word}");
        }
    }

    #[test]
    fn exposed() {
        assert_eq!(
            expose("80-81/udp"),
            Ok(vec!["80/udp".into(), "81/udp".into()])
        );
        assert_eq!(
            expose("1:2"),
            Err("invalid port format for --expose: 1:2".into())
        );
        assert!(expose("x").is_err());
    }
}
