//! From `-v`, `--mount`, `--tmpfs` and the image's `VOLUME`s to the mounts of a container.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use runtime::spec::{Mount, MountKind};

use super::record::{MountPoint, VolumeWish};
use super::validate::clean_path;
use super::{Config, HostConfig, MountRequest, binds, image_mount};
use crate::error::why;
use crate::{Error, VolumeRequest, volumes};

pub(super) const PROPAGATIONS: &[&str] = &[
    "rprivate", "private", "rshared", "shared", "rslave", "slave",
];

/// All mounts that the user or the image asked for; their volumes have still to be made.
/// `inherited` are those of other containers (`--volumes-from`).
pub(crate) fn plan(
    config: &Config,
    host: &HostConfig,
    inherited: Vec<MountPoint>,
    root: &Path,
    shallow_read_only: bool,
) -> Result<Vec<MountPoint>, Error> {
    let mut points = Vec::new();
    for bind in host.binds.iter().flatten() {
        // Python's clients send an anonymous volume here.
        if bind.starts_with('/') && clean_path(bind) != "/" && !bind.contains(':') {
            points.push(MountPoint {
                mode: "z".into(),
                ..volume(clean_path(bind), anonymous(host))
            });
            continue;
        }
        points.push(binds::parse(bind, &host.volume_driver)?);
    }
    for request in &host.mounts {
        points.push(from_request(request)?);
    }
    for (destination, options) in &host.tmpfs {
        points.push(tmpfs(destination, options)?);
    }
    for point in points.iter_mut().filter(|point| point.kind == "bind") {
        propagate(point, root)?;
        point.read_only_non_recursive |= shallow_read_only && !point.rw;
    }
    let mut seen = BTreeSet::new();
    for point in &points {
        if !seen.insert(point.destination.clone()) {
            return Err(Error::Invalid(format!(
                "Duplicate mount point: {}",
                point.destination
            )));
        }
    }
    for point in inherited {
        if seen.insert(point.destination.clone()) {
            points.push(point);
        }
    }
    for path in config
        .volumes
        .iter()
        .flatten()
        .map(|(path, _)| clean_path(path))
    {
        // A mount of the user's own wins over the image's volume at the same place.
        if seen.insert(path.clone()) {
            points.push(volume(path, anonymous(host)));
        }
    }
    Ok(points)
}

fn anonymous(host: &HostConfig) -> VolumeRequest {
    VolumeRequest {
        driver: host.volume_driver.clone(),
        ..VolumeRequest::default()
    }
}

pub(super) fn volume(destination: String, request: VolumeRequest) -> MountPoint {
    MountPoint {
        kind: "volume".into(),
        anonymous: request.name.is_empty(),
        destination,
        rw: true,
        wish: Some(VolumeWish {
            request,
            nocopy: false,
        }),
        ..MountPoint::default()
    }
}

/// How mounts below a bind spread: not at all unless asked for, and into the container where it shows
/// what the engine mounts, which could never be unmounted otherwise.
fn propagate(point: &mut MountPoint, root: &Path) -> Result<(), Error> {
    let source = Path::new(&point.source);
    let ours = source.starts_with(root) || root.starts_with(source);
    match point.propagation.as_str() {
        "" => point.propagation = if ours { "rslave" } else { "rprivate" }.into(),
        "rslave" | "rshared" => {}
        other if ours => {
            return Err(Error::Invalid(format!(
                "invalid mount config: must use either propagation mode \"rslave\" or \"rshared\" when mount source is within the daemon root, daemon root: {root:?}, bind mount source: {source:?}, propagation: \"{other}\""
            )));
        }
        _ => {}
    }
    Ok(())
}

/// Checks what `--mount` asks for.
pub(crate) fn check_requests(requests: &[MountRequest]) -> Result<(), Error> {
    requests.iter().try_for_each(|r| from_request(r).map(drop))
}

/// Checks where `--tmpfs` wants to be.
pub(crate) fn check_tmpfs(mounts: &BTreeMap<String, String>) -> Result<(), Error> {
    mounts.keys().try_for_each(|path| tmpfs(path, "").map(drop))
}

