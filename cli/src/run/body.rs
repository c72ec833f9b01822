//! The create request that the flags make. Only what was asked for is sent: the engine knows the
//! defaults.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::flags::{ContainerFlags, Stream};
use super::network::{self, First};
use super::volume::{self, Volume};
use super::{env, health, port, security};

/// A JSON object that leaves out what is not said.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn opt<T: Clone + Into<Value>>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.set(name, value.clone());
        }
    }

    fn flag(&mut self, name: &str, on: bool) {
        if on {
            self.set(name, true);
        }
    }

    fn list<T: serde::Serialize>(&mut self, name: &str, items: &[T]) {
        if !items.is_empty() {
            self.set(name, json!(items));
        }
    }
}

/// The request's body. `detached` attaches nothing; `console` is this terminal's rows and columns.
///
/// # Errors
/// Docker's words for what is wrong with the flags.
pub(crate) fn create(
    flags: &ContainerFlags,
    detached: bool,
    console: Option<(u16, u16)>,
) -> Result<Value, String> {
    let mut bindings = port::Bindings::new();
    for word in &flags.network.publish {
        port::publish(word, &mut bindings)?;
    }
    let mut exposed: Map<String, Value> = bindings
        .keys()
        .map(|port| (port.clone(), json!({})))
        .collect();
    for word in &flags.network.expose {
        for port in port::expose(word)? {
            exposed.insert(port, json!({}));
        }
    }
    let mut volumes = Map::new();
    let mut binds = Vec::new();
    for word in &flags.storage.volume {
        match volume::parse(word)? {
            Volume::Anonymous(path) => {
                volumes.insert(path, json!({}));
            }
            Volume::Bind(bind) => binds.push(bind),
        }
    }
    let mut body = config(flags, detached)?;
    if !exposed.is_empty() {
        body.set("ExposedPorts", exposed);
    }
    if !volumes.is_empty() {
        body.set("Volumes", volumes);
    }
    let mut host = host_config(flags)?;
    if !bindings.is_empty() {
        host.set("PortBindings", json!(bindings));
    }
    host.list("Binds", &binds);
    if let Some((rows, columns)) = console {
        host.set("ConsoleSize", json!([rows, columns]));
    }
    body.set("HostConfig", host.0);
    let endpoints = network::endpoints(
        &flags.network.network,
        &First {
            aliases: &flags.network.network_alias,
            ipv4: flags.network.ip.as_deref(),
            ipv6: flags.network.ip6.as_deref(),
            mac: flags.network.mac_address.as_deref(),
        },
    )?;
    body.set("NetworkingConfig", json!({ "EndpointsConfig": endpoints }));
    Ok(Value::Object(body.0))
}

fn config(flags: &ContainerFlags, detached: bool) -> Result<Fields, String> {
    let attaches = |stream| !detached && flags.attaches(stream);
    let mut config = Fields::default();
    config.set("Image", flags.image());
    config.set("AttachStdin", attaches(Stream::Stdin));
    config.set("AttachStdout", attaches(Stream::Stdout));
    config.set("AttachStderr", attaches(Stream::Stderr));
    config.set("Tty", flags.tty);
    config.set("OpenStdin", flags.interactive);
    // Closed when the client goes: a filter in a pipe must see the end of its input.
    config.set("StdinOnce", flags.interactive && attaches(Stream::Stdin));
    config.list("Cmd", flags.command());
    // An empty one takes the image's away.
    if let Some(entrypoint) = &flags.entrypoint {
        config.set("Entrypoint", json!([entrypoint]));
    }
    config.opt("Hostname", flags.network.hostname.as_ref());
    config.opt("Domainname", flags.network.domainname.as_ref());
    config.opt("MacAddress", flags.network.mac_address.as_ref());
    config.opt("User", flags.user.as_ref());
    config.opt("WorkingDir", flags.workdir.as_ref());
    config.opt("StopSignal", flags.stop_signal.as_ref());
    config.opt("StopTimeout", flags.stop_timeout.as_ref());
    let mut variables = Vec::new();
    for file in &flags.env_file {
        variables.extend(env::read_file(file, true)?);
    }
    variables.extend(flags.env.iter().cloned());
    config.list("Env", &variables);
    let mut labels = Vec::new();
    for file in &flags.label_file {
        labels.extend(env::read_file(file, false)?);
    }
    labels.extend(flags.label.iter().cloned());
    let network = &flags.network;
    for (way, rate) in [
        ("egress", &network.net_egress),
        ("ingress", &network.net_ingress),
    ] {
        labels.extend(rate.iter().map(|rate| format!("slipway.net.{way}={rate}")));
    }
    if !labels.is_empty() {
        config.set("Labels", json!(pairs(&labels)));
    }
    if let Some(health) = health::health(&flags.health)? {
        config.set("Healthcheck", json!(health));
    }
    Ok(config)
}

