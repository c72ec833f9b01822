//! `GET /events`.

use std::sync::Arc;

use axum::extract::State;
use bytes::Bytes;
use engine::Engine;
use engine::events::{Event, Subject};
use engine::time::Time;
use serde_json::{Map, Value, json};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::error::{ApiError, Result};
use crate::presence::Presence;
use crate::query::Query;
use crate::reply;
use crate::version::ApiVersion;

/// Streams events as JSON lines.
pub(crate) async fn stream(
    State(engine): State<Arc<Engine>>,
    version: ApiVersion,
    presence: Presence,
    query: Query,
) -> Result {
    // As with dockerd, filters that nobody knows are no error here.
    let filters = query.filters()?;
    let wanted = move |event: &Event| {
        // Clients of before don't expect an image's creation.
        let new = event.subject == Subject::Image && event.action == "create";
        event.matches(&filters) && (!new || version.at_least(46))
    };
    let now = Time::now();
    let time = |name: &str| {
        query
            .optional(name)
            .map(|text| {
                Time::parse_client(text, now).ok_or_else(|| {
                    // dockerd takes this for a fault of its own.
                    let why = format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
                    ApiError::from(engine::Error::System(why))
                })
            })
            .transpose()
    };
    let (since, until) = (time("since")?, time("until")?);
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(ApiError::invalid(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            query.text("since"),
            query.text("until")
        )));
    }
    // Docker replays when either end is given.
    let (past, live) = engine
        .events()
        .subscribe(since.or(until.map(|_| Time::zero())));
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        for event in past
            .iter()
            .filter(|e| until.is_none_or(|until| e.time <= until))
        {
            if !send(&sender, event, &wanted).await {
                return;
            }
        }
        if until.is_some_and(|until| until < now) {
            return;
        }
        let end = async {
            match until {
                None => std::future::pending().await,
                Some(until) => {
                    let left = until.unix_nano().saturating_sub(Time::now().unix_nano());
                    let left = u64::try_from(left).unwrap_or(0);
                    tokio::time::sleep(std::time::Duration::from_nanos(left)).await;
                }
            }
        };
        tokio::select! {
            () = end => {}
            () = follow(live, &sender, &wanted) => {}
            () = sender.closed() => {}
        }
    });
    let lines = ReceiverStream::new(receiver);
    Ok(reply::stream_while(presence, "application/json", lines))
}

async fn follow(
    mut live: broadcast::Receiver<Event>,
    sender: &mpsc::Sender<Bytes>,
    wanted: &(impl Fn(&Event) -> bool + Sync),
) {
    loop {
        match live.recv().await {
            Ok(event) => {
                if !send(sender, &event, wanted).await {
                    return;
                }
            }
            // A reader this slow misses events, as with dockerd.
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "a slow reader missed events");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// False when the client is gone.
async fn send(
    sender: &mpsc::Sender<Bytes>,
    event: &Event,
    wanted: &(impl Fn(&Event) -> bool + Sync),
) -> bool {
    !wanted(event) || sender.send(reply::line(&render(event))).await.is_ok()
}

fn render(event: &Event) -> Value {
    let mut line = Map::new();
    // Old clients read these three.
    let attribute = |key: &str| event.attributes.get(key).map_or("", String::as_str);
    let legacy: &[(&str, &str)] = match event.subject {
        Subject::Container => &[
            ("status", &event.action),
            ("id", &event.id),
            ("from", attribute("image")),
        ],
        Subject::Image => &[("status", &event.action), ("id", &event.id)],
        _ => &[],
    };
    for (key, value) in legacy.iter().filter(|(_, value)| !value.is_empty()) {
        line.insert((*key).into(), json!(value));
    }
    line.insert("Type".into(), json!(event.subject.name()));
    line.insert("Action".into(), json!(event.action));
    line.insert(
        "Actor".into(),
        json!({ "ID": event.id, "Attributes": event.attributes }),
    );
    line.insert("scope".into(), json!("local"));
    line.insert("time".into(), json!(event.time.unix()));
    line.insert("timeNano".into(), json!(event.time.unix_nano()));
    Value::Object(line)
}
