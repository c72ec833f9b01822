//! The rules as nft commands in JSON (libnftables-json(5)). Networks are elements of sets, so the
//! number of rules depends on published ports alone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::FAMILY;
use crate::{Gateway, Protocol, Published, Spec, Subnet};

/// Where containers ask for names.
const NAMES: &str = "127.0.0.11";

/// A table's name as commands have it.
pub(super) fn name(table: &str) -> Value {
    json!({"table": {"family": FAMILY, "name": table}})
}

/// Collects commands for one table.
struct Table<'a> {
    name: &'a str,
    commands: Vec<Value>,
}

impl<'a> Table<'a> {
    /// Empties the table first; adding it before makes the removal of a missing one no error.
    fn new(table: &'a str) -> Self {
        Self {
            name: table,
            commands: vec![
                json!({"add": name(table)}),
                json!({"delete": name(table)}),
                json!({"add": name(table)}),
            ],
        }
    }

    fn base(&mut self, chain: &str, kind: &str, hook: &str, priority: i32) {
        self.commands.push(
            json!({"add": {"chain": {"family": FAMILY, "table": self.name, "name": chain,
            "type": kind, "hook": hook, "prio": priority, "policy": "accept"}}}),
        );
    }

    fn chain(&mut self, chain: &str) {
        self.commands
            .push(json!({"add": {"chain": {"family": FAMILY, "table": self.name, "name": chain}}}));
    }

    fn rule(&mut self, chain: &str, expressions: Vec<Value>) {
        self.commands.push(
            json!({"add": {"rule": {"family": FAMILY, "table": self.name, "chain": chain,
            "expr": expressions}}}),
        );
    }

    fn set(&mut self, name: &str, kind: Value, interval: bool, elements: Vec<Value>) {
        let mut set = json!({"family": FAMILY, "table": self.name, "name": name, "type": kind});
        if interval {
            set["flags"] = json!(["interval"]);
        }
        if !elements.is_empty() {
            set["elem"] = json!(elements);
        }
        self.commands.push(json!({"add": {"set": set}}));
    }

    fn finish(self) -> Value {
        json!({"nftables": self.commands})
    }
}

fn is(left: Value, right: Value) -> Value {
    json!({"match": {"op": "==", "left": left, "right": right}})
}

fn is_not(left: Value, right: Value) -> Value {
    json!({"match": {"op": "!=", "left": left, "right": right}})
}

fn meta(key: &str) -> Value {
    json!({"meta": {"key": key}})
}

fn field(ipv4: bool, field: &str) -> Value {
    json!({"payload": {"protocol": if ipv4 { "ip" } else { "ip6" }, "field": field}})
}

fn in_family(ipv4: bool) -> Value {
    is(meta("nfproto"), json!(if ipv4 { "ipv4" } else { "ipv6" }))
}

fn concat(parts: Vec<Value>) -> Value {
    json!({"concat": parts})
}

fn state(ct: &[&str]) -> Value {
    json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ct}})
}

