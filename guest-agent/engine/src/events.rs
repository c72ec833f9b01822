//! The event stream: what happened to containers, images and networks, kept for a while so that
//! `docker events --since` can look back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::broadcast;

use crate::filters::{Filters, matches_pattern};
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
}

impl Subject {
    /// Docker's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
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

impl Event {
    /// Whether the event passes the filters of `GET /events`.
    #[must_use]
    pub fn matches(&self, filters: &Filters) -> bool {
        let attribute = |key: &str| self.attributes.get(key).map_or("", String::as_str);
        let named = |subject: Subject, wanted: &str| {
            self.subject == subject
                && (self.id == wanted
                    || self.id.starts_with(wanted)
                    || matches_pattern(&format!("^{wanted}$"), attribute("name")))
        };
        let image = |wanted: &str| {
            let name = match self.subject {
                Subject::Image => attribute("name"),
                _ => attribute("image"),
            };
            self.id == wanted || name == wanted || name.split(':').next() == Some(wanted)
        };
        filters.any("event", |wanted| {
            self.action == wanted || self.action.split(':').next() == Some(wanted)
        }) && filters.any("type", |wanted| self.subject.name() == wanted)
            && filters.any("scope", |wanted| wanted == "local")
            && filters.any("container", |wanted| named(Subject::Container, wanted))
            && filters.any("network", |wanted| named(Subject::Network, wanted))
            && filters.any("image", image)
            && filters.any("daemon", |_| false)
            && filters.any("volume", |_| false)
            && filters.labels(&self.attributes)
    }
}
