//! How programs on the person's machine reach slipwayd: where things are, what is said, and the
//! client that says it.

pub mod wire;