fn from_request(request: &MountRequest) -> Result<MountPoint, Error> {
    let kind = request.kind.as_str();
    let invalid = |why: &str| {
        Err(Error::Invalid(format!(
            "invalid mount config for type \"{kind}\": {why}"
        )))
    };
    if request.target.is_empty() {
        return invalid("field Target must not be empty");
    }
    if !request.target.starts_with('/') {
        return invalid(&format!(
            "invalid mount path: '{}' mount path must be absolute",
            request.target
        ));
    }
    let destination = clean_path(&request.target);
    if destination == "/" {
        return invalid("invalid specification: destination can't be '/'");
    }
    for (given, field, kinds) in [
        (request.bind_options.is_some(), "BindOptions", "bind"),
        (
            request.volume_options.is_some(),
            "VolumeOptions",
            "volume tmpfs",
        ),
        (request.image_options.is_some(), "ImageOptions", "image"),
    ] {
        if given && !kinds.split(' ').any(|one| one == kind) {
            return invalid(&format!("field {field} must not be specified"));
        }
    }
    match kind {
        "bind" => {
            if request.source.is_empty() {
                return invalid("field Source must not be empty");
            }
            if !request.source.starts_with('/') {
                return invalid(&format!(
                    "invalid mount path: '{}' mount path must be absolute",
                    request.source
                ));
            }
            let options = request.bind_options.clone().unwrap_or_default();
            if !options.propagation.is_empty()
                && !PROPAGATIONS.contains(&options.propagation.as_str())
            {
                return invalid(&format!(
                    "invalid propagation mode: {}",
                    options.propagation
                ));
            }
            if !options.create_mountpoint && !Path::new(&request.source).exists() {
                return invalid(&format!(
                    "bind source path does not exist: {}",
                    request.source
                ));
            }
            Ok(MountPoint {
                kind: "bind".into(),
                source: clean_path(&request.source),
                destination,
                rw: !request.read_only,
                propagation: options.propagation,
                strict: !options.create_mountpoint,
                non_recursive: options.non_recursive,
                read_only_non_recursive: options.read_only_non_recursive,
                ..MountPoint::default()
            })
        }
        "tmpfs" => {
            if !request.source.is_empty() {
                return invalid("field Source must not be specified");
            }
            let options = request.tmpfs_options.clone().unwrap_or_default();
            let mut point = tmpfs(&destination, "")?;
            if options.size_bytes != 0 {
                point
                    .tmpfs_options
                    .push(format!("size={}", options.size_bytes));
            }
            if options.mode != 0 {
                point.tmpfs_options.push(format!("mode={:o}", options.mode));
            }
            for option in options.options.iter().flatten() {
                point.tmpfs_options.push(tmpfs_option(option, kind)?);
            }
            point.rw = !request.read_only;
            Ok(point)
        }
        "volume" => {
            if request.source.is_empty() && request.read_only {
                return invalid("must not set ReadOnly mode when using anonymous volumes");
            }
            let options = request.volume_options.clone().unwrap_or_default();
            if request.source.is_empty() && !options.subpath.is_empty() {
                return invalid("must not set Subpath when using anonymous volumes");
            }
            let plain = |part| matches!(part, std::path::Component::Normal(_));
            if !Path::new(&options.subpath).components().all(plain) {
                return invalid("subpath must be a relative path within the volume");
            }
            let driver = options.driver_config.unwrap_or_default();
            let asked = VolumeRequest {
                name: request.source.clone(),
                driver: driver.name,
                options: driver.options,
                labels: options.labels,
            };
            let mut point = volume(destination, asked);
            point.mode = "z".into();
            point.rw = !request.read_only;
            point.subpath = options.subpath;
            point.wish = point.wish.map(|wish| VolumeWish {
                nocopy: options.no_copy,
                ..wish
            });
            Ok(point)
        }
        "image" => {
            if request.source.is_empty() {
                return invalid("field Source must not be empty");
            }
            let options = request.image_options.clone().unwrap_or_default();
            let subpath = Path::new(&options.subpath);
            let plain = |part| matches!(part, std::path::Component::Normal(_));
            if !subpath.components().all(plain) {
                return invalid("subpath must be a relative path within the volume");
            }
            Ok(MountPoint {
                kind: "image".into(),
                name: request.source.clone(),
                destination,
                // Whatever is asked for: an image does not change.
                rw: false,
                propagation: "rprivate".into(),
                subpath: options.subpath,
                ..MountPoint::default()
            })
        }
        _ => invalid("mount type unknown"),
    }
}