fn translated() -> Value {
    json!({"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}})
}

fn accept() -> Value {
    json!({"accept": null})
}

fn drop() -> Value {
    json!({"drop": null})
}

fn prefix(subnet: Subnet) -> Value {
    json!({"prefix": {"addr": subnet.base().to_string(), "len": subnet.prefix_len()}})
}

/// The whole table for these networks and published ports. `names` is where the machine answers
/// questions for names.
pub(super) fn table(
    name: &str,
    specs: &[&Spec],
    published: &[&Published],
    names: Option<Ipv4Addr>,
) -> Value {
    let bridges: Vec<&Spec> = specs
        .iter()
        .copied()
        .filter(|spec| spec.is_bridge())
        .collect();
    let mut table = Table::new(name);
    sets(&mut table, &bridges);
    translate(&mut table, &bridges, published);
    forward(&mut table, &bridges, published);
    input(&mut table, names);
    table.finish()
}

fn sets(table: &mut Table<'_>, bridges: &[&Spec]) {
    let names = |wanted: &dyn Fn(&Spec) -> bool| -> Vec<Value> {
        bridges
            .iter()
            .filter(|spec| wanted(spec))
            .map(|spec| json!(spec.interface))
            .collect()
    };
    table.set("bridges", json!("ifname"), false, names(&|_| true));
    table.set("out", json!("ifname"), false, names(&|spec| !spec.internal));
    let pairs = bridges
        .iter()
        .map(|spec| concat(vec![json!(spec.interface), json!(spec.interface)]))
        .collect();
    table.set("same", json!(["ifname", "ifname"]), false, pairs);
    for ipv4 in [true, false] {
        let number = if ipv4 { 4 } else { 6 };
        let address = if ipv4 { "ipv4_addr" } else { "ipv6_addr" };
        let subnets = |spec: &'_ Spec| -> Vec<Subnet> {
            let pools = spec.pools.iter().map(|pool| pool.subnet);
            pools.filter(|subnet| subnet.is_ipv4() == ipv4).collect()
        };
        let own = bridges.iter().flat_map(|spec| {
            let subnets = subnets(spec);
            subnets
                .into_iter()
                .map(|subnet| concat(vec![json!(spec.interface), prefix(subnet)]))
        });
        let kind = json!(["ifname", address]);
        table.set(&format!("own{number}"), kind.clone(), true, own.collect());
        let hidden = bridges
            .iter()
            .filter(|spec| {
                let mode = spec.gateway_mode(ipv4);
                !spec.internal && matches!(mode, Gateway::Nat | Gateway::NatUnprotected)
            })
            .flat_map(|spec| subnets(spec))
            .map(prefix);
        table.set(
            &format!("hidden{number}"),
            json!(address),
            true,
            hidden.collect(),
        );
        let gateways = bridges.iter().flat_map(|spec| {
            spec.gateways()
                .filter(|(ip, _)| ip.is_ipv4() == ipv4)
                .map(|(ip, _)| concat(vec![json!(spec.interface), json!(ip.to_string())]))
        });
        table.set(
            &format!("gateways{number}"),
            kind,
            false,
            gateways.collect(),
        );
        let open = bridges
            .iter()
            .filter(|spec| spec.gateway_mode(ipv4) == Gateway::NatUnprotected)
            .map(|spec| json!(spec.interface));
        table.set(
            &format!("open{number}"),
            json!("ifname"),
            false,
            open.collect(),
        );
    }
}

/// Addresses: out with the machine's, in by published ports.
fn translate(table: &mut Table<'_>, bridges: &[&Spec], published: &[&Published]) {
    // Ports on the loopback address are the machine's alone.
    table.base("martians", "filter", "prerouting", -300);
    table.rule(
        "martians",
        vec![
            is(meta("iifname"), json!("@bridges")),
            is(
                field(true, "daddr"),
                json!({"prefix": {"addr": "127.0.0.0", "len": 8}}),
            ),
            drop(),
        ],
    );
    table.chain("published");
    for group in groups(published).values() {
        table.rule("published", destination(group));
    }
    let local = || {
        is(
            json!({"fib": {"result": "type", "flags": "daddr"}}),
            json!("local"),
        )
    };
    for hook in ["prerouting", "output"] {
        table.base(hook, "nat", hook, -100);
        let jump = json!({"jump": {"target": "published"}});
        table.rule(hook, vec![local(), jump]);
    }
    table.base("postrouting", "nat", "postrouting", 100);
    let masquerade = || json!({"masquerade": null});
    for (ipv4, number) in [(true, 4), (false, 6)] {
        let from_own = || concat(vec![meta("oifname"), field(ipv4, "saddr")]);
        let hidden = is(field(ipv4, "saddr"), json!(format!("@hidden{number}")));
        let elsewhere = is_not(from_own(), json!(format!("@own{number}")));
        table.rule("postrouting", vec![hidden, elsewhere, masquerade()]);
        // A container that comes to a neighbour through the machine must get its answers there.
        let neighbour = is(from_own(), json!(format!("@own{number}")));
        table.rule("postrouting", vec![neighbour, translated(), masquerade()]);
    }
    let loopback = json!({"prefix": {"addr": "127.0.0.0", "len": 8}});
    if !bridges.is_empty() {
        table.rule(
            "postrouting",
            vec![
                is(meta("oifname"), json!("@bridges")),
                is(field(true, "saddr"), loopback),
                masquerade(),
            ],
        );
    }
}

type Group<'a> = Vec<&'a Published>;

/// Published ports by where they listen: replicas share one place.
fn groups<'a>(published: &[&'a Published]) -> BTreeMap<(u8, bool, IpAddr, u16), Group<'a>> {
    let mut groups: BTreeMap<_, Group<'a>> = BTreeMap::new();
    for port in published {
        let Some((protocol, host, host_port)) = port.place() else {
            continue;
        };
        // Addresses that stand for all come last.
        let key = (protocol as u8, host.is_unspecified(), host, host_port);
        groups.entry(key).or_default().push(port);
    }
    groups
}

