//! From `-v`, `--mount`, `--tmpfs` and the image's `VOLUME`s to the mounts of a container.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use runtime::spec::{Mount, MountKind};

use super::record::{MountPoint, VolumeWish};
use super::validate::clean_path;
use super::{Config, HostConfig, MountRequest, image_mount};
use crate::{Error, VolumeRequest, volumes};

const PROPAGATIONS: &[&str] = &[
    "rprivate", "private", "rshared", "shared", "rslave", "slave",
];

/// All mounts that the user or the image asked for; their volumes have still to be made.
/// `inherited` are those of other containers (`--volumes-from`).
pub(crate) fn plan(
    config: &Config,
    host: &HostConfig,
    inherited: Vec<MountPoint>,
) -> Result<Vec<MountPoint>, Error> {
    let mut points = Vec::new();
    for bind in host.binds.iter().flatten() {
        // Python's clients send an anonymous volume here.
        if bind.starts_with('/') && bind.len() > 1 && !bind.contains(':') {
            points.push(volume(clean_path(bind), anonymous(host)));
            continue;
        }
        points.push(parse_bind(bind, &host.volume_driver)?);
    }
    for request in &host.mounts {
        points.push(from_request(request)?);
    }
    for (destination, options) in &host.tmpfs {
        points.push(tmpfs(destination, options)?);
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
        if path == "/" {
            return Err(Error::Invalid(
                "invalid specification: destination can't be '/'".into(),
            ));
        }
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

fn volume(destination: String, request: VolumeRequest) -> MountPoint {
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

/// The bind mount or the volume of `-v SOURCE:PATH[:MODE]`.
fn parse_bind(text: &str, driver: &str) -> Result<MountPoint, Error> {
    let invalid = || Error::Invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match parts.as_slice() {
        [source, destination] => (*source, *destination, ""),
        [source, destination, mode] => (*source, *destination, *mode),
        _ => return Err(invalid()),
    };
    if source.is_empty() || destination.is_empty() || text.ends_with(':') {
        return Err(invalid());
    }
    if !destination.starts_with('/') {
        return Err(Error::Invalid(format!(
            "invalid volume specification: '{text}': invalid mount config for type \"bind\": invalid mount path: '{destination}' mount path must be absolute"
        )));
    }
    let destination = clean_path(destination);
    if destination == "/" {
        return Err(Error::Invalid(format!(
            "invalid volume specification: '{text}': invalid mount config for type \"bind\": invalid specification: destination can't be '/'"
        )));
    }
    if !source.starts_with('/') {
        return named_volume(source, destination, mode, driver);
    }
    let mut point = MountPoint {
        kind: "bind".into(),
        source: clean_path(source),
        destination,
        mode: mode.into(),
        rw: true,
        propagation: "rprivate".into(),
        ..MountPoint::default()
    };
    for option in mode.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" => point.rw = false,
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" | "nocopy" => {}
            "bind" => point.non_recursive = true,
            "rbind" => {}
            other if PROPAGATIONS.contains(&other) => point.propagation = other.into(),
            _ => return Err(Error::Invalid(format!("invalid mode: {mode}"))),
        }
    }
    Ok(point)
}

fn named_volume(
    name: &str,
    destination: String,
    mode: &str,
    driver: &str,
) -> Result<MountPoint, Error> {
    let request = VolumeRequest {
        name: name.into(),
        driver: driver.into(),
        ..VolumeRequest::default()
    };
    let mut point = volume(destination, request);
    // Docker's default, whether the machine labels files or not.
    point.mode = if mode.is_empty() { "z" } else { mode }.into();
    for option in mode.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" => point.rw = false,
            "nocopy" => {
                point.wish = point.wish.map(|wish| VolumeWish {
                    nocopy: true,
                    ..wish
                })
            }
            "rw" | "z" | "Z" => {}
            _ => return Err(Error::Invalid(format!("invalid mode: {mode}"))),
        }
    }
    Ok(point)
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
            if request.volume_options.is_some() {
                return invalid("field VolumeOptions must not be specified");
            }
            if request.tmpfs_options.is_some() {
                return invalid("field TmpfsOptions must not be specified");
            }
            let options = request.bind_options.clone().unwrap_or_default();
            if options.read_only_non_recursive && options.read_only_force_recursive {
                return invalid(
                    "mutually exclusive options: ReadOnlyNonRecursive and ReadOnlyForceRecursive",
                );
            }
            if options.read_only_non_recursive && !request.read_only {
                return invalid("the option ReadOnlyNonRecursive needs ReadOnly");
            }
            if options.read_only_force_recursive
                && (!request.read_only
                    || !matches!(options.propagation.as_str(), "private" | "rprivate"))
            {
                return invalid(
                    "the option ReadOnlyForceRecursive needs ReadOnly and the propagation rprivate",
                );
            }
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
                propagation: if options.propagation.is_empty() {
                    "rprivate".into()
                } else {
                    options.propagation
                },
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
            if request.bind_options.is_some() {
                return invalid("field BindOptions must not be specified");
            }
            if request.volume_options.is_some() {
                return invalid("field VolumeOptions must not be specified");
            }
            let options = request.tmpfs_options.clone().unwrap_or_default();
            if options.size_bytes < 0 {
                return invalid("TmpfsOptions.SizeBytes can not be less than 0");
            }
            let mut point = tmpfs(&destination, "")?;
            if options.size_bytes > 0 {
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
            if request.bind_options.is_some() {
                return invalid("field BindOptions must not be specified");
            }
            if request.tmpfs_options.is_some() {
                return invalid("field TmpfsOptions must not be specified");
            }
            if request.source.is_empty() && request.read_only {
                return invalid("must not set ReadOnly mode when using anonymous volumes");
            }
            let options = request.volume_options.clone().unwrap_or_default();
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
                return invalid("subpath must be a relative path within the image");
            }
            Ok(MountPoint {
                kind: "image".into(),
                name: request.source.clone(),
                destination,
                rw: !request.read_only,
                subpath: options.subpath,
                ..MountPoint::default()
            })
        }
        "cluster" | "npipe" => Err(Error::NotSupported(format!(
            "mounts of type \"{kind}\" are not supported by Slipway {}",
            crate::VERSION
        ))),
        _ => invalid("mount type unknown"),
    }
}