/// A name, or a name and a value, of the options that Docker knows.
fn tmpfs_option(option: &[String], kind: &str) -> Result<String, Error> {
    let why = match option {
        [name, ..] if option.len() <= 2 => match name.as_str() {
            "exec" | "noexec" => return Ok(option.join("=")),
            _ => format!("invalid option: {name}"),
        },
        _ => "invalid option array length".into(),
    };
    Err(Error::Invalid(format!(
        "invalid mount config for type \"{kind}\": {why}"
    )))
}

fn tmpfs(destination: &str, options: &str) -> Result<MountPoint, Error> {
    if !destination.starts_with('/') {
        return Err(Error::Invalid(format!(
            "invalid mount path: '{destination}' mount path must be absolute"
        )));
    }
    if clean_path(destination) == "/" {
        return Err(Error::Invalid(
            "invalid specification: destination can't be '/'".into(),
        ));
    }
    let mut point = MountPoint {
        kind: "tmpfs".into(),
        destination: clean_path(destination),
        mode: options.into(),
        rw: true,
        ..MountPoint::default()
    };
    for option in options.split(',').filter(|_| !options.is_empty()) {
        match option {
            "ro" => point.rw = false,
            "rw" => point.rw = true,
            other => point.tmpfs_options.push(other.into()),
        }
    }
    Ok(point)
}

/// Makes what the mounts need on the machine and turns them into the runtime's form, parents
/// before what is inside them. Blocks. `dir` is the container's directory.
pub(crate) fn prepare(
    points: &[MountPoint],
    store: &images::Store,
    dir: &Path,
) -> Result<Vec<Mount>, Error> {
    let mut sorted: Vec<(usize, &MountPoint)> = points.iter().enumerate().collect();
    sorted.sort_by_key(|(_, point)| point.destination.matches('/').count());
    let prepared = sorted.into_iter().map(|(number, point)| {
        let source = match point.kind.as_str() {
            "image" => image_mount::place(store, point, dir, number)?,
            "volume" if !point.subpath.is_empty() => {
                volumes::subpath(point.source.as_ref(), &point.subpath, dir, number)?
            }
            _ => return prepare_one(point),
        };
        prepare_one(&MountPoint {
            source: source.display().to_string(),
            ..point.clone()
        })
    });
    prepared.collect()
}

/// What Docker refuses with the start only.
pub(crate) fn check(requests: &[MountRequest]) -> Result<(), Error> {
    for request in requests {
        let Some(options) = &request.bind_options else {
            continue;
        };
        let (spare, force) = (
            options.read_only_non_recursive,
            options.read_only_force_recursive,
        );
        let conflict = if spare && !request.read_only {
            "!ReadOnly && BindOptions.ReadOnlyNonRecursive"
        } else if force && !request.read_only {
            "!ReadOnly && BindOptions.ReadOnlyForceRecursive"
        } else if spare && force {
            "ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive"
        } else {
            continue;
        };
        return Err(Error::System(format!("mount options conflict: {conflict}")));
    }
    Ok(())
}

/// Whether all are options of a tmpfs mount.
fn known_options(options: &[String]) -> Result<(), Error> {
    const FLAGS: &[&str] = &[
        "defaults",
        "ro",
        "rw",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "exec",
        "noexec",
        "sync",
        "async",
        "dirsync",
        "remount",
        "mand",
        "nomand",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "bind",
        "rbind",
        "unbindable",
        "runbindable",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
    ];
    const VALUES: &[&str] = &[
        "size",
        "mode",
        "uid",
        "gid",
        "nr_inodes",
        "nr_blocks",
        "mpol",
    ];
    for option in options.iter().flat_map(|option| option.split(',')) {
        let (name, value) = option
            .split_once('=')
            .map_or((option, None), |(name, value)| (name, Some(value)));
        let known = match value {
            Some(_) => VALUES.contains(&name),
            None => FLAGS.contains(&name) || PROPAGATIONS.contains(&name),
        };
        if !known {
            return Err(Error::System(format!("invalid tmpfs option \"{name}\"")));
        }
    }
    Ok(())
}

