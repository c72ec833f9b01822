//! Volumes: files that outlive containers. Each has a directory `<root>/volumes/NAME` with its
//! record, `volume.json`, and its files below `_data`.

mod backing;
mod copy;
mod list;
mod options;
mod prune;
mod remove;
mod store;
mod subpath;
mod usage;

pub use list::VolumeUsage;
pub use store::{Volume, VolumeRequest};

pub(crate) use copy::fill;
pub(crate) use store::{Hold, Volumes};
pub(crate) use subpath::place as subpath;

/// Docker's label of volumes that nobody has named.
pub(crate) const ANONYMOUS: &str = "com.docker.volume.anonymous";
