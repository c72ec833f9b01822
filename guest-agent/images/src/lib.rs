//! Content store, layers, OCI and Docker image formats, and the registry client.
//!
//! [`Store`] is the one door: it keeps blobs by digest, layers unpacked once for overlayfs, and the
//! index of references, and takes images in from archives ([`Store::load`]) and from registries
//! ([`Store::pull`]). It never runs a container and never writes outside its root.
//!
//! [`extract`] and [`Packer`] move the files of any tree out of and into archives; they are given
//! the tree as a handle.

mod auth;
mod config;
mod digest;
mod error;
mod image;
mod layer;
mod load;
mod manifest;
mod pack;
mod platform;
mod progress;
mod pull;
mod reference;
mod registry;
mod remove_tree;
mod save;
mod store;
mod stream;
mod unpack;

pub use auth::Auth;
pub use config::{Healthcheck, History, ImageConfig};
pub use digest::{Digest, InvalidDigest};
pub use error::{Error, Kind, Result};
pub use image::{ContainerUse, Image, LoadedImage, PullOptions, Pulled, RemoveOptions, Removed};
pub use pack::{Form, Packer};
pub use platform::Platform;
pub use progress::{ProgressDetail, PullProgress};
pub use reference::Reference;
pub use remove_tree::remove_tree;
pub use store::{Commit, CommittedLayer, Store};
pub use unpack::{Extract, extract};
