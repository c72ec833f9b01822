//! The engine's progress lines, as `pull`, `push`, `load` and `run` show them: bars on a terminal,
//! plain lines otherwise.

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::Lines;
use crate::engine::models::Progress;
use crate::failure::Failure;
use crate::output;

/// Where the lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// Standard output.
    Stdout,
    /// Standard error: standard output belongs to the container.
    Stderr,
    /// JSON lines on standard output, as the engine sends them.
    Json,
    /// Nowhere; failures are still seen.
    Nowhere,
}

impl To {
    fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => output::out_is_terminal(),
            Self::Stderr => output::err_is_terminal(),
            Self::Json | Self::Nowhere => false,
        }
    }

    fn line(self, text: &str) {
        match self {
            Self::Stdout => output::line(text),
            Self::Stderr => output::note(text),
            Self::Json | Self::Nowhere => {}
        }
    }
}

/// Shows all of it.
///
/// # Errors
/// The engine's words when it reports a failure; others when the connection breaks.
pub(crate) async fn show(mut lines: Lines, to: To) -> Result<(), Failure> {
    let mut bars = to.is_terminal().then(|| Bars::new(to));
    while let Some(value) = lines.next().await {
        let value = value?;
        if to == To::Json {
            output::json(&value);
        }
        let Ok(progress) = serde_json::from_value::<Progress>(value) else {
            continue;
        };
        let failed = progress.error_detail.as_ref().map(|detail| &detail.message);
        if let Some(message) = failed.or(progress.error.as_ref()) {
            if let Some(bars) = &bars {
                bars.finish();
            }
            return Err(Failure::new(message.trim_end()));
        }
        match &mut bars {
            Some(bars) => bars.update(&progress),
            None => {
                if let Some(line) = plain(&progress) {
                    to.line(&line);
                }
            }
        }
    }
    if let Some(bars) = &bars {
        bars.finish();
    }
    Ok(())
}

/// A line as Docker prints it where there is no terminal: without the bars.
fn plain(progress: &Progress) -> Option<String> {
    let moving =
        |detail: &crate::engine::models::ProgressDetail| detail.current > 0 || detail.total > 0;
    if progress.aux.is_some() || progress.progress_detail.as_ref().is_some_and(moving) {
        return None;
    }
    if !progress.stream.is_empty() {
        return Some(progress.stream.trim_end_matches('\n').to_owned());
    }
    if progress.id.is_empty() {
        return (!progress.status.is_empty()).then(|| progress.status.clone());
    }
    Some(format!("{}: {}", progress.id, progress.status))
}

/// A bar for each layer, in the order of their first lines.
struct Bars {
    to: To,
    all: MultiProgress,
    by_id: HashMap<String, ProgressBar>,
    moving: ProgressStyle,
    still: ProgressStyle,
}

impl Bars {
    fn new(to: To) -> Self {
        let target = if to == To::Stdout {
            ProgressDrawTarget::stdout()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = |template: &str| {
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ")
        };
        Self {
            to,
            all: MultiProgress::with_draw_target(target),
            by_id: HashMap::new(),
            moving: style("{prefix}: {msg} [{wide_bar}] {decimal_bytes}/{decimal_total_bytes}"),
            still: style("{prefix}: {msg}"),
        }
    }

    fn update(&mut self, progress: &Progress) {
        if progress.aux.is_some() {
            return;
        }
        // "latest: Pulling from library/busybox" has an id, but is no layer.
        if progress.id.is_empty() || progress.progress_detail.is_none() {
            if let Some(line) = plain(progress) {
                let to = self.to;
                self.all.suspend(|| to.line(&line));
            }
            return;
        }
        let (moving, still) = (&self.moving, &self.still);
        let bar = self.by_id.entry(progress.id.clone()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(0).with_style(still.clone()));
            bar.set_prefix(progress.id.clone());
            bar
        });
        match &progress.progress_detail {
            Some(detail) if detail.total > 0 => {
                bar.set_style(moving.clone());
                bar.set_length(detail.total);
                bar.set_position(detail.current);
            }
            _ => bar.set_style(still.clone()),
        }
        bar.set_message(progress.status.clone());
        bar.tick();
    }

    fn finish(&self) {
        for bar in self.by_id.values() {
            bar.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn line(json: &str) -> Option<String> {
        plain(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn plain_lines_leave_out_the_bars() {
        assert_eq!(
            line(r#"{"status":"Pulling from library/busybox","id":"latest"}"#).as_deref(),
            Some("latest: Pulling from library/busybox")
        );
        assert_eq!(
            line(r#"{"status":"Pulling fs layer","progressDetail":{},"id":"abc"}"#).as_deref(),
            Some("abc: Pulling fs layer")
        );
        assert_eq!(
            line(r#"{"status":"Downloading","progressDetail":{"current":5,"total":9},"id":"abc"}"#),
            None
        );
        assert_eq!(
            line(r#"{"stream":"Loaded image: busybox:latest\n"}"#).as_deref(),
            Some("Loaded image: busybox:latest")
        );
        assert_eq!(line(r#"{"aux":{"ID":"x"}}"#), None);
    }
}
