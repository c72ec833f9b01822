//! `--mount type=image`: the files of an image at a path of a container, with a writable layer on
//! top that goes with the container.

use std::ffi::OsStr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use images::Store;
use runtime::spec::{ImageLayers, Mount, MountKind};

use super::record::MountPoint;
use crate::Error;

/// The mount of an image. Blocks. `number` tells the container's image mounts apart.
pub(crate) fn prepare(
    store: &Store,
    point: &MountPoint,
    dir: &Path,
    number: usize,
) -> Result<Mount, Error> {
    let image = store.resolve(&point.name)?;
    let layers = store.layers(&image)?;
    let lower = below(&layers, Path::new(&point.subpath))?;
    if lower.is_empty() {
        return Err(Error::Invalid(format!(
            "image {}: no such directory in the image: {}",
            point.name, point.subpath
        )));
    }
    let own = dir.join("image-mounts").join(number.to_string());
    let (upper, work) = (own.join("upper"), own.join("work"));
    for path in [&upper, &work] {
        std::fs::create_dir_all(path).map_err(|e| Error::file("creating", path, e))?;
    }
    Ok(Mount {
        kind: MountKind::Image(ImageLayers { lower, upper, work }),
        source: PathBuf::new(),
        target: point.destination.clone(),
        readonly: !point.rw,
        options: Vec::new(),
    })
}

/// The directories that make up `subpath` of an image, the topmost layer's first. A layer that
/// hides what is below it (a whiteout, an opaque directory, something that is no directory) is the
/// last that counts.
fn below(layers: &[PathBuf], subpath: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    'layers: for layer in layers {
        let mut path = layer.clone();
        let mut hides = false;
        for component in subpath.components() {
            let Component::Normal(name) = component else {
                if component == Component::ParentDir {
                    return Err(Error::Invalid(format!(
                        "invalid image subpath: {}",
                        subpath.display()
                    )));
                }
                continue;
            };
            path.push(name);
            let Ok(stat) = std::fs::symlink_metadata(&path) else {
                if hides {
                    break 'layers;
                }
                continue 'layers;
            };
            if !stat.is_dir() {
                if stat.file_type().is_symlink() {
                    return Err(Error::Invalid(format!(
                        "invalid image subpath: {} leads through a symbolic link",
                        subpath.display()
                    )));
                }
                let whiteout = stat.file_type().is_char_device() && stat.rdev() == 0;
                if !whiteout && found.is_empty() {
                    return Err(Error::Invalid(format!(
                        "invalid image subpath: {} is not a directory",
                        subpath.display()
                    )));
                }
                break 'layers;
            }
            hides |= is_opaque(&path);
        }
        found.push(path);
        if hides {
            break;
        }
    }
    Ok(found)
}

fn is_opaque(path: &Path) -> bool {
    let mut value = [0; 4];
    let name = OsStr::new("trusted.overlay.opaque");
    rustix::fs::lgetxattr(path, name, &mut value)
        .is_ok_and(|length| value.get(..length) == Some(b"y"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_path_is_followed_through_the_layers() {
        let home = tempfile::tempdir().unwrap();
        let layer = |name: &str, dirs: &[&str]| {
            for dir in dirs {
                std::fs::create_dir_all(home.path().join(name).join(dir)).unwrap();
            }
            home.path().join(name)
        };
        let layers = [
            layer("top", &["a/b"]),
            layer("middle", &["x"]),
            layer("bottom", &["a/b/c"]),
        ];
        let found = below(&layers, Path::new("/a/b")).unwrap();
        assert_eq!(found, [layers[0].join("a/b"), layers[2].join("a/b")]);
        assert_eq!(below(&layers, Path::new("")).unwrap(), layers);
        assert!(below(&layers, Path::new("nope")).unwrap().is_empty());
        assert!(below(&layers, Path::new("../x")).is_err());
        std::os::unix::fs::symlink("/etc", layers[1].join("link")).unwrap();
        assert!(below(&layers, Path::new("link")).is_err());
        std::fs::write(layers[1].join("a"), "a file hides the directory").unwrap();
        assert_eq!(
            below(&layers, Path::new("a/b")).unwrap(),
            [layers[0].join("a/b")]
        );
    }
}
