//! `GET /info`.

use std::sync::Arc;

use axum::extract::State;
use engine::image::Registries;
use engine::time::Time;
use engine::{Engine, VERSION};
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::reply;
use crate::version::ApiVersion;

/// `GET /info`.
pub(crate) async fn info(State(engine): State<Arc<Engine>>, version: ApiVersion) -> Result {
    let info = engine.info().await?;
    let limits = info.limits;
    let registries = engine.registries_in_use()?;
    let mut value = json!({
        "ID": info.id,
        "Containers": info.containers,
        "ContainersRunning": info.running,
        "ContainersPaused": info.paused,
        "ContainersStopped": info.stopped,
        "Images": info.images,
        "Driver": "overlay2",
        "DriverStatus": [
            ["Backing Filesystem", info.backing_filesystem],
            ["Supports d_type", "true"],
            ["Using metacopy", "false"],
            ["Native Overlay Diff", "true"],
            ["userxattr", "false"],
        ],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": null,
            "Log": ["json-file", "local", "none"],
        },
        "MemoryLimit": limits.memory,
        "SwapLimit": limits.swap,
        "CpuCfsPeriod": limits.cpu_max,
        "CpuCfsQuota": limits.cpu_max,
        "CPUShares": limits.cpu_weight,
        "CPUSet": limits.cpuset,
        "PidsLimit": limits.pids,
        "IPv4Forwarding": true,
        "Debug": false,
        "NFd": info.descriptors,
        "OomKillDisable": false,
        "NGoroutines": 0,
        "SystemTime": Time::now(),
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2",
        "NEventsListener": 0,
        "KernelVersion": info.kernel,
        "OperatingSystem": info.operating_system,
        "OSVersion": info.os_version,
        "OSType": "linux",
        "Architecture": info.architecture,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": registry_config(&registries),
        "NCPU": info.cpus,
        "MemTotal": info.memory_bytes,
        "GenericResources": null,
        "DockerRootDir": info.root,
        "HttpProxy": without_password(&registries.proxies.http_proxy),
        "HttpsProxy": without_password(&registries.proxies.https_proxy),
        "NoProxy": registries.proxies.no_proxy,
        "Name": info.name,
        "Labels": [],
        "ExperimentalBuild": false,
        "ServerVersion": VERSION,
        // Clients ask for these names, and compare them.
        "Runtimes": {
            "io.containerd.runc.v2": { "path": "slipway-warden" },
            "runc": { "path": "slipway-warden" },
        },
        "DefaultRuntime": "runc",
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": false,
            "Error": "",
            "RemoteManagers": null,
        },
        "LiveRestoreEnabled": true,
        "Isolation": "",
        "InitBinary": "docker-init",
        "ContainerdCommit": { "ID": "" },
        "RuncCommit": { "ID": "" },
        "InitCommit": { "ID": "" },
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
        "FirewallBackend": { "Driver": "nftables" },
        "CDISpecDirs": [],
        "Warnings": if info.warnings.is_empty() { json!(null) } else { json!(info.warnings) },
    });
    for_older(&mut value, version);
    Ok(reply::ok(&value))
}

/// What is set for registries, as Docker tells it.
fn registry_config(registries: &Registries) -> Value {
    let mirrors: Vec<String> = registries
        .registry_mirrors
        .iter()
        .map(|url| format!("{}/", url.trim_end_matches('/')))
        .collect();
    let (ranges, names): (Vec<&String>, Vec<&String>) = registries
        .insecure_registries
        .iter()
        .partition(|name| name.contains('/'));
    let ranges = ["::1/128", "127.0.0.0/8"]
        .into_iter()
        .chain(ranges.into_iter().map(String::as_str));
    let index = |name: &str, mirrors: &[String], hub: bool| json!({ "Name": name, "Mirrors": mirrors, "Secure": hub, "Official": hub });
    let mut indexes = Map::new();
    indexes.insert("docker.io".into(), index("docker.io", &mirrors, true));
    for name in names {
        indexes.insert(name.clone(), index(name, &[], false));
    }
    json!({
        "InsecureRegistryCIDRs": ranges.collect::<Vec<_>>(),
        "IndexConfigs": indexes,
        "Mirrors": if mirrors.is_empty() { Value::Null } else { json!(mirrors) },
    })
}

/// A proxy's address as it may be shown.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match rest.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => format!("xxxxx:xxxxx@{host}"),
        Some((_, host)) => format!("{scheme}://xxxxx:xxxxx@{host}"),
        None => url.to_owned(),
    }
}

/// What older clients find otherwise.
fn for_older(value: &mut Value, version: ApiVersion) {
    if !version.at_least(25) {
        value["SecurityOptions"] = json!(["seccomp", "cgroupns"]);
    }
    if !version.at_least(47) {
        for key in [
            "AllowNondistributableArtifactsCIDRs",
            "AllowNondistributableArtifactsHostnames",
        ] {
            value["RegistryConfig"][key] = Value::Null;
        }
    }
    if !version.at_least(49)
        && let Some(object) = value.as_object_mut()
    {
        object.remove("FirewallBackend");
    }
    if !version.at_least(50) {
        value["BridgeNfIptables"] = json!(false);
        value["BridgeNfIp6tables"] = json!(false);
    }
}
