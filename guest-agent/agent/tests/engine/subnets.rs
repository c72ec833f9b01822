//! Where subnets come from, and how many networks there can be.

use serde_json::{Value, json};

use crate::support::{Host, host, request};

const SETTINGS: &str = "/slipway/networks/subnets";

#[test]
fn subnets_come_from_where_the_person_says() {
    let host = host!();
    // The default network has its subnet by then, too.
    assert_eq!(create(&host, "before", &json!({})), "172.18.0.0/16");
    assert_eq!(
        set(
            &host,
            &json!({
                "default-address-pools": [{"base": "10.55.0.0/16", "size": 24}],
                "avoid": ["10.55.0.0/24", "10.55.2.0/23"],
            })
        ),
        200
    );
    assert_eq!(create(&host, "a", &json!({})), "10.55.1.0/24");
    assert_eq!(create(&host, "b", &json!({})), "10.55.4.0/24");
    // What is asked for by name is the person's own business.
    let ipam = json!({"Config": [{"Subnet": "10.55.2.0/24"}]});
    assert_eq!(create(&host, "c", &ipam), "10.55.2.0/24");
    for wrong in [
        json!({"default-address-pools": [{"base": "10.55.0.0/16", "size": 8}]}),
        json!({"default-address-pools": [{"base": "10.55.0.0/16", "size": 31}]}),
        json!({"default-address-pools": [{"base": "10.55.0.0", "size": 24}]}),
        json!({"avoid": ["x"]}),
        json!({"avoided": []}),
    ] {
        assert_eq!(set(&host, &wrong), 400, "{wrong}");
    }
    // Nothing that was refused was kept.
    assert_eq!(create(&host, "d", &json!({})), "10.55.5.0/24");
    assert_eq!(set(&host, &json!({})), 200);
    assert_eq!(create(&host, "e", &json!({})), "172.19.0.0/16");
}

#[test]
fn two_hundred_networks_and_a_thousand_endpoints() {
    const NETWORKS: usize = 200;
    const CONTAINERS: usize = 100;
    const EACH: usize = 10;
    let host = host!();
    for number in 0..NETWORKS {
        create(&host, &format!("n{number}"), &json!({}));
    }
    let mut runs = Vec::new();
    for number in 0..CONTAINERS {
        let endpoints: serde_json::Map<String, Value> = (0..EACH)
            .map(|at| (format!("n{}", (number * 2 + at * 20) % NETWORKS), json!({})))
            .collect();
        assert_eq!(endpoints.len(), EACH);
        let body = json!({
            "Image": "busybox",
            "Cmd": ["sleep", "1000"],
            "HostConfig": {"NetworkMode": endpoints.keys().next()},
            "NetworkingConfig": {"EndpointsConfig": endpoints},
        });
        let name = format!("c{number}");
        let path = format!("/containers/create?name={name}");
        let (status, said) = json_request(&host, "POST", &path, &body);
        assert_eq!(status, 201, "{said}");
        let (status, said) = json_request(
            &host,
            "POST",
            &format!("/containers/{name}/start"),
            &json!({}),
        );
        assert_eq!(status, 204, "{said}");
        runs.push(name);
    }
    // The first and the fiftieth share networks: n0, n20, …, and n100, n120, ….
    let found = |from: &str, name: &str| {
        let script = format!("ping -c 1 -W 3 {name}");
        host.docker(&["exec", from, "sh", "-c", &script]).code == 0
    };
    assert!(found("c0", "c10.n20") && found("c99", "c89"));
    assert!(!found("c0", "c1"), "they share no network");
    let interfaces = host.docker(&["exec", "c0", "sh", "-c", "ls /sys/class/net | grep -c eth"]);
    assert_eq!(interfaces.good(), EACH.to_string());
    let all: Vec<&str> = ["rm", "-f"]
        .into_iter()
        .chain(runs.iter().map(String::as_str))
        .collect();
    host.docker(&all).good();
    let pruned = host.docker(&["network", "prune", "-f"]).good();
    assert_eq!(pruned.matches("\nn").count(), NETWORKS);
}

fn set(host: &Host, settings: &Value) -> u16 {
    json_request(host, "PUT", SETTINGS, settings).0
}

/// Makes a network; its first subnet.
#[track_caller]
fn create(host: &Host, name: &str, ipam: &Value) -> String {
    let body = json!({"Name": name, "IPAM": ipam});
    let (status, said) = json_request(host, "POST", "/networks/create", &body);
    assert_eq!(status, 201, "{said}");
    let (_, text) = request(host, "GET", &format!("/networks/{name}"), "", "");
    let network: Value = serde_json::from_str(&text).unwrap();
    network["IPAM"]["Config"][0]["Subnet"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn json_request(host: &Host, method: &str, path: &str, body: &Value) -> (u16, String) {
    request(host, method, path, "application/json", &body.to_string())
}
