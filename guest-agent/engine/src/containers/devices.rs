//! `--device`, `--device-cgroup-rule` and `--gpus`: which device nodes a container gets and which
//! devices it may use.

use std::os::linux::fs::MetadataExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use runtime::spec::{Device, DeviceKind, DeviceRule};
use rustix::fs::{major, minor};

use super::{DeviceMapping, DeviceRequest, HostConfig};
use crate::Error;

/// Nodes to make and rules for the device filter. Blocks: it looks at the machine's nodes.
pub(crate) fn plan(host: &HostConfig) -> Result<(Vec<Device>, Vec<DeviceRule>), Error> {
    if let Some(request) = host.device_requests.iter().flatten().next() {
        return Err(no_driver(request));
    }
    let mut devices = Vec::new();
    let mut rules = Vec::new();
    for mapping in host.devices.iter().flatten() {
        for device in find(mapping)? {
            rules.push(rule_for(&device, &mapping.cgroup_permissions));
            devices.push(device);
        }
    }
    for text in host.device_cgroup_rules.iter().flatten() {
        rules.push(parse_rule(text)?);
    }
    Ok((devices, rules))
}

/// Checks what can be checked before there is a container.
pub(crate) fn check(host: &HostConfig) -> Result<(), Error> {
    for mapping in host.devices.iter().flatten() {
        let path = &mapping.path_in_container;
        if !path.is_empty() && !path.starts_with('/') {
            return Err(Error::Invalid(format!("{path} is not an absolute path")));
        }
    }
    Ok(())
}

/// No driver for devices is there. The lists are written as Go writes them: `[[gpu]]`.
fn no_driver(request: &DeviceRequest) -> Error {
    let lists: Vec<String> = request
        .capabilities
        .iter()
        .flatten()
        .map(|list| format!("[{}]", list.join(" ")))
        .collect();
    Error::System(format!(
        "could not select device driver \"{}\" with capabilities: [{}]",
        request.driver,
        lists.join(" ")
    ))
}

/// The node that a mapping names, or all nodes in a directory and below it.
fn find(mapping: &DeviceMapping) -> Result<Vec<Device>, Error> {
    let host = Path::new(&mapping.path_on_host);
    let inside = if mapping.path_in_container.is_empty() {
        &mapping.path_on_host
    } else {
        &mapping.path_in_container
    };
    let failed = |why: &str| {
        Error::System(format!(
            "error gathering device information while adding custom device \"{}\": {why}",
            mapping.path_on_host
        ))
    };
    // Through links: `/dev/disk/by-id/…` is one.
    let stat = std::fs::metadata(host).map_err(|e| failed(&crate::error::go_text(&e)))?;
    if let Some(device) = device(&stat, inside.clone()) {
        return Ok(vec![device]);
    }
    let mut found = Vec::new();
    if stat.is_dir() {
        let mut open = vec![host.to_owned()];
        while let Some(directory) = open.pop() {
            collect(&directory, host, Path::new(inside), &mut open, &mut found);
        }
    }
    if found.is_empty() {
        return Err(failed("not a device node"));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The nodes of one directory; what can't be read is left out, as Docker does.
fn collect(
    directory: &Path,
    host: &Path,
    inside: &Path,
    open: &mut Vec<PathBuf>,
    found: &mut Vec<Device>,
) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(stat) = entry.metadata() else {
            continue;
        };
        if stat.is_dir() {
            open.push(path);
        } else if let Ok(rest) = path.strip_prefix(host) {
            let target = inside.join(rest).display().to_string();
            found.extend(device(&stat, target));
        }
    }
}

fn device(stat: &std::fs::Metadata, path: String) -> Option<Device> {
    let kind = stat.file_type();
    let kind = if kind.is_block_device() {
        DeviceKind::Block
    } else if kind.is_char_device() {
        DeviceKind::Character
    } else {
        return None;
    };
    Some(Device {
        path,
        kind,
        major: major(stat.st_rdev()),
        minor: minor(stat.st_rdev()),
        mode: stat.st_mode() & 0o7777,
        uid: stat.st_uid(),
        gid: stat.st_gid(),
    })
}

