//! Named steps against one machine: each runs even when another failed, so that one boot tells
//! everything; the test fails at the end with the list.

use std::env;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// The steps of one test.
#[derive(Default)]
pub struct Steps {
    filter: Option<String>,
    passed: usize,
    failed: Vec<String>,
}

impl Steps {
    /// Begins; `SLIPWAY_TEST_STEPS` chooses steps by parts of their names, separated by commas.
    #[must_use]
    pub fn begin() -> Self {
        Self {
            filter: env::var("SLIPWAY_TEST_STEPS").ok(),
            ..Self::default()
        }
    }

    /// Runs a step.
    pub fn step(&mut self, name: &str, body: impl FnOnce()) {
        if self
            .filter
            .as_ref()
            .is_some_and(|parts| !parts.split(',').any(|part| name.contains(part)))
        {
            return;
        }
        let begun = Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(body)).is_ok();
        let took = begun.elapsed().as_millis();
        let verdict = if passed { "ok" } else { "FAILED" };
        say(&format!("    {verdict:6} {name} ({took} ms)"));
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(name.to_owned());
        }
    }

    /// Ends the test.
    pub fn end(self) {
        say(&format!(
            "    {} steps passed, {} failed",
            self.passed,
            self.failed.len()
        ));
        assert!(self.failed.is_empty(), "failed steps: {:#?}", self.failed);
        assert!(self.passed > 0, "no step was run");
    }
}

/// Prints a line past the test harness's capture.
pub fn say(line: &str) {
    // A closed standard error is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says what can't be tested on this machine whatever is installed: its kernel, its hardware or
/// its user don't allow it.
pub fn unable(why: &str) {
    say(&format!("SKIPPED: {why}"));
}

/// Says what isn't tested for want of something that the set-up provides. With `SLIPWAY_TEST_STRICT=1` that is a failure.
pub fn skip(why: &str) {
    unable(why);
    assert!(
        env::var("SLIPWAY_TEST_STRICT").as_deref() != Ok("1"),
        "skipped although SLIPWAY_TEST_STRICT is set: {why}"
    );
}
