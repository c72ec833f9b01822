//! `GET /containers/{name}/stats`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use engine::Engine;
use engine::containers::{Stats, Usage};
use engine::time::Time;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::error::{ApiError, Result};
use crate::presence::Presence;
use crate::query::Query;
use crate::reply;

/// Between two samples of a stream.
const TICK: Duration = Duration::from_secs(1);

/// `GET /containers/{name}/stats`.
pub(crate) async fn stats(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    presence: Presence,
    query: Query,
) -> Result {
    let stream = query.text("stream").is_empty() || query.flag("stream");
    let one_shot = query.flag("one-shot");
    if stream && one_shot {
        return Err(ApiError::invalid(
            "cannot have stream=true and one-shot=true",
        ));
    }
    let first = engine.container_stats(&name).await?;
    if !stream {
        if one_shot || first.usage.is_none() {
            let mut object = render(&first, None);
            // As in Docker, whose sample of a running container is told without whose it is.
            if let (Some(_), Some(fields)) = (&first.usage, object.as_object_mut()) {
                fields.retain(|name, _| name != "name" && name != "id");
            }
            return Ok(reply::ok(&object));
        }
        tokio::time::sleep(TICK).await;
        let second = engine.container_stats(&first.id).await?;
        return Ok(reply::ok(&render(&second, Some(&first))));
    }
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let id = first.id.clone();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut before = None;
        let mut sample = first;
        loop {
            let line = reply::line(&render(&sample, before.as_ref()));
            // A client that is gone, or a container that is.
            if sender.send(line).await.is_err() {
                return;
            }
            tokio::select! {
                _ = ticks.tick() => {}
                () = sender.closed() => return,
            }
            let Ok(next) = engine.container_stats(&id).await else {
                return;
            };
            before = Some(std::mem::replace(&mut sample, next));
        }
    });
    let lines = ReceiverStream::new(receiver);
    Ok(reply::stream_while(presence, "application/json", lines))
}

/// Docker's object; `before` is the sample that the processor's use is compared with.
fn render(stats: &Stats, before: Option<&Stats>) -> Value {
    let usage = stats.usage.as_ref();
    let compared = before.filter(|_| usage.is_some());
    let mut object = json!({
        "name": format!("/{}", stats.name),
        "id": stats.id,
        "read": stats.read,
        "preread": compared.map_or_else(Time::zero, |before| before.read),
        "pids_stats": usage.map_or_else(|| json!({}), pids),
        "blkio_stats": blkio(usage),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": cpu(usage),
        "precpu_stats": cpu(compared.and_then(|before| before.usage.as_ref())),
        "memory_stats": usage.map_or_else(|| json!({}), memory),
    });
    if let (Some(usage), Some(object)) = (usage, object.as_object_mut())
        && !usage.networks.is_empty()
    {
        object.insert("networks".into(), networks(usage));
    }
    object
}

fn pids(usage: &Usage) -> Value {
    let counters = &usage.counters;
    json!({
        "current": counters.pids,
        // Docker's "no limit" is the largest number.
        "limit": counters.pids_limit.unwrap_or(u64::MAX),
    })
}

fn blkio(usage: Option<&Usage>) -> Value {
    let entries: Vec<Value> = usage
        .iter()
        .flat_map(|usage| &usage.counters.io)
        .flat_map(|io| {
            let entry = |op: &str, value: u64| {
                json!({ "major": io.major, "minor": io.minor, "op": op, "value": value })
            };
            [entry("read", io.read_bytes), entry("write", io.written_bytes)]
        })
        .collect();
    let bytes = if entries.is_empty() {
        Value::Null
    } else {
        Value::Array(entries)
    };
    json!({
        "io_service_bytes_recursive": bytes,
        "io_serviced_recursive": null,
        "io_queue_recursive": null,
        "io_service_time_recursive": null,
        "io_wait_time_recursive": null,
        "io_merged_recursive": null,
        "io_time_recursive": null,
        "sectors_recursive": null,
    })
}

fn cpu(usage: Option<&Usage>) -> Value {
    let counters = usage.map(|usage| &usage.counters);
    let nanos = |micros: fn(&engine::containers::Counters) -> u64| {
        counters.map_or(0, |counters| micros(counters).saturating_mul(1000))
    };
    let mut object = json!({
        "cpu_usage": {
            "total_usage": nanos(|counters| counters.cpu_usec),
            "usage_in_kernelmode": nanos(|counters| counters.system_usec),
            "usage_in_usermode": nanos(|counters| counters.user_usec),
        },
        "throttling_data": {
            "periods": counters.map_or(0, |counters| counters.periods),
            "throttled_periods": counters.map_or(0, |counters| counters.throttled_periods),
            "throttled_time": nanos(|counters| counters.throttled_usec),
        },
    });
    if let (Some(usage), Some(object)) = (usage, object.as_object_mut()) {
        object.insert("system_cpu_usage".into(), json!(usage.system_cpu));
        object.insert("online_cpus".into(), json!(usage.cpus));
    }
    object
}

fn memory(usage: &Usage) -> Value {
    let counters = &usage.counters;
    let mut object = Map::new();
    // Numbers that are zero are left out, as Go's `omitempty` does.
    if counters.memory > 0 {
        object.insert("usage".into(), json!(counters.memory));
    }
    if !counters.memory_details.is_empty() {
        object.insert("stats".into(), json!(counters.memory_details));
    }
    if counters.memory_failures > 0 {
        object.insert("failcnt".into(), json!(counters.memory_failures));
    }
    let machine = usage.machine_memory;
    let limit = counters
        .memory_limit
        .map_or(machine, |limit| limit.min(machine));
    object.insert("limit".into(), json!(limit));
    Value::Object(object)
}

fn networks(usage: &Usage) -> Value {
    let interfaces = usage.networks.iter().map(|(name, counters)| {
        let value = json!({
            "rx_bytes": counters.rx_bytes,
            "rx_packets": counters.rx_packets,
            "rx_errors": counters.rx_errors,
            "rx_dropped": counters.rx_dropped,
            "tx_bytes": counters.tx_bytes,
            "tx_packets": counters.tx_packets,
            "tx_errors": counters.tx_errors,
            "tx_dropped": counters.tx_dropped,
        });
        (name.clone(), value)
    });
    Value::Object(interfaces.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_container_has_dockers_empty_shape() {
        let stats = Stats {
            id: "abc".into(),
            name: "web".into(),
            read: Time::zero(),
            usage: None,
        };
        let no_cpu = json!({
            "cpu_usage": { "total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0 },
            "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
        });
        assert_eq!(
            render(&stats, None),
            json!({
                "name": "/web", "id": "abc",
                "read": "0001-01-01T00:00:00Z", "preread": "0001-01-01T00:00:00Z",
                "pids_stats": {}, "num_procs": 0, "storage_stats": {}, "memory_stats": {},
                "cpu_stats": no_cpu, "precpu_stats": no_cpu,
                "blkio_stats": {
                    "io_service_bytes_recursive": null, "io_serviced_recursive": null,
                    "io_queue_recursive": null, "io_service_time_recursive": null,
                    "io_wait_time_recursive": null, "io_merged_recursive": null,
                    "io_time_recursive": null, "sectors_recursive": null,
                },
            })
        );
    }
}
