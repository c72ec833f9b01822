//! The event stream: what happened to containers, images and networks, kept for a while so that
//! `docker events --since` can look back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::broadcast;

use crate::filters::Filters;
use crate::time::Time;

/// As many past events are kept as dockerd keeps.
const KEPT: usize = 256;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl Subject {
    /// Docker's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// What it is about.
    pub subject: Subject,
    /// What happened: `start`, `die`, `exec_create: sh` …
    pub action: String,
    /// Id of the subject.
    pub id: String,
    /// More about it: name, image, labels, exit code …
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: Time,
}

/// The stream's source.
#[derive(Debug)]
pub struct Events {
    past: Mutex<VecDeque<Event>>,
    live: broadcast::Sender<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            past: Mutex::default(),
            live: broadcast::channel(1024).0,
        }
    }
}

impl Events {
    /// Records an event and tells all listeners.
    pub fn publish(
        &self,
        subject: Subject,
        action: impl Into<String>,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let event = Event {
            subject,
            action: action.into(),
            id: id.into(),
            attributes,
            time: Time::now(),
        };
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if past.len() == KEPT {
            past.pop_front();
        }
        past.push_back(event.clone());
        // No listener is no error.
        let _ = self.live.send(event);
    }

    /// Past events since `since` (none without it) and a receiver of those to come.
    pub fn subscribe(&self, since: Option<Time>) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.live.subscribe();
        let replay = match since {
            Some(since) => past.iter().filter(|e| e.time >= since).cloned().collect(),
            None => Vec::new(),
        };
        (replay, receiver)
    }
}

/// Filters that want a beginning of the subject's id or name.
const NAMED: &[&str] = &[
    "daemon",
    "container",
    "plugin",
    "volume",
    "network",
    "node",
    "service",
    "secret",
    "config",
];

/// An image's name without tag and digest.
fn without_tag(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[base..].find(':') {
        Some(colon) => &name[..base + colon],
        None => name,
    }
}

impl Event {
    /// Whether the event passes the filters of `GET /events`.
    #[must_use]
    pub fn matches(&self, filters: &Filters) -> bool {
        let attribute = |key: &str| self.attributes.get(key).map_or("", String::as_str);
        let named = |filter: &&str| {
            filters.any(filter, |wanted| {
                self.id.starts_with(wanted) || attribute("name").starts_with(wanted)
            })
        };
        let image = attribute(match self.subject {
            Subject::Image => "name",
            _ => "image",
        });
        let image = [
            self.id.as_str(),
            image,
            without_tag(&self.id),
            without_tag(image),
        ];
        // Actions that say more than their name are also found by their name alone.
        let loose = filters.get("event").iter().any(|wanted| {
            ["health_status", "exec_create", "exec_start"].contains(&wanted.as_str())
        });
        filters.any("event", |wanted| {
            self.action == wanted || (loose && self.action.starts_with(wanted))
        }) && filters.any("type", |wanted| self.subject.name() == wanted)
            && filters.any("scope", |wanted| wanted == "local")
            && NAMED.iter().all(named)
            && filters.any("image", |wanted| image.contains(&wanted))
            && filters.labels(&self.attributes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn passes(action: &str, filters: &str) -> bool {
        let attributes = [
            ("name", "web"),
            ("image", "localhost:5000/a/box:1"),
            ("team", "x"),
        ];
        let event = Event {
            subject: Subject::Container,
            action: action.into(),
            id: "0123".into(),
            attributes: attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            time: Time::zero(),
        };
        event.matches(&Filters::parse(filters).unwrap())
    }

    #[test]
    fn filters_are_dockers() {
        for filters in [
            "",
            r#"{"container":["we"]}"#,
            r#"{"container":["012"],"type":["container"]}"#,
            r#"{"image":["localhost:5000/a/box"]}"#,
            r#"{"label":["team=x"]}"#,
            r#"{"event":["die","start"],"scope":["local"]}"#,
        ] {
            assert!(passes("start", filters), "{filters}");
        }
        for filters in [
            r#"{"container":["eb"]}"#,
            r#"{"network":["other"]}"#,
            r#"{"image":["localhost"]}"#,
            r#"{"event":["star"]}"#,
            r#"{"type":["image"]}"#,
            r#"{"scope":["swarm"]}"#,
        ] {
            assert!(!passes("start", filters), "{filters}");
        }
        assert!(passes("exec_create: sh", r#"{"event":["exec_create"]}"#));
        assert!(!passes("exec_create: sh", r#"{"event":["exec_die"]}"#));
    }
}
