//! What networks are made with, as their containers see it: patterns, priorities of the way out, and the
//! name server's other protocol.

use crate::outside::{address, network};
use crate::support::{Host, host};

#[test]
fn a_pattern_makes_networks() {
    let host = host!();
    let create = |args: &[&str]| host.docker(&[&["network", "create"], args].concat());
    create(&[
        "--config-only",
        "--subnet=10.78.0.0/24",
        "--gateway=10.78.0.9",
        "-o",
        "com.docker.network.driver.mtu=1300",
        "--label=a=b",
        "pattern",
    ])
    .good();
    create(&["--config-from", "pattern", "--internal", "made"]).good();
    let inspect = |format: &str| {
        host.docker(&["network", "inspect", "-f", format, "made"])
            .good()
    };
    assert_eq!(inspect("{{(index .IPAM.Config 0).Gateway}}"), "10.78.0.9");
    let told = inspect("{{.Internal}} {{.ConfigFrom.Network}} {{.ConfigOnly}} {{.Labels.a}}");
    assert_eq!(told, "true pattern false b");
    let script = "cat /sys/class/net/eth0/mtu; ip -o addr show eth0";
    let run = |network: &str| {
        host.docker(&[
            "run",
            "--rm",
            "--network",
            network,
            "busybox",
            "sh",
            "-c",
            script,
        ])
    };
    let told = run("made").good();
    assert!(
        told.starts_with("1300\n") && told.contains("10.78.0.1/24"),
        "{told}"
    );
    run("pattern").bad(125, "configuration-only network");
    let listed = host
        .docker(&["network", "ls", "--format", "{{.Name}} {{.Driver}}"])
        .good();
    assert!(listed.contains("pattern null"), "{listed}");
    let depends = "user specified configurations are not supported if the network depends on a configuration network";
    create(&["--config-from", "pattern", "--subnet=10.79.0.0/24", "x"]).bad(1, depends);
    create(&["--config-from", "pattern", "--label=c=d", "x"]).bad(1, depends);
    create(&["--config-from", "made", "x"]).bad(1, "configuration network \"made\" does not exist");
    create(&["--config-only", "--config-from", "pattern", "x"]).bad(
        1,
        "a configuration network cannot depend on another configuration network",
    );
    create(&["--config-only", "--internal", "x"])
        .bad(1, "can only contain network specific fields");
    host.docker(&["network", "rm", "pattern"])
        .bad(1, "configuration network \"pattern\" is in use");
    host.docker(&["network", "rm", "made", "pattern"]).good();
}

#[test]
fn the_way_out_is_that_of_the_highest_priority() {
    let host = host!();
    for name in ["aa", "bb", "cc"] {
        network(&host, &["--ipv6", name]);
    }
    let way_out = || {
        let field = |network: &str, field: &str| {
            host.field(
                "one",
                &format!(".NetworkSettings.Networks.{network}.{field}"),
            )
        };
        let routes = host.docker(&["exec", "one", "ip", "route"]).good();
        let routes6 = host.docker(&["exec", "one", "ip", "-6", "route"]).good();
        let goes = |network: &&str| {
            routes.contains(&format!("default via {} ", field(network, "Gateway")))
                && routes6.contains(&format!("default via {} ", field(network, "IPv6Gateway")))
        };
        let all = ["aa", "bb", "cc"];
        all.into_iter()
            .find(|name| connected(&host, name) && goes(name))
            .unwrap_or("none")
    };
    // Without a priority the first by name; with one the highest.
    host.docker(&[
        "run",
        "-d",
        "--name",
        "one",
        "--network",
        "bb",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    assert_eq!(way_out(), "bb");
    host.docker(&["network", "connect", "aa", "one"]).good();
    assert_eq!(way_out(), "aa");
    host.docker(&["network", "connect", "--gw-priority", "5", "cc", "one"])
        .good();
    assert_eq!(way_out(), "cc");
    host.docker(&["network", "disconnect", "cc", "one"]).good();
    assert_eq!(way_out(), "aa");
    host.docker(&["network", "disconnect", "aa", "one"]).good();
    host.docker(&["network", "connect", "--gw-priority", "-1", "aa", "one"])
        .good();
    assert_eq!(way_out(), "bb");
    // A restart leaves it so.
    host.docker(&["restart", "-t", "0", "one"]).good();
    assert_eq!(way_out(), "bb");
}

fn connected(host: &Host, network: &str) -> bool {
    let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    let names = host.docker(&["inspect", "-f", format, "one"]).good();
    names.split_whitespace().any(|name| name == network)
}

#[test]
fn names_are_answered_over_tcp() {
    let host = host!();
    network(&host, &["asking"]);
    host.docker(&[
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "asking",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    let ip = address(&host, "web", "IPAddress");
    // A question for the address of `web` behind its length, twice on one connection.
    let question = r"\0\025\0\7\1\0\0\1\0\0\0\0\0\0\3web\0\0\1\0\1";
    let script = format!(
        "(printf '{question}{question}'; sleep 1) | nc -w 5 127.0.0.11 53 | od -An -v -tu1 | tr -s ' \\n' ' '"
    );
    let told = host.docker(&["exec", "web", "sh", "-c", &script]).good();
    let bytes = ip.replace('.', " ");
    assert_eq!(told.matches(&format!(" 0 4 {bytes}")).count(), 2, "{told}");
}