/// Makes the directory that is to be mounted; an error names the part that could not be made, as
/// Docker's does.
fn make_source(source: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(source).map_err(|error| {
        let parts: Vec<&Path> = source.ancestors().collect();
        let failed = parts.iter().rev().find(|part| !part.is_dir());
        Error::System(format!(
            "error while creating mount source path '{}': mkdir {}: {}",
            source.display(),
            failed.unwrap_or(&source).display(),
            why(&error)
        ))
    })
}

fn prepare_one(point: &MountPoint) -> Result<Mount, Error> {
    if point.kind == "tmpfs" {
        known_options(&point.tmpfs_options)?;
        return Ok(Mount {
            kind: MountKind::Tmpfs,
            source: PathBuf::new(),
            target: point.destination.clone(),
            readonly: !point.rw,
            options: point.tmpfs_options.clone(),
        });
    }
    if point.destination == "/" {
        // Docker's runtime finds that out.
        return Err(Error::System(format!(
            "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting \"{}\" to rootfs at \"/\": create mountpoint for / mount: mountpoint is on the top of rootfs: unknown",
            point.source
        )));
    }
    let source = PathBuf::from(&point.source);
    if !source.exists() {
        if point.strict {
            return Err(Error::Invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {}",
                point.source
            )));
        }
        make_source(&source)?;
    }
    let mut options = Vec::new();
    if point.read_only_non_recursive {
        options.push("nonrecursive-ro".to_owned());
    }
    let propagation = if point.propagation.is_empty() {
        "rprivate"
    } else {
        &point.propagation
    };
    options.push(propagation.to_owned());
    options.push(if point.non_recursive { "bind" } else { "rbind" }.to_owned());
    Ok(Mount {
        kind: MountKind::Bind,
        source,
        target: point.destination.clone(),
        readonly: !point.rw,
        options,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_users_mount_wins_over_the_images_volume() {
        let mut config = Config::default();
        let volumes = ["/data", "/other"].map(|p| (p.to_owned(), serde_json::json!({})));
        config.volumes = Some(volumes.into_iter().collect());
        let host = HostConfig {
            binds: Some(vec!["/tmp:/data".into()]),
            ..HostConfig::default()
        };
        let inherited = ["/data", "/inherited"].map(|path| MountPoint {
            kind: "volume".into(),
            destination: path.into(),
            ..MountPoint::default()
        });
        let points = plan(
            &config,
            &host,
            inherited.to_vec(),
            Path::new("/data"),
            false,
        )
        .unwrap();
        let kinds: Vec<_> = points
            .iter()
            .map(|p| (p.kind.as_str(), p.destination.as_str()))
            .collect();
        assert_eq!(
            kinds,
            [
                ("bind", "/data"),
                ("volume", "/inherited"),
                ("volume", "/other")
            ]
        );
    }

    #[test]
    fn conflicts_show_with_the_start() {
        let mount = |read_only, spare, force| MountRequest {
            read_only,
            bind_options: Some(crate::containers::BindOptions {
                read_only_non_recursive: spare,
                read_only_force_recursive: force,
                ..Default::default()
            }),
            ..MountRequest::default()
        };
        let prefix = "mount options conflict: ";
        for (mount, expected) in [
            (
                mount(false, true, true),
                "!ReadOnly && BindOptions.ReadOnlyNonRecursive",
            ),
            (
                mount(false, false, true),
                "!ReadOnly && BindOptions.ReadOnlyForceRecursive",
            ),
            (
                mount(true, true, true),
                "ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive",
            ),
        ] {
            let refused = check(&[MountRequest::default(), mount]).unwrap_err();
            assert_eq!(refused.to_string(), format!("{prefix}{expected}"));
        }
        assert!(check(&[mount(true, true, false), mount(true, false, true)]).is_ok());
    }

    #[test]
    fn only_read_only_binds_of_its_own_are_shallow() {
        let host = HostConfig {
            binds: Some(vec!["/tmp:/a:ro".into(), "/tmp:/b".into()]),
            ..HostConfig::default()
        };
        let inherited = MountPoint {
            kind: "bind".into(),
            destination: "/c".into(),
            ..MountPoint::default()
        };
        for asked in [false, true] {
            let config = Config::default();
            let inherited = vec![inherited.clone()];
            let points = plan(&config, &host, inherited, Path::new("/data"), asked).unwrap();
            let shallow: Vec<_> = points.iter().map(|p| p.read_only_non_recursive).collect();
            assert_eq!(shallow, [asked, false, false]);
        }
    }
}
