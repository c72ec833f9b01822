//! How far an archive has come, on a terminal's standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// Counts bytes, and shows them where somebody looks.
#[derive(Debug, Clone)]
pub(super) struct Meter(ProgressBar);

impl Meter {
    /// Begins with a word for what is done.
    pub(super) fn new(what: &'static str) -> Self {
        let target = if output::err_is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("{msg} {decimal_bytes} ({decimal_bytes_per_sec})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::with_draw_target(None, target).with_style(style);
        bar.set_message(what);
        Self(bar)
    }

    /// Adds what has come.
    pub(super) fn add(&self, bytes: usize) {
        self.0.inc(bytes as u64);
    }

    /// Takes it off the screen. Returns how much has come.
    pub(super) fn finish(&self) -> u64 {
        self.0.finish_and_clear();
        self.0.position()
    }
}