fn destination(group: &[&Published]) -> Vec<Value> {
    let Some(first) = group.iter().min_by_key(|port| port.fitness) else {
        return Vec::new();
    };
    let fittest = group.iter().filter(|port| port.fitness == first.fitness);
    let group: Vec<&Published> = fittest.copied().collect();
    let ipv4 = first.target.is_ipv4();
    let mut rule = vec![in_family(ipv4)];
    if !first.host.is_unspecified() {
        rule.push(is(field(ipv4, "daddr"), json!(first.host.to_string())));
    }
    if !ipv4 {
        // The kernel leads nothing from there to another interface.
        rule.push(is_not(field(false, "daddr"), json!("::1")));
    }
    let port = json!({"payload": {"protocol": first.protocol.name(), "field": "dport"}});
    rule.push(is(port, json!(first.host_port)));
    let address = if group.len() == 1 {
        json!(first.target.ip().to_string())
    } else {
        let numbered: Vec<Value> = group
            .iter()
            .enumerate()
            .map(|(number, port)| json!([number, port.target.ip().to_string()]))
            .collect();
        let turns = json!({"numgen": {"mode": "inc", "mod": group.len(), "offset": 0}});
        json!({"map": {"key": turns, "data": {"set": numbered}}})
    };
    let family = if ipv4 { "ip" } else { "ip6" };
    rule.push(json!({"dnat": {"family": family, "addr": address, "port": first.target.port()}}));
    rule
}

/// Freely among neighbours, out with an address of one's own, in only what was asked for.
fn forward(table: &mut Table<'_>, bridges: &[&Spec], published: &[&Published]) {
    let chain = "forward";
    table.base(chain, "filter", "forward", 0);
    let from = || is(meta("iifname"), json!("@bridges"));
    let to = || is(meta("oifname"), json!("@bridges"));
    let same = || {
        let both = concat(vec![meta("iifname"), meta("oifname")]);
        is(both, json!("@same"))
    };
    // Neighbours have addresses of the link, which are nobody's subnet.
    for (ipv4, address, length) in [(true, "169.254.0.0", 16), (false, "fe80::", 10)] {
        let link = json!({"prefix": {"addr": address, "len": length}});
        let rule = vec![same(), is(field(ipv4, "saddr"), link), accept()];
        table.rule(chain, rule);
    }
    for (ipv4, number) in [(true, 4), (false, 6)] {
        let own = is_not(
            concat(vec![meta("iifname"), field(ipv4, "saddr")]),
            json!(format!("@own{number}")),
        );
        table.rule(chain, vec![from(), in_family(ipv4), own, drop()]);
    }
    let known = || state(&["established", "related"]);
    table.rule(chain, vec![to(), known(), accept()]);
    table.rule(chain, vec![from(), known(), accept()]);
    table.rule(chain, vec![same(), accept()]);
    table.rule(chain, vec![to(), translated(), accept()]);
    table.rule(chain, vec![from(), to(), drop()]);
    let out = is(meta("iifname"), json!("@out"));
    table.rule(chain, vec![out, accept()]);
    table.rule(chain, vec![from(), drop()]);
    for (ipv4, number) in [(true, 4), (false, 6)] {
        let open = is(meta("oifname"), json!(format!("@open{number}")));
        table.rule(chain, vec![in_family(ipv4), open, accept()]);
    }
    let routed = |port: &Published| {
        let spec = bridges.iter().find(|spec| spec.id == port.network);
        spec.is_some_and(|spec| spec.is_routed(port.target.is_ipv4()))
    };
    for port in published.iter().filter(|port| routed(port)) {
        let field_of = json!({"payload": {"protocol": port.protocol.name(), "field": "dport"}});
        let daddr = field(port.target.is_ipv4(), "daddr");
        table.rule(
            chain,
            vec![
                is(daddr, json!(port.target.ip().to_string())),
                is(field_of, json!(port.target.port())),
                accept(),
            ],
        );
    }
    table.rule(chain, vec![to(), drop()]);
}

