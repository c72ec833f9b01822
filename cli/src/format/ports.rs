//! The PORTS column.

use std::collections::HashMap;

use crate::engine::models::Port;

/// Ports as Docker shows them: ranges of equal ports together, others one by one at the end.
pub(crate) fn ports(ports: &[Port]) -> String {
    let mut ports: Vec<&Port> = ports.iter().collect();
    ports.sort_by_key(|port| {
        (
            port.private_port,
            port.ip.clone(),
            port.public_port,
            port.kind.clone(),
        )
    });
    let mut words = Vec::new();
    let mut mapped = Vec::new();
    let mut order: Vec<(&str, &str)> = Vec::new();
    let mut groups: HashMap<(&str, &str), (u16, u16)> = HashMap::new();
    for port in ports {
        let current = port.private_port;
        if !port.ip.is_empty() && port.public_port != current {
            let host = host_port(&port.ip, &port.public_port.to_string());
            mapped.push(format!("{host}->{current}/{}", port.kind));
            continue;
        }
        let key = (port.ip.as_str(), port.kind.as_str());
        match groups.get_mut(&key) {
            None => {
                groups.insert(key, (current, current));
                order.push(key);
            }
            Some((_, last)) if u32::from(current) == u32::from(*last) + 1 => *last = current,
            Some(group) => {
                words.push(word(key, *group));
                *group = (current, current);
            }
        }
    }
    words.extend(order.into_iter().map(|key| word(key, groups[&key])));
    words.extend(mapped);
    words.join(", ")
}

fn word((ip, kind): (&str, &str), (first, last): (u16, u16)) -> String {
    let range = if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    };
    if ip.is_empty() {
        format!("{range}/{kind}")
    } else {
        format!("{}->{range}/{kind}", host_port(ip, &range))
    }
}

fn host_port(ip: &str, port: &str) -> String {
    if ip.contains(':') {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, public: u16, private: u16) -> Port {
        Port {
            private_port: private,
            ip: ip.to_owned(),
            public_port: public,
            kind: "tcp".to_owned(),
        }
    }

    #[test]
    fn as_docker_shows_them() {
        assert_eq!(ports(&[]), "");
        assert_eq!(
            ports(&[port("", 0, 80), port("", 0, 81), port("", 0, 443)]),
            "80-81/tcp, 443/tcp"
        );
        assert_eq!(
            ports(&[port("::", 8080, 80), port("0.0.0.0", 8080, 80)]),
            "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
        );
        assert_eq!(
            ports(&[port("0.0.0.0", 6000, 6000), port("0.0.0.0", 6001, 6001)]),
            "0.0.0.0:6000-6001->6000-6001/tcp"
        );
    }
}