/// A name, or a name and a value, of the options that Docker knows.
fn tmpfs_option(option: &[String], kind: &str) -> Result<String, Error> {
    match option {
        [name] if ["exec", "noexec"].contains(&name.as_str()) => Ok(name.clone()),
        [name, value] if ["uid", "gid", "nr_inodes", "nr_blocks"].contains(&name.as_str()) => {
            Ok(format!("{name}={value}"))
        }
        _ => Err(Error::Invalid(format!(
            "invalid mount config for type \"{kind}\": invalid option: {}",
            option.join("=")
        ))),
    }
}

fn tmpfs(destination: &str, options: &str) -> Result<MountPoint, Error> {
    if !destination.starts_with('/') || clean_path(destination) == "/" {
        return Err(Error::Invalid(format!(
            "invalid mount config for type \"tmpfs\": invalid mount path: '{destination}' mount path must be absolute"
        )));
    }
    let mut point = MountPoint {
        kind: "tmpfs".into(),
        destination: clean_path(destination),
        mode: options.into(),
        rw: true,
        ..MountPoint::default()
    };
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" => point.rw = false,
            "rw" => {}
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
        if point.kind == "image" {
            image_mount::prepare(store, point, dir, number)
        } else if point.kind == "volume" && !point.subpath.is_empty() {
            let source = volumes::subpath(point.source.as_ref(), &point.subpath, dir, number)?;
            prepare_one(&MountPoint {
                source: source.display().to_string(),
                ..point.clone()
            })
        } else {
            prepare_one(point)
        }
    });
    prepared.collect()
}

fn prepare_one(point: &MountPoint) -> Result<Mount, Error> {
    if point.kind == "tmpfs" {
        return Ok(Mount {
            kind: MountKind::Tmpfs,
            source: PathBuf::new(),
            target: point.destination.clone(),
            readonly: !point.rw,
            options: point.tmpfs_options.clone(),
        });
    }
    let source = PathBuf::from(&point.source);
    if !source.exists() {
        if point.strict {
            return Err(Error::Invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {}",
                point.source
            )));
        }
        std::fs::create_dir_all(&source).map_err(|e| Error::file("creating", &source, e))?;
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
    fn binds_are_parsed_as_docker_does() {
        let parse_bind = |text| super::parse_bind(text, "");
        let point = parse_bind("/a/../b:/c/:ro,rshared").unwrap();
        assert_eq!(
            (point.source.as_str(), point.destination.as_str()),
            ("/b", "/c")
        );
        assert!(!point.rw);
        assert_eq!(point.propagation, "rshared");
        for bad in [
            "/a:/b:/c:/d",
            "/a:",
            ":/b",
            "/a:b",
            "/a:/",
            "/a:/b:wat",
            "v:/b:rshared",
        ] {
            assert!(matches!(parse_bind(bad), Err(Error::Invalid(_))), "{bad}");
        }
        let point = parse_bind("vol:/b:ro,nocopy").unwrap();
        let wish = point.wish.unwrap();
        assert_eq!((wish.request.name.as_str(), wish.nocopy), ("vol", true));
        assert!(!point.rw && !point.anonymous && point.kind == "volume");
    }

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
        let points = plan(&config, &host, inherited.to_vec()).unwrap();
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
}
