//! Progress messages: the JSON lines that Docker's clients draw bars from.

use serde::Serialize;
use tokio::sync::mpsc;

/// One progress message, serialised exactly as Docker's `jsonmessage.JSONMessage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct PullProgress {
    /// What is happening: `Pulling fs layer`, `Downloading`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// How far it is, `{}` for a layer's state without a measure.
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub progress_detail: Option<ProgressDetail>,
    /// The bar, as text, for clients that do not draw their own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// The layer (12 digits), or the tag in the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Something for programs, as the digest that was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<serde_json::Value>,
}

/// Bytes done and to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct ProgressDetail {
    /// Bytes done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// Bytes in all, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl PullProgress {
    /// A message about the whole operation: `Status: Downloaded newer image for x:latest`.
    pub fn whole(status: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            ..Self::default()
        }
    }

    /// A message with an id and no measure, like `Pulling from library/x`.
    pub(crate) fn named(id: &str, status: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            id: Some(id.to_owned()),
            ..Self::default()
        }
    }

    /// Something for programs only.
    pub(crate) fn aux(aux: serde_json::Value) -> Self {
        Self {
            progress_detail: Some(ProgressDetail::default()),
            aux: Some(aux),
            ..Self::default()
        }
    }

    /// A layer's state without a measure.
    pub(crate) fn layer(id: &str, status: &str) -> Self {
        Self {
            progress_detail: Some(ProgressDetail::default()),
            ..Self::named(id, status)
        }
    }

    /// A layer's state with a measure.
    pub(crate) fn measured(id: &str, status: &str, current: u64, total: u64) -> Self {
        Self {
            progress_detail: Some(ProgressDetail {
                current: Some(current),
                total: (total > 0).then_some(total),
            }),
            progress: bar(current, total),
            ..Self::named(id, status)
        }
    }
}

/// Where progress goes. Nobody may be listening any more, which is not an error here.
#[derive(Clone)]
pub(crate) struct Reporter(mpsc::Sender<PullProgress>);

impl Reporter {
    pub(crate) fn new(sender: mpsc::Sender<PullProgress>) -> Self {
        Self(sender)
    }

    /// Sends a message that a client must see, waiting for room.
    pub(crate) async fn say(&self, message: PullProgress) {
        let _ = self.0.send(message).await;
    }

    /// Sends a measure; dropped when the reader is behind, since another follows.
    pub(crate) fn measure(&self, message: PullProgress) {
        let _ = self.0.try_send(message);
    }

    /// Like [`Self::say`], from a thread that may block.
    pub(crate) fn say_blocking(&self, message: PullProgress) {
        let _ = self.0.blocking_send(message);
    }
}

/// Docker's bar: fifty characters, then the sizes.
fn bar(current: u64, total: u64) -> String {
    if total == 0 {
        return if current == 0 {
            String::new()
        } else {
            format!("{:>8}", human_size(current))
        };
    }
    let filled = ((current as f64 / total as f64 * 100.0) as usize / 2).min(50);
    let sizes = if current > total {
        format!("{:>8}", human_size(current))
    } else {
        format!("{:>8}/{}", human_size(current), human_size(total))
    };
    format!(
        "[{}>{}] {sizes}",
        "=".repeat(filled),
        " ".repeat(50 - filled)
    )
}

/// Decimal units and four significant digits, as docker/go-units prints (`%.4g%s`).
pub(crate) fn human_size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = 0;
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    while size >= 1000.0 && unit < UNITS.len() - 1 {
        size /= 1000.0;
        unit += 1;
    }
    let decimals = if size >= 1000.0 {
        0
    } else if size >= 100.0 {
        1
    } else if size >= 10.0 {
        2
    } else {
        3
    };
    let mut text = format!("{size:.decimals$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text + UNITS[unit]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_read_like_dockers() {
        for (bytes, text) in [
            (0, "0B"),
            (512, "512B"),
            (1000, "1kB"),
            (1_234, "1.234kB"),
            (2_220_094, "2.22MB"),
            (52_428_800, "52.43MB"),
            (352_321_536, "352.3MB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn bars_read_like_dockers() {
        assert_eq!(
            bar(15_774, 1_000_000),
            "[>                                                  ]  15.77kB/1MB"
        );
        assert_eq!(
            bar(1_000_000, 1_000_000),
            "[==================================================>]      1MB/1MB"
        );
        assert_eq!(bar(0, 0), "");
        assert_eq!(bar(32, 0), "     32B");
    }

    #[test]
    fn messages_serialise_as_dockers_do() {
        let json = |message: &PullProgress| serde_json::to_string(message).unwrap();
        assert_eq!(
            json(&PullProgress::layer("0123456789ab", "Waiting")),
            r#"{"status":"Waiting","progressDetail":{},"id":"0123456789ab"}"#
        );
        assert_eq!(
            json(&PullProgress::named("latest", "Pulling from library/x")),
            r#"{"status":"Pulling from library/x","id":"latest"}"#
        );
        assert_eq!(
            json(&PullProgress::measured("a", "Extracting", 5, 10)),
            r#"{"status":"Extracting","progressDetail":{"current":5,"total":10},"progress":"[=========================>                         ]       5B/10B","id":"a"}"#
        );
    }
}
