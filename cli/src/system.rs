//! The verbs for the engine as a whole, and for this command itself.

pub(crate) mod completions;
pub(crate) mod env;
pub(crate) mod events;
pub(crate) mod info;
pub(crate) mod version;
