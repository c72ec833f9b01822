//! `--mount type=image`: the files of an image at a path of a container.

use std::path::{Path, PathBuf};

use images::Store;
use runtime::view::{self, Root};

use super::record::MountPoint;
use crate::{Error, volumes};

/// The directory of one of a container's mounts of images. `number` tells them apart.
fn directory(dir: &Path, number: usize) -> PathBuf {
    dir.join("image-mounts").join(number.to_string())
}

/// Where the files are, as Docker tells it: it mounts them there.
pub(crate) fn shown(dir: &Path, number: usize) -> String {
    directory(dir, number).join("merged").display().to_string()
}

/// Where the mount of an image can be mounted from. Blocks. `dir` is the container's directory,
/// `number` tells its mounts apart.
pub(crate) fn place(
    store: &Store,
    point: &MountPoint,
    dir: &Path,
    number: usize,
) -> Result<PathBuf, Error> {
    // A record of an engine that did not write the id down.
    let known = Some(&point.image).filter(|id| !id.is_empty());
    let image = store.resolve(known.unwrap_or(&point.name))?;
    let own = directory(dir, number);
    let root = Root {
        lower: store.layers(&image)?,
        upper: own.join("upper"),
        work: own.join("work"),
    };
    for path in [&root.upper, &root.work] {
        std::fs::create_dir_all(path).map_err(|e| Error::file("creating", path, e))?;
    }
    let files = view::root(&root).map_err(|error| {
        let why = runtime::Failure::from(&error).message;
        Error::System(format!("cannot mount image {}: {why}", point.name))
    })?;
    if point.subpath.is_empty() {
        return volumes::attach(&files, dir, &number.to_string());
    }
    // The kernel copies a mount only from a place that it has.
    let whole = volumes::attach(&files, dir, &format!("{number}.whole"))?;
    let part = volumes::subpath(&whole, &point.subpath, dir, number);
    volumes::detach(&whole);
    part
}
