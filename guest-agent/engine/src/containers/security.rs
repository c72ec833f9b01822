//! `--security-opt`, and the paths that a container can't see or change.

use runtime::spec::Seccomp;

use super::HostConfig;
use crate::Error;
use crate::error::go_bool;

/// Docker's masked paths.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Docker's read-only paths.
const READONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What the options in `SecurityOpt` ask for.
#[derive(Debug, PartialEq)]
pub(crate) struct Security {
    /// System call filter.
    pub(crate) seccomp: Seccomp,
    /// `no-new-privileges`.
    pub(crate) no_new_privileges: bool,
    /// `writable-cgroups`.
    pub(crate) writable_cgroups: bool,
}

/// Reads the options, with dockerd's words for wrong ones.
pub(crate) fn read(host: &HostConfig) -> Result<Security, Error> {
    let mut security = Security {
        seccomp: if host.privileged {
            Seccomp::Unconfined
        } else {
            Seccomp::Default
        },
        no_new_privileges: false,
        writable_cgroups: host.privileged,
    };
    let wrong = |number: u8, option: &str| {
        Err(Error::System(format!(
            "invalid --security-opt {number}: {option:?}"
        )))
    };
    for option in host.security_opt.iter().flatten() {
        match option.as_str() {
            "no-new-privileges" => {
                security.no_new_privileges = true;
                continue;
            }
            "writable-cgroups" => {
                security.writable_cgroups = true;
                continue;
            }
            "disable" => continue,
            _ => {}
        }
        // A profile holds both signs; the first `=` counts when there is one.
        let Some((key, value)) = option.split_once('=').or_else(|| option.split_once(':')) else {
            return wrong(1, option);
        };
        match (key, value) {
            ("no-new-privileges", value) => match go_bool(value) {
                Ok(value) => security.no_new_privileges = value,
                Err(_) => return wrong(2, option),
            },
            ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
            ("seccomp", "" | "builtin") => {}
            ("seccomp", profile) => security.seccomp = Seccomp::Profile(profile.to_owned()),
            ("writable-cgroups", value) => match go_bool(value) {
                Ok(value) => security.writable_cgroups = value,
                Err(_) => return wrong(2, option),
            },
            // There is no AppArmor and no SELinux in the machine: nothing to switch.
            ("apparmor" | "label", _) => {}
            _ => return wrong(2, option),
        }
    }
    Ok(security)
}

/// Whether options say what its label is.
fn names_label(host: &HostConfig) -> bool {
    let mut options = host.security_opt.iter().flatten();
    options.any(|option| option.split('=').next() == Some("label"))
}

/// Whether Docker takes its label from the containers that it shares namespaces with: they have to be
/// there, on systems without labels too.
pub(crate) fn takes_labels(host: &HostConfig) -> bool {
    let open = |mode: &str| mode == "host";
    !names_label(host) && !host.privileged && !open(&host.ipc_mode) && !open(&host.pid_mode)
}

/// Writes the defaults into the configuration, where `docker inspect` shows them.
pub(crate) fn fill_in(host: &mut HostConfig, cpus: usize) {
    if !takes_labels(host) && !names_label(host) {
        let options = host.security_opt.get_or_insert_default();
        options.push("label=disable".into());
    }
    if host.privileged {
        return;
    }
    let list = |paths: &[&str]| {
        paths
            .iter()
            .map(|&path| path.to_owned())
            .collect::<Vec<_>>()
    };
    host.masked_paths.get_or_insert_with(|| {
        let mut masked = list(&MASKED);
        let throttle = |n| format!("/sys/devices/system/cpu/cpu{n}/thermal_throttle");
        let there = |path: &String| std::path::Path::new(path).exists();
        masked.extend((0..cpus).map(throttle).filter(there));
        masked
    });
    host.readonly_paths.get_or_insert_with(|| list(READONLY));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn options(options: &[&str]) -> HostConfig {
        HostConfig {
            security_opt: Some(options.iter().map(ToString::to_string).collect()),
            ..HostConfig::default()
        }
    }

    #[test]
    fn options_are_read_as_docker_does() {
        let read = |list: &[&str]| read(&options(list)).unwrap();
        assert!(read(&["no-new-privileges"]).no_new_privileges);
        assert!(!read(&["no-new-privileges:false"]).no_new_privileges);
        assert_eq!(read(&["seccomp=unconfined"]).seccomp, Seccomp::Unconfined);
        let profile = r#"seccomp={"a":"b=c"}"#;
        assert_eq!(
            read(&[profile]).seccomp,
            Seccomp::Profile(r#"{"a":"b=c"}"#.into())
        );
        assert_eq!(
            read(&["apparmor=unconfined", "label=type:x"]).seccomp,
            Seccomp::Default
        );
    }

    #[test]
    fn wrong_options_are_refused() {
        for (option, number) in [
            ("nonsense", 1),
            ("key=value", 2),
            ("no-new-privileges=2", 2),
        ] {
            assert_eq!(
                read(&options(&[option])).unwrap_err().to_string(),
                format!("invalid --security-opt {number}: {option:?}")
            );
        }
    }

    #[test]
    fn labels_are_off_where_they_would_be_in_the_way() {
        let filled = |given: &[&str], privileged: bool| {
            let mut host = HostConfig {
                privileged,
                ..options(given)
            };
            fill_in(&mut host, 1);
            host.security_opt.unwrap_or_default()
        };
        let plain = "no-new-privileges=false";
        assert_eq!(filled(&[plain], true), [plain, "label=disable"]);
        assert_eq!(filled(&["label=type:x"], true), ["label=type:x"]);
        assert_eq!(filled(&[plain], false), [plain]);
    }

    #[test]
    fn defaults_are_written_down() {
        let mut host = HostConfig::default();
        fill_in(&mut host, 1);
        assert!(
            host.masked_paths
                .unwrap()
                .starts_with(&MASKED.map(String::from))
        );
        assert_eq!(host.readonly_paths.unwrap().len(), READONLY.len());
        let mut host = HostConfig {
            privileged: true,
            ..HostConfig::default()
        };
        fill_in(&mut host, 1);
        assert_eq!(host.security_opt.unwrap(), ["label=disable"]);
        assert_eq!(host.masked_paths, None);
    }
}
