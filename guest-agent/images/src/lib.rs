//! Content store, layers, OCI and Docker image formats, and the registry client.
//!
//! [`Store`] is the one door: it keeps blobs by digest, layers unpacked once for overlayfs, and the
//! index of references, and takes images in from archives ([`Store::load`]) and from registries
//! ([`Store::pull`]). It never runs a container and never writes outside its root.
//!
//! [`extract`] and [`Packer`] move the files of any tree out of and into archives, and [`copy_tree`]
//! into another tree; they are given the trees as handles.

mod auth;
mod browse;
mod config;
mod copy;
mod describe;
mod digest;
mod error;
mod image;
mod import;
mod layer;
mod load;
mod manifest;
mod merged;
mod pack;
mod platform;
mod progress;
mod pull;
mod push;
mod reference;
mod registry;
mod remote;
mod remove_tree;
mod save;
mod sparse;
mod store;
mod stream;
mod unpack;
mod walk;

pub use auth::Auth;
pub use browse::{Change, Changes, Entry, FileContent, LayerInfo, Touch, Waste, WastedFile};
pub use config::{Healthcheck, History, ImageConfig};
pub use copy::copy_tree;
pub use describe::{ImageManifest, OtherManifest};
pub use digest::{Digest, InvalidDigest};
pub use error::{Error, Kind, Result};
pub use image::{
    Access, ContainerUse, Image, LoadOptions, LoadedImage, PullOptions, Pulled, PushOptions,
    Removal, RemoveOptions, Removed,
};
pub use pack::{Form, Packer};
pub use platform::Platform;
pub use progress::{ProgressDetail, PullProgress};
pub use reference::Reference;
pub use registry::{Proxies, Registries, SearchResult, fetch, log_in, search, tags};
pub use remote::{RemoteImage, Source, look_up, put_index};
pub use remove_tree::remove_tree;
pub use store::versions::{BuildOrigin, How, Origin, Retention, Version, VersionState};
pub use store::{Commit, CommittedLayer, Finding, Store, StoreReport, Usage};
pub use unpack::{Extract, Extracted, extract};
