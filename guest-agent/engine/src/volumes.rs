//! Volumes: files that outlive containers. Each has a directory `<root>/volumes/NAME` with its
//! record, `volume.json`, and its files below `_data`.

mod backing;
mod backup;
mod browse;
mod clone;
mod copy;
mod list;
mod open;
mod options;
mod prune;
mod remove;
mod restore;
mod staging;
mod still;
mod store;
mod subpath;
mod usage;
mod work;

pub use backup::Backup;
pub use browse::VolumeEntry;
pub use clone::Cloned;
pub use list::VolumeUsage;
pub use restore::{RestoreRequest, Restored};
pub use store::{Volume, VolumeRequest};

pub(crate) use backing::Viewed;
pub(crate) use copy::fill;
pub(crate) use store::{Hold, Volumes};
pub(crate) use subpath::{attach, detach, place as subpath};

/// Docker's label of volumes that nobody has named.
pub(crate) const ANONYMOUS: &str = "com.docker.volume.anonymous";
