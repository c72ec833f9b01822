//! The verbs for images.

pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod remove;
pub(crate) mod save;
pub(crate) mod tag;
