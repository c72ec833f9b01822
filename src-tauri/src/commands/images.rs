//! Images: pull.

use std::time::Duration;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;
use tauri::ipc::Channel;
use tokio::time::{Instant, sleep_until};

use super::{Answer, State};
use crate::view::{LayerProgress, Problem, PullEvent};

/// How often the page hears of progress, at most.
const PACE: Duration = Duration::from_millis(100);

/// Pulls an image, telling `channel` how it goes. `pull` is the page's number for it.
#[tauri::command]
pub(crate) async fn image_pull(
    desk: State<'_>,
    reference: String,
    pull: u32,
    channel: Channel<PullEvent>,
) -> Answer<()> {
    let docker = desk.docker()?;
    let cancel = desk.keep_pull(pull);
    let (name, tag) = split(&reference);
    let mut options = CreateImageOptionsBuilder::new().from_image(name);
    if let Some(tag) = tag {
        options = options.tag(tag);
    }
    let mut lines = docker.create_image(Some(options.build()), None, None);
    let mut progress = Progress::default();
    let mut due: Option<Instant> = None;
    let last = loop {
        tokio::select! {
            () = cancel.notified() => break PullEvent::Cancelled,
            line = lines.next() => match line {
                None => break PullEvent::Done,
                Some(Err(error)) => break PullEvent::Failed { problem: error.into() },
                Some(Ok(line)) => {
                    if let Some(problem) = progress.take(line) {
                        break PullEvent::Failed { problem };
                    }
                    due.get_or_insert_with(|| Instant::now() + PACE);
                }
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = None;
                channel.send(progress.event())?;
            }
        }
    };
    desk.cancel_pull(pull);
    channel.send(progress.event())?;
    Ok(channel.send(last)?)
}

/// Gives a pull up; the engine stops when the connection closes.
#[tauri::command]
pub(crate) async fn image_pull_cancel(desk: State<'_>, pull: u32) -> Answer<()> {
    desk.cancel_pull(pull);
    Ok(())
}

/// Splits `name:tag`. Without a tag it is `latest`: an empty tag would pull all of them.
fn split(reference: &str) -> (&str, Option<&str>) {
    if reference.contains('@') {
        return (reference, None);
    }
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, Some("latest")),
    }
}

/// The layers so far.
#[derive(Debug, Default)]
struct Progress {
    layers: Vec<LayerProgress>,
    note: Option<String>,
}

impl Progress {
    /// Takes a line of the engine's answer; a line may be the reason why the pull failed.
    fn take(&mut self, line: CreateImageInfo) -> Option<Problem> {
        if let Some(error) = line.error_detail {
            return Some(Problem::say(error.message.unwrap_or_default()));
        }
        let status = line.status.unwrap_or_default();
        // `Pulling from library/nginx` carries the tag as its id; it is not a layer.
        let Some(id) = line.id.filter(|_| !status.starts_with("Pulling from")) else {
            self.note = Some(status);
            return None;
        };
        let detail = line.progress_detail.unwrap_or_default();
        let layer = LayerProgress {
            id,
            phase: status,
            current: detail.current,
            total: detail.total.filter(|total| *total > 0),
        };
        match self.layers.iter_mut().find(|known| known.id == layer.id) {
            Some(known) => *known = layer,
            None => self.layers.push(layer),
        }
        None
    }

    fn event(&self) -> PullEvent {
        PullEvent::Progress {
            layers: self.layers.clone(),
            note: self.note.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_at_the_tag_only() {
        assert_eq!(split("nginx"), ("nginx", Some("latest")));
        assert_eq!(split("nginx:1.27"), ("nginx", Some("1.27")));
        assert_eq!(
            split("localhost:5000/a"),
            ("localhost:5000/a", Some("latest"))
        );
        assert_eq!(split("localhost:5000/a:2"), ("localhost:5000/a", Some("2")));
        assert_eq!(split("a@sha256:00"), ("a@sha256:00", None));
    }

    #[test]
    fn a_layer_is_listed_once() {
        let mut progress = Progress::default();
        for (id, status) in [
            ("latest", "Pulling from a"),
            ("1", "Waiting"),
            ("1", "Pull complete"),
        ] {
            let line = CreateImageInfo {
                id: Some(id.into()),
                status: Some(status.into()),
                ..CreateImageInfo::default()
            };
            assert!(progress.take(line).is_none());
        }
        assert_eq!(progress.layers.len(), 1);
        assert_eq!(progress.layers[0].phase, "Pull complete");
    }
}
