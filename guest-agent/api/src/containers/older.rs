//! What a create request means in older versions of the API: what came later is left out of it, or
//! refused where the client would rely on it.

use std::collections::BTreeMap;

use engine::EndpointSettings;
use engine::containers::{Config, HostConfig, MountRequest};

use crate::error::{ApiError, Result};
use crate::version::ApiVersion;

/// Makes a request what its version says it is.
pub(super) fn adapt(
    config: &mut Config,
    host: &mut HostConfig,
    networks: &mut BTreeMap<String, EndpointSettings>,
    version: ApiVersion,
) -> Result<()> {
    let before = |minor| !version.at_least(minor);
    if before(25) {
        // The docker command of then removed the container itself.
        host.auto_remove = false;
    }
    if before(40) {
        host.kernel_memory_tcp = 0;
        if host.ipc_mode.is_empty() {
            host.ipc_mode = "shareable".into();
        }
    }
    if before(42) {
        host.console_size = [0, 0];
    } else {
        host.kernel_memory = 0;
    }
    if before(43) {
        host.annotations.clear();
    }
    if let Some(check) = config.healthcheck.as_mut().filter(|_| before(44)) {
        check.start_interval = 0;
    }
    for mount in &mut host.mounts {
        mount_options(mount, version)?;
    }
    let asks = |test: fn(&MountRequest) -> bool| host.mounts.iter().any(test);
    if before(44) {
        if asks(forces_read_only) {
            return Err(newer("BindOptions.ReadOnlyForceRecursive", "1.44"));
        }
        if networks.len() > 1 {
            let names: Vec<&str> = networks.keys().map(String::as_str).collect();
            return Err(ApiError::invalid(format!(
                "Container cannot be created with multiple network endpoints: {}",
                names.join(", ")
            )));
        }
    }
    let in_part = |mount: &MountRequest| {
        let options = mount.volume_options.as_ref();
        options.is_some_and(|options| !options.subpath.is_empty())
    };
    if before(45) && asks(in_part) {
        return Err(newer("VolumeOptions.Subpath", "1.45"));
    }
    if before(48) {
        for settings in networks.values_mut() {
            settings.gw_priority = 0;
        }
        if asks(|mount| mount.kind == "image") {
            return Err(newer("Mount type \"Image\"", "1.48"));
        }
    }
    Ok(())
}

fn forces_read_only(mount: &MountRequest) -> bool {
    let options = mount.bind_options.as_ref();
    mount.kind == "bind" && options.is_some_and(|options| options.read_only_force_recursive)
}

fn mount_options(mount: &mut MountRequest, version: ApiVersion) -> Result<()> {
    if let Some(options) = &mut mount.bind_options {
        options.non_recursive &= version.at_least(40);
        options.create_mountpoint &= version.at_least(42);
    }
    // Before, it was left to the engine, which has other words and does not mind all of them.
    let strays = [
        (mount.volume_options.is_some(), "VolumeOptions", "volume"),
        (mount.bind_options.is_some(), "BindOptions", "bind"),
        (mount.tmpfs_options.is_some(), "TmpfsOptions", "tmpfs"),
    ];
    for (given, options, kind) in strays {
        if given && mount.kind != kind && version.at_least(42) {
            return Err(ApiError::invalid(format!(
                "{options} must not be specified on mount type {:?}",
                mount.kind
            )));
        }
    }
    Ok(())
}

fn newer(what: &str, version: &str) -> ApiError {
    ApiError::invalid(format!("{what} needs API v{version} or newer"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::lenient;
    use serde_json::{Value, json};

    fn adapted(minor: u32, host: Value) -> Result<HostConfig> {
        let mut host: HostConfig = lenient::from_value(host).unwrap();
        let (mut config, version) = (Config::default(), ApiVersion::minor(minor));
        adapt(&mut config, &mut host, &mut BTreeMap::new(), version)?;
        Ok(host)
    }

    #[test]
    fn what_came_later_is_left_out() {
        type Told = fn(&HostConfig) -> bool;
        let bind = |options: Value| json!({"Mounts": [{"Type": "bind", "BindOptions": options}]});
        let cases: &[(u32, Value, Told)] = &[
            (25, json!({"AutoRemove": true}), |h| h.auto_remove),
            (40, bind(json!({"NonRecursive": true})), |h| {
                h.mounts[0].bind_options.as_ref().unwrap().non_recursive
            }),
            (40, json!({}), |h| h.ipc_mode.is_empty()),
            (42, bind(json!({"CreateMountpoint": true})), |h| {
                h.mounts[0].bind_options.as_ref().unwrap().create_mountpoint
            }),
            (40, json!({"KernelMemoryTCP": 9}), |h| {
                h.kernel_memory_tcp == 9
            }),
            (42, json!({"ConsoleSize": [1, 2]}), |h| {
                h.console_size == [1, 2]
            }),
            (42, json!({"KernelMemory": 9}), |h| h.kernel_memory == 0),
            (43, json!({"Annotations": {"a": "b"}}), |h| {
                !h.annotations.is_empty()
            }),
        ];
        for (since, host, told) in cases {
            let before = adapted(since - 1, host.clone()).unwrap();
            let after = adapted(*since, host.clone()).unwrap();
            assert_eq!((told(&before), told(&after)), (false, true), "{host}");
        }
    }

    #[test]
    fn what_a_client_relies_on_is_refused() {
        for (since, mount, expected) in [
            (
                44,
                json!({"Type": "bind", "BindOptions": {"ReadOnlyForceRecursive": true}}),
                "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
            ),
            (
                45,
                json!({"Type": "volume", "VolumeOptions": {"Subpath": "a"}}),
                "VolumeOptions.Subpath needs API v1.45 or newer",
            ),
            (
                48,
                json!({"Type": "image"}),
                "Mount type \"Image\" needs API v1.48 or newer",
            ),
        ] {
            let host = json!({"Mounts": [mount]});
            let refused = adapted(since - 1, host.clone()).unwrap_err();
            assert_eq!(refused.message, expected);
            assert!(adapted(since, host).is_ok());
        }
    }

    #[test]
    fn options_for_another_type_are_refused_since() {
        let host = json!({"Mounts": [{"Type": "bind", "TmpfsOptions": {}}]});
        assert!(adapted(41, host.clone()).is_ok());
        assert_eq!(
            adapted(42, host).unwrap_err().message,
            "TmpfsOptions must not be specified on mount type \"bind\""
        );
    }

    #[test]
    fn networks_had_no_order() {
        let one = EndpointSettings {
            gw_priority: 5,
            ..EndpointSettings::default()
        };
        for (minor, kept) in [(47, 0), (48, 5)] {
            let mut networks = BTreeMap::from([("n".to_owned(), one.clone())]);
            let (mut config, mut host) = (Config::default(), HostConfig::default());
            let version = ApiVersion::minor(minor);
            adapt(&mut config, &mut host, &mut networks, version).unwrap();
            assert_eq!(networks["n"].gw_priority, kept);
        }
    }
}