fn rule_for(device: &Device, permissions: &str) -> DeviceRule {
    let all = permissions.is_empty();
    DeviceRule {
        kind: Some(device.kind),
        major: Some(device.major),
        minor: Some(device.minor),
        read: all || permissions.contains('r'),
        write: all || permissions.contains('w'),
        mknod: all || permissions.contains('m'),
    }
}

/// `c 1:3 rwm`, `a *:* rwm`.
fn parse_rule(text: &str) -> Result<DeviceRule, Error> {
    let parse = || {
        let mut words = text.split(' ');
        let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        let kind = match kind {
            "a" => None,
            "b" => Some(DeviceKind::Block),
            "c" => Some(DeviceKind::Character),
            _ => return None,
        };
        let number = |text: &str| match text {
            "*" => Some(None),
            // `parse` alone would take a sign.
            _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().map(Some),
            _ => None,
        };
        let (major, minor) = numbers.split_once(':')?;
        let known = |byte| matches!(byte, b'r' | b'w' | b'm');
        if !(1..=3).contains(&access.len()) || !access.bytes().all(known) {
            return None;
        }
        Some(DeviceRule {
            kind,
            major: number(major)?,
            minor: number(minor)?,
            read: access.contains('r'),
            write: access.contains('w'),
            mknod: access.contains('m'),
        })
    };
    parse().ok_or_else(|| Error::System(format!("invalid device cgroup rule format: '{text}'")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn mapped(host: &str, inside: &str, permissions: &str) -> HostConfig {
        HostConfig {
            devices: Some(vec![DeviceMapping {
                path_on_host: host.into(),
                path_in_container: inside.into(),
                cgroup_permissions: permissions.into(),
            }]),
            ..HostConfig::default()
        }
    }

    #[test]
    fn a_node_is_found_with_its_numbers_and_rights() {
        let (devices, rules) = plan(&mapped("/dev/null", "/dev/hole", "r")).unwrap();
        assert_eq!(devices[0].path, "/dev/hole");
        assert_eq!((devices[0].major, devices[0].minor), (1, 3));
        assert!(rules[0].read && !rules[0].write && !rules[0].mknod);
    }

    #[test]
    fn errors_are_dockers() {
        let message = |host: &HostConfig| plan(host).unwrap_err().to_string();
        let start = "error gathering device information while adding custom device";
        assert_eq!(
            message(&mapped("/dev/nope", "/dev/x", "rwm")),
            format!("{start} \"/dev/nope\": no such file or directory")
        );
        assert_eq!(
            message(&mapped("/etc/passwd", "/dev/x", "rwm")),
            format!("{start} \"/etc/passwd\": not a device node")
        );
        let gpus = HostConfig {
            device_requests: Some(vec![DeviceRequest {
                count: -1,
                capabilities: Some(vec![vec!["gpu".into()]]),
                ..DeviceRequest::default()
            }]),
            ..HostConfig::default()
        };
        assert_eq!(
            message(&gpus),
            "could not select device driver \"\" with capabilities: [[gpu]]"
        );
        assert!(check(&mapped("/dev/null", "null", "r")).is_err());
    }

    #[test]
    fn rules_are_read_as_docker_does() {
        let rule = parse_rule("b 8:* rw").unwrap();
        assert_eq!(rule.kind, Some(DeviceKind::Block));
        assert_eq!((rule.major, rule.minor), (Some(8), None));
        assert!(rule.read && rule.write && !rule.mknod);
        assert_eq!(parse_rule("a *:* rwm").unwrap().kind, None);
        for bad in [
            "",
            "x 1:1 r",
            "c 1:1",
            "c 1 r",
            "c 1:1 rwmr",
            "c -1:1 r",
            "c 1:1 r x",
        ] {
            assert_eq!(
                parse_rule(bad).unwrap_err().to_string(),
                format!("invalid device cgroup rule format: '{bad}'")
            );
        }
    }
}
