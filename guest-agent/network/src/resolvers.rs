//! Which name servers containers ask.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{NameServers, names};

/// What belongs into a container's `/etc/resolv.conf`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resolvers {
    /// Name servers, in order.
    pub servers: Vec<IpAddr>,
    /// Domains that are searched for short names.
    pub search: Vec<String>,
    /// Options such as `ndots:0`.
    pub options: Vec<String>,
}

/// systemd-resolved keeps the real servers here while `/etc/resolv.conf` names its own stub.
const CANDIDATES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// Docker's answer, too, when a machine names no server that a container can reach.
const FALLBACK: [Ipv4Addr; 2] = [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4)];

impl Resolvers {
    /// Finds them, by the setting. Files are read each time: a laptop changes networks.
    pub(crate) fn find(setting: &NameServers) -> Self {
        match setting {
            NameServers::Own(_) => Self {
                servers: vec![names::MACHINE.into()],
                ..Self::default()
            },
            NameServers::Machine => CANDIDATES
                .iter()
                .filter_map(|path| std::fs::read_to_string(Path::new(path)).ok())
                .map(|text| Self::parse(&text))
                .find(|found| !found.servers.is_empty())
                .unwrap_or_else(|| Self {
                    servers: FALLBACK.map(IpAddr::V4).to_vec(),
                    ..Self::default()
                }),
        }
    }

    /// Whom the machine itself asks, those on its loopback interface too.
    pub(crate) fn upstream(setting: &NameServers) -> Vec<IpAddr> {
        match setting {
            NameServers::Own(servers) => servers.clone(),
            NameServers::Machine => std::fs::read_to_string("/etc/resolv.conf")
                .unwrap_or_default()
                .lines()
                .filter_map(|line| line.trim().strip_prefix("nameserver"))
                .filter_map(|rest| rest.trim().parse().ok())
                .collect(),
        }
    }

    /// Reads `resolv.conf(5)`, leaving out servers that a container can't reach: those on the
    /// loopback interface, and IPv6 ones because the bridge has no IPv6.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    if let Some(Ok(IpAddr::V4(server))) = words.next().map(str::parse)
                        && !server.is_loopback()
                        && !server.is_unspecified()
                    {
                        found.servers.push(IpAddr::V4(server));
                    }
                }
                Some("search" | "domain") => found.search = words.map(str::to_owned).collect(),
                Some("options") => found.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        found
    }

    /// The file's text, for [`std::fs::write`].
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::from("# Written by Slipway when the container was started.\n");
        for server in &self.servers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !self.search.is_empty() {
            text.push_str(&format!("search {}\n", self.search.join(" ")));
        }
        if !self.options.is_empty() {
            text.push_str(&format!("options {}\n", self.options.join(" ")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_ipv6_servers_are_left_out() {
        let found = Resolvers::parse(
            "# comment\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.168.1.1 \n\
             search lan example.org\noptions ndots:0 edns0\nnameserver nonsense\n",
        );
        assert_eq!(found.servers, [IpAddr::from([192, 168, 1, 1])]);
        assert_eq!(found.search, ["lan", "example.org"]);
        assert_eq!(found.options, ["ndots:0", "edns0"]);
        assert_eq!(Resolvers::parse(&found.render()), found);
    }

    #[test]
    fn the_machine_asks_others_than_its_containers_do() {
        let server = IpAddr::from([10, 0, 2, 3]);
        let setting = NameServers::Own(vec![server]);
        let found = Resolvers::find(&setting);
        assert_eq!(found.servers, [IpAddr::V4(names::MACHINE)]);
        assert_eq!(Resolvers::upstream(&setting), [server]);
    }
}
