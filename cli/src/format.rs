//! Words and tables as Docker prints them.

pub(crate) mod ago;
pub(crate) mod listing;
pub(crate) mod mode;
pub(crate) mod natural;
pub(crate) mod ports;
pub(crate) mod reference;
pub(crate) mod size;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod text;