fn host_config(flags: &ContainerFlags) -> Result<Fields, String> {
    let mut host = Fields::default();
    let restart = flags.restart.clone().unwrap_or_default();
    if flags.rm && !restart.is_none() {
        return Err("conflicting options: cannot specify both --restart and --rm".to_owned());
    }
    host.flag("AutoRemove", flags.rm);
    if flags.restart.is_some() {
        host.set("RestartPolicy", json!(restart));
    }
    host.opt("Init", flags.init.as_ref());
    host.opt("Runtime", flags.runtime.as_ref());
    if let Some(path) = &flags.cidfile {
        host.set("ContainerIDFile", path.to_string_lossy().as_ref());
    }
    host.list("GroupAdd", &flags.group_add);
    if !flags.annotation.is_empty() {
        host.set("Annotations", json!(pairs(&flags.annotation)));
    }
    logging(flags, &mut host)?;
    network(flags, &mut host);
    storage(flags, &mut host)?;
    resources(flags, &mut host)?;
    security(flags, &mut host)?;
    Ok(host)
}

fn logging(flags: &ContainerFlags, host: &mut Fields) -> Result<(), String> {
    let driver = flags.log_driver.as_deref().unwrap_or_default();
    if driver == "none" && !flags.log_opt.is_empty() {
        return Err(format!("invalid logging opts for driver {driver}"));
    }
    if !driver.is_empty() || !flags.log_opt.is_empty() {
        host.set(
            "LogConfig",
            json!({"Type": driver, "Config": pairs(&flags.log_opt)}),
        );
    }
    Ok(())
}

fn network(flags: &ContainerFlags, host: &mut Fields) {
    let flags = &flags.network;
    let mode = flags.network.first().map_or("default", |first| &first.name);
    host.set("NetworkMode", mode);
    host.flag("PublishAllPorts", flags.publish_all);
    host.list("Dns", &flags.dns);
    host.list("DnsSearch", &flags.dns_search);
    host.list("DnsOptions", &flags.dns_option);
    host.list("ExtraHosts", &flags.add_host);
    host.list("Links", &flags.link);
}

fn storage(flags: &ContainerFlags, host: &mut Fields) -> Result<(), String> {
    let flags = &flags.storage;
    host.list("Mounts", &flags.mount);
    if !flags.tmpfs.is_empty() {
        let split = |word: &String| match word.split_once(':') {
            Some((path, options)) => (path.to_owned(), options.to_owned()),
            None => (word.clone(), String::new()),
        };
        let tmpfs: BTreeMap<String, String> = flags.tmpfs.iter().map(split).collect();
        host.set("Tmpfs", json!(tmpfs));
    }
    host.list("VolumesFrom", &flags.volumes_from);
    host.opt("VolumeDriver", flags.volume_driver.as_ref());
    host.flag("ReadonlyRootfs", flags.read_only);
    host.opt("ShmSize", flags.shm_size.as_ref());
    if !flags.storage_opt.is_empty() {
        if !flags.storage_opt.iter().all(|word| word.contains('=')) {
            return Err("invalid storage option".to_owned());
        }
        host.set("StorageOpt", json!(pairs(&flags.storage_opt)));
    }
    Ok(())
}

