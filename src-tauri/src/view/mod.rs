//! What the page sees: plain types with TypeScript twins under `ui/src/lib/bindings`.
//! `cargo test -p slipway-desktop` fails when the twins drift; `UPDATE_BINDINGS=1` rewrites them.

mod container;
mod event;
mod image;
mod log;
mod machine;
mod problem;

#[cfg(test)]
mod bindings;

pub(crate) use container::{
    ContainerDetail, ContainerRow, ContainerState, Health, Mount, NetworkAddress, Port,
    PublishSpec, RunSpec,
};
pub(crate) use event::WindowEvent;
pub(crate) use image::{ImageRow, LayerProgress, PullEvent};
pub(crate) use log::{LogBatch, LogLine, LogSource};
pub(crate) use machine::{About, Machine};
pub(crate) use problem::Problem;
