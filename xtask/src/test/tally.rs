//! Counts of tests, read from what test runners print.

use std::fmt;
use std::ops::AddAssign;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Lines in which a test says that it cannot run here; the runner counts it as passed.
    pub(crate) excused: u64,
}

impl Tally {
    /// Adds what a summary line of cargo's or vitest's says; other lines say nothing.
    ///
    /// - `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s`
    /// - `      Tests  1 failed | 11 passed | 2 skipped (14)`
    pub(crate) fn add_line(&mut self, line: &str) {
        let plain = without_escapes(line);
        let plain = plain.trim();
        self.excused += u64::from(plain.starts_with("SKIPPED: "));
        let (counts, separator) = if let Some((_, counts)) = plain
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        {
            (counts, ';')
        } else if let Some(counts) = plain.strip_prefix("Tests  ") {
            (counts.split('(').next().unwrap_or_default(), '|')
        } else {
            return;
        };
        for part in counts.split(separator) {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(word)) = (words.next().map(str::parse::<u64>), words.next())
            else {
                continue;
            };
            match word {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" | "skipped" | "todo" => self.skipped += count,
                _ => {}
            }
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.excused += other.excused;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// A line without colours.
fn without_escapes(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut inside = false;
    for character in line.chars() {
        match (inside, character) {
            (false, '\x1b') => inside = true,
            (false, other) => plain.push(other),
            (true, end) if end.is_ascii_alphabetic() => inside = false,
            (true, _) => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_runners_print() {
        let mut tally = Tally::default();
        for line in [
            "running 5 tests",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.10s",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out",
            " \x1b[2m      Tests \x1b[22m \x1b[1m\x1b[31m1 failed\x1b[39m | \x1b[32m11 passed\x1b[39m | 2 skipped (14)",
            " Test Files  1 passed (1)",
            "SKIPPED: no daemon",
        ] {
            tally.add_line(line);
        }
        assert_eq!(
            tally,
            Tally {
                passed: 18,
                failed: 4,
                skipped: 3,
                excused: 1
            }
        );
        assert_eq!(tally.to_string(), "18 passed, 4 failed, 3 skipped");
    }
}