fn resources(flags: &ContainerFlags, host: &mut Fields) -> Result<(), String> {
    let flags = &flags.resources;
    if let Some(value) = flags.memory_swappiness
        && !(-1..=100).contains(&value)
    {
        return Err(format!(
            "invalid value: {value}. Valid memory swappiness range is 0-100"
        ));
    }
    host.opt("Memory", flags.memory.as_ref());
    host.opt("MemoryReservation", flags.memory_reservation.as_ref());
    host.opt("MemorySwap", flags.memory_swap.as_ref());
    host.opt("MemorySwappiness", flags.memory_swappiness.as_ref());
    host.opt("NanoCpus", flags.cpus.as_ref());
    host.opt("CpuShares", flags.cpu_shares.as_ref());
    host.opt("CpuPeriod", flags.cpu_period.as_ref());
    host.opt("CpuQuota", flags.cpu_quota.as_ref());
    host.opt("CpusetCpus", flags.cpuset_cpus.as_ref());
    host.opt("CpusetMems", flags.cpuset_mems.as_ref());
    host.opt("BlkioWeight", flags.blkio_weight.as_ref());
    host.list("BlkioWeightDevice", &flags.blkio_weight_device);
    host.list("BlkioDeviceReadBps", &flags.device_read_bps);
    host.list("BlkioDeviceWriteBps", &flags.device_write_bps);
    host.list("BlkioDeviceReadIOps", &flags.device_read_iops);
    host.list("BlkioDeviceWriteIOps", &flags.device_write_iops);
    host.opt("PidsLimit", flags.pids_limit.as_ref());
    host.flag("OomKillDisable", flags.oom_kill_disable);
    host.opt("OomScoreAdj", flags.oom_score_adj.as_ref());
    host.opt("CgroupParent", flags.cgroup_parent.as_ref());
    // The last of a kind counts.
    let ulimits: BTreeMap<&str, _> = flags
        .ulimit
        .iter()
        .map(|limit| (limit.name.as_str(), limit))
        .collect();
    let ulimits: Vec<_> = ulimits.into_values().collect();
    host.list("Ulimits", &ulimits);
    Ok(())
}

fn security(flags: &ContainerFlags, host: &mut Fields) -> Result<(), String> {
    let flags = &flags.security;
    let modes = |mode: &Option<String>, known: &[&str]| match mode.as_deref() {
        None | Some("") => true,
        Some(mode) => {
            known.contains(&mode)
                || known.contains(&"container:")
                    && mode
                        .strip_prefix("container:")
                        .is_some_and(|name| !name.is_empty())
        }
    };
    for (good, error) in [
        (
            modes(&flags.pid, &["host", "container:"]),
            "--pid: invalid PID mode",
        ),
        (modes(&flags.uts, &["host"]), "--uts: invalid UTS mode"),
        (
            modes(&flags.userns, &["host"]),
            "--userns: invalid USER mode",
        ),
        (
            modes(&flags.cgroupns, &["host", "private"]),
            "--cgroupns: invalid CGROUP mode",
        ),
    ] {
        if !good {
            return Err(error.to_owned());
        }
    }
    host.flag("Privileged", flags.privileged);
    host.list("CapAdd", &flags.cap_add);
    host.list("CapDrop", &flags.cap_drop);
    let (options, unconfined) = security::options(&flags.security_opt)?;
    host.list("SecurityOpt", &options);
    if unconfined {
        host.set("MaskedPaths", json!([]));
        host.set("ReadonlyPaths", json!([]));
    }
    if !flags.sysctl.is_empty() {
        let sysctls: BTreeMap<_, _> = flags.sysctl.iter().cloned().collect();
        host.set("Sysctls", json!(sysctls));
    }
    host.list("Devices", &flags.device);
    host.list("DeviceCgroupRules", &flags.device_cgroup_rule);
    if let Some(gpus) = &flags.gpus {
        host.list("DeviceRequests", std::slice::from_ref(gpus));
    }
    host.opt("PidMode", flags.pid.as_ref());
    host.opt("IpcMode", flags.ipc.as_ref());
    host.opt("UTSMode", flags.uts.as_ref());
    host.opt("UsernsMode", flags.userns.as_ref());
    host.opt("CgroupnsMode", flags.cgroupns.as_ref());
    Ok(())
}

