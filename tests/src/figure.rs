//! A figure's line: `bench NAME/FIGURE ours=… peer=… ratio=… line=… ok|short`.

use std::cell::Cell;
use std::time::Instant;

/// All figures of a run.
pub struct Figures {
    bench: &'static str,
    short: Cell<u32>,
}

impl Figures {
    /// None yet, of a bench of that name.
    #[must_use]
    pub fn new(bench: &'static str) -> Self {
        Self {
            bench,
            short: Cell::default(),
        }
    }

    /// Prints a figure; `line` is the highest ratio that will do.
    #[expect(clippy::print_stdout, reason = "a measurement prints")]
    pub fn report(&self, name: &str, ours: f64, peer: f64, unit: &str, line: f64) {
        let ratio = ours / peer;
        let verdict = if ratio <= line { "ok" } else { "short" };
        self.short.set(self.short.get() + u32::from(ratio > line));
        let bench = self.bench;
        println!(
            "bench {bench}/{name} ours={ours:.2}{unit} peer={peer:.2}{unit} ratio={ratio:.3} line={line:.3} {verdict}"
        );
    }

    /// How many figures are short of their line.
    #[must_use]
    pub fn short(&self) -> u32 {
        self.short.get()
    }
}

/// The middle of the figures.
///
/// # Panics
/// Without a figure.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// How long something takes, in milliseconds.
#[must_use]
pub fn time(body: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    body();
    begun.elapsed().as_secs_f64() * 1000.0
}
