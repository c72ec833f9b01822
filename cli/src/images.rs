//! The verbs for images.

pub(crate) mod changes;
pub(crate) mod credentials;
pub(crate) mod doctor;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod look;
pub(crate) mod manifest;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod registries;
pub(crate) mod remove;
pub(crate) mod save;
pub(crate) mod search;
pub(crate) mod tag;
pub(crate) mod versions;
