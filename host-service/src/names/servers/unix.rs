//! Name servers on Linux and macOS.

use std::net::{IpAddr, Ipv4Addr};

/// Those in `/etc/resolv.conf`; without any there is one on this computer, says `resolv.conf(5)`.
pub(in crate::names) fn find() -> Vec<IpAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let mut found = parse(&text);
    if found.is_empty() {
        found.push(Ipv4Addr::LOCALHOST.into());
    }
    found
}

fn parse(text: &str) -> Vec<IpAddr> {
    let lines = text.lines();
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            // A zone, as in fe80::1%eth0, is nothing that could be asked without its interface.
            (words.next()? == "nameserver").then(|| words.next()?.parse().ok())?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_in_order() {
        let text = "# one\nsearch lan\nnameserver 192.0.2.1 # here\n nameserver\t2001:db8::1\n\
                    nameserver fe80::1%eth0\noptions ndots:2\nnameserver\n";
        let expected: [IpAddr; 2] = [[192, 0, 2, 1].into(), "2001:db8::1".parse().expect("one")];
        assert_eq!(parse(text), expected);
    }
}