/// The machine itself, under whichever of its addresses, is no business of containers: gateways
/// answer pings and say where they are, connections that the machine opened go on, and the virtual
/// machine answers questions for names to who may go out.
fn input(table: &mut Table<'_>, names: Option<Ipv4Addr>) {
    let chain = "input";
    table.base(chain, "filter", "input", 0);
    let from = || is(meta("iifname"), json!("@bridges"));
    table.rule(
        chain,
        vec![from(), state(&["established", "related"]), accept()],
    );
    for (ipv4, number) in [(true, 4), (false, 6)] {
        let gateway = is(
            concat(vec![meta("iifname"), field(ipv4, "daddr")]),
            json!(format!("@gateways{number}")),
        );
        let protocol = if ipv4 { "icmp" } else { "icmpv6" };
        let kind = json!({"payload": {"protocol": protocol, "field": "type"}});
        table.rule(
            chain,
            vec![gateway, is(kind, json!("echo-request")), accept()],
        );
    }
    let kind = json!({"payload": {"protocol": "icmpv6", "field": "type"}});
    let neighbours = json!({"set": ["nd-neighbor-solicit", "nd-neighbor-advert"]});
    table.rule(chain, vec![from(), is(kind, neighbours), accept()]);
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let Some(names) = names else { break };
        let port = json!({"payload": {"protocol": protocol.name(), "field": "dport"}});
        let out = is(meta("iifname"), json!("@out"));
        let daddr = is(field(true, "daddr"), json!(names.to_string()));
        table.rule(chain, vec![out, daddr, is(port, json!(53)), accept()]);
    }
    table.rule(chain, vec![from(), drop()]);
}

/// What arrives from these interfaces beyond so many bytes a second is dropped. Whom its own
/// interface slows down is never above it: the burst holds twice what that lets through at once.
pub(super) fn limits(table: &str, limits: &BTreeMap<String, u64>) -> Value {
    let named = json!({"table": {"family": "netdev", "name": table}});
    let mut commands = vec![json!({"add": named}), json!({"delete": named})];
    if !limits.is_empty() {
        commands.push(json!({"add": named}));
    }
    for (interface, rate) in limits {
        let place = |more: Value| {
            let mut object = json!({"family": "netdev", "table": table});
            if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
                object.extend(more);
            }
            object
        };
        commands.push(json!({"add": {"chain": place(json!({
            "name": interface, "type": "filter", "hook": "ingress", "dev": interface,
            "prio": 0, "policy": "accept",
        }))}}));
        let over = json!({"limit": {
            "rate": rate, "rate_unit": "bytes", "per": "second",
            "burst": 2 * crate::messages::burst(*rate), "burst_unit": "bytes", "inv": true,
        }});
        commands.push(json!({"add": {"rule": place(json!({
            "chain": interface, "expr": [over, drop()],
        }))}}));
    }
    json!({"nftables": commands})
}

/// In a container's namespace: questions to port 53 of its own resolver go to where that listens,
/// so that a name server in the container can have the port. Ports are exchanged in the packets
/// themselves: a translation would have the kernel track every connection of the container. One
/// that the container tracks for itself is seen with our port in both directions.
pub(super) fn names(udp: u16, tcp: u16) -> Value {
    const BEFORE_TRACKING: i32 = -300;
    const AFTER_TRACKING: i32 = -100;
    let mut table = Table::new("slipway_names");
    table.base("questions", "filter", "output", BEFORE_TRACKING);
    table.base("answers", "filter", "output", AFTER_TRACKING);
    for (protocol, port) in [(Protocol::Udp, udp), (Protocol::Tcp, tcp)] {
        let payload =
            |field: &str| json!({"payload": {"protocol": protocol.name(), "field": field}});
        let set =
            |field: &str, port: u16| json!({"mangle": {"key": payload(field), "value": port}});
        table.rule(
            "questions",
            vec![
                is(field(true, "daddr"), json!(NAMES)),
                is(payload("dport"), json!(53)),
                set("dport", port),
            ],
        );
        table.rule(
            "answers",
            vec![
                is(field(true, "saddr"), json!(NAMES)),
                is(payload("sport"), json!(port)),
                set("sport", 53),
            ],
        );
    }
    table.finish()
}
