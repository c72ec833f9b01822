//! The engine's progress lines, as `pull`, `push`, `load` and `run` show them: bars on a terminal,
//! plain lines otherwise.

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
            if let Some(bars) = &mut bars {
                bars.finish();
            }
            return Err(Failure::of_engine(message.trim_end()));
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
    if let Some(bars) = &mut bars {
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

/// A bar for each layer, in the order of their first lines. A line that is about no layer ends
/// them: they stay above it as text.
struct Bars {
    to: To,
    all: MultiProgress,
    layers: Vec<Layer>,
    moving: ProgressStyle,
    still: ProgressStyle,
}

struct Layer {
    id: String,
    bar: ProgressBar,
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
            layers: Vec::new(),
            moving: style("{prefix}: {msg} [{wide_bar}] {decimal_bytes}/{decimal_total_bytes}"),
            still: style("{prefix}: {msg}"),
        }
    }

    fn update(&mut self, progress: &Progress) {
        if progress.aux.is_some() {
            return;
        }
        // "latest: Pulling from library/busybox" has an id, but is no layer.
        let Some(detail) = progress
            .progress_detail
            .as_ref()
            .filter(|_| !progress.id.is_empty())
        else {
            if let Some(line) = plain(progress) {
                self.finish();
                self.to.line(&line);
            }
            return;
        };
        let bar = self.bar(&progress.id);
        bar.set_message(progress.status.clone());
        if detail.total > 0 {
            bar.set_length(detail.total);
            bar.set_position(detail.current);
            bar.set_style(self.moving.clone());
        } else {
            bar.set_style(self.still.clone());
        }
        bar.tick();
    }

    fn bar(&mut self, id: &str) -> ProgressBar {
        if let Some(layer) = self.layers.iter().find(|layer| layer.id == id) {
            return layer.bar.clone();
        }
        let bar = ProgressBar::new(0)
            .with_style(self.still.clone())
            .with_prefix(id.to_owned());
        let bar = self.all.add(bar);
        self.layers.push(Layer {
            id: id.to_owned(),
            bar: bar.clone(),
        });
        bar
    }

    /// Leaves the bars as lines of text.
    fn finish(&mut self) {
        if self.layers.is_empty() {
            return;
        }
        let layers: Vec<Layer> = self.layers.drain(..).collect();
        let lines: Vec<String> = layers
            .iter()
            .map(|layer| format!("{}: {}", layer.id, layer.bar.message()))
            .collect();
        // All are off the screen before the first line: a bar that goes later would be drawn
        // below it again.
        for layer in &layers {
            layer.bar.finish_and_clear();
        }
        for line in lines {
            self.to.line(&line);
        }
        *self = Self::new(self.to);
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