/// `k=v` words as a map; the last of a key counts.
fn pairs(words: &[String]) -> BTreeMap<&str, &str> {
    words
        .iter()
        .map(|word| word.split_once('=').unwrap_or((word, "")))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use clap::{Args, Command, FromArgMatches};

    fn flags(words: &[&str]) -> ContainerFlags {
        let command = Command::new("run").disable_help_flag(true);
        let command = ContainerFlags::augment_args(command);
        let matches = command
            .try_get_matches_from(std::iter::once(&"run").chain(words))
            .unwrap();
        ContainerFlags::from_arg_matches(&matches).unwrap()
    }

    fn body(words: &[&str]) -> Result<Value, String> {
        create(&flags(words), false, None)
    }

    #[test]
    fn little_is_sent_when_little_is_said() {
        assert_eq!(
            body(&["busybox"]).unwrap(),
            json!({
                "Image": "busybox", "AttachStdin": false, "AttachStdout": true,
                "AttachStderr": true, "Tty": false, "OpenStdin": false, "StdinOnce": false,
                "HostConfig": {"NetworkMode": "default"},
                "NetworkingConfig": {"EndpointsConfig": {}},
            })
        );
    }

    #[test]
    fn flags_end_at_the_image() {
        let body = body(&["-it", "--rm", "busybox", "ls", "-l", "--rm", "--", "-e"]).unwrap();
        assert_eq!(body["Cmd"], json!(["ls", "-l", "--rm", "--", "-e"]));
        assert_eq!(body["Tty"], true);
        assert_eq!(body["StdinOnce"], true);
        assert_eq!(body["HostConfig"]["AutoRemove"], true);
    }

    #[test]
    fn detached_attaches_nothing() {
        let body = create(&flags(&["-i", "busybox"]), true, None).unwrap();
        assert_eq!(body["AttachStdin"], false);
        assert_eq!(body["AttachStdout"], false);
        assert_eq!(body["OpenStdin"], true);
        assert_eq!(body["StdinOnce"], false);
    }

    #[test]
    fn many_flags() {
        let body = body(&[
            "-e",
            "A=1",
            "-m",
            "64m",
            "--cpus",
            "1.5",
            "--pids-limit",
            "-1",
            "-p",
            "8080:80",
            "--expose",
            "443",
            "-v",
            "/data",
            "-v",
            "/a:/b:ro",
            "--tmpfs",
            "/t:size=1m",
            "--entrypoint",
            "",
            "--label",
            "x=y",
            "-h",
            "box",
            "--ulimit",
            "nofile=5",
            "--ulimit",
            "nofile=6:7",
            "--restart",
            "on-failure:2",
            "--init",
            "--dns",
            "1.1.1.1",
            "--log-opt",
            "max-size=1m",
            "--stop-timeout",
            "3",
            "busybox",
        ])
        .unwrap();
        assert_eq!(body["Env"], json!(["A=1"]));
        assert_eq!(body["Hostname"], "box");
        assert_eq!(body["Entrypoint"], json!([""]));
        assert_eq!(body["StopTimeout"], 3);
        assert_eq!(body["Labels"], json!({"x": "y"}));
        assert_eq!(body["Volumes"], json!({"/data": {}}));
        assert_eq!(body["ExposedPorts"], json!({"80/tcp": {}, "443/tcp": {}}));
        assert_eq!(
            body["HostConfig"],
            json!({
                "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
                "Init": true,
                "LogConfig": {"Type": "", "Config": {"max-size": "1m"}},
                "NetworkMode": "default",
                "Dns": ["1.1.1.1"],
                "Tmpfs": {"/t": "size=1m"},
                "Memory": 67_108_864, "NanoCpus": 1_500_000_000, "PidsLimit": -1,
                "Ulimits": [{"Name": "nofile", "Soft": 6, "Hard": 7}],
                "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
                "Binds": ["/a:/b:ro"],
            })
        );
    }

    #[test]
    fn contradictions() {
        assert_eq!(
            body(&["--rm", "--restart", "always", "busybox"]).unwrap_err(),
            "conflicting options: cannot specify both --restart and --rm"
        );
        assert_eq!(
            body(&["--log-driver", "none", "--log-opt", "a=b", "busybox"]).unwrap_err(),
            "invalid logging opts for driver none"
        );
        assert_eq!(
            body(&["--pid", "nope", "busybox"]).unwrap_err(),
            "--pid: invalid PID mode"
        );
    }
}
