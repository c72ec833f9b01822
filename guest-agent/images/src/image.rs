//! What the store tells and takes: images, what loading, pulling and removing did, and options.

use std::fmt;
use std::net::IpAddr;

use crate::{Auth, Digest, ImageConfig, Platform, Registries};

/// An image in the store.
#[derive(Debug, Clone)]
pub struct Image {
    /// The digest of the configuration document.
    pub id: Digest,
    /// Familiar names with tags, sorted: `nginx:latest`.
    pub repo_tags: Vec<String>,
    /// Familiar names with manifest digests, sorted: `nginx@sha256:…`.
    pub repo_digests: Vec<String>,
    /// When it was made, in RFC 3339, as its configuration says.
    pub created: Option<String>,
    /// Sum of its layers' content sizes in bytes.
    pub size: u64,
    /// The layers' content sizes, lowest first.
    pub layer_sizes: Vec<u64>,
    /// The configuration document.
    pub config: ImageConfig,
    /// `amd64`, …
    pub architecture: String,
    /// Variant of the architecture, empty when there is none.
    pub variant: String,
    /// `linux`
    pub os: String,
    /// The image this was built from, when it was built here.
    pub parent: Option<Digest>,
    /// Digests of the uncompressed layers, lowest first.
    pub layers: Vec<Digest>,
    /// When a name was last given to it, in nanoseconds since 1970; zero when never.
    pub last_tagged: i64,
}

/// One image that [`crate::Store::load`] took in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedImage {
    /// The image.
    pub id: Digest,
    /// The familiar name the archive gave it, one entry a name; `None` for a nameless image.
    pub reference: Option<String>,
    /// The image that had the name until now, when that was another.
    pub replaced: Option<Digest>,
}

/// Docker's words: `Loaded image: x:latest` or `Loaded image ID: sha256:…`.
impl fmt::Display for LoadedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Some(reference) => write!(f, "Loaded image: {reference}"),
            None => write!(f, "Loaded image ID: {}", self.id),
        }
    }
}

/// What [`crate::Store::pull`] ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The image.
    pub id: Digest,
    /// The familiar name that was pulled.
    pub reference: String,
    /// The digest of the manifest or index that the registry named.
    pub digest: Digest,
    /// False when everything was here already.
    pub downloaded: bool,
}

/// How to reach a registry, and as whom.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Credentials for the registry.
    pub auth: Option<Auth>,
    /// What the person set for registries.
    pub registries: Registries,
    /// Where registries called localhost or in 127.0.0.0/8 are dialled, so that a person's own
    /// registry is reached from inside the machine.
    pub localhost_alias: Option<IpAddr>,
}

/// How to pull.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// How to reach the registry.
    pub access: Access,
    /// Which of several platforms to take; the host's when absent.
    pub platform: Option<Platform>,
    /// The client that asks.
    pub by: String,
}

/// How to push.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// How to reach the registry.
    pub access: Access,
    /// The platform that the image must be for.
    pub platform: Option<Platform>,
}

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Take only images for this platform.
    pub platform: Option<Platform>,
    /// The client that asks.
    pub by: String,
}

/// How to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Remove although stopped containers use the image or it has several names.
    pub force: bool,
    /// Keep untagged parents.
    pub no_prune: bool,
}

/// A container that uses an image, as the engine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerUse {
    /// The container's id; shortened to 12 digits in messages.
    pub container_id: String,
    /// Whether it runs now.
    pub running: bool,
}

/// What a removal did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// In order.
    pub steps: Vec<Removed>,
    /// Bytes of files that are gone.
    pub freed: u64,
}

/// One thing that a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A familiar name, with tag or digest.
    Untagged(String),
    /// An image id or a layer's chain id.
    Deleted(String),
}
