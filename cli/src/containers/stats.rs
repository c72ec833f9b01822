//! `slipway stats`.

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::engine::models::ContainerSummary;
use crate::engine::{Engine, Query, segment};
use crate::failure::Failure;
use crate::format::size;
use crate::format::table::Table;
use crate::format::text::short_id;
use crate::output;

/// `slipway stats`.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Show containers that don't run, too
    #[arg(short, long)]
    all: bool,
    /// Print once and end
    #[arg(long)]
    no_stream: bool,
    /// Don't shorten ids
    #[arg(long)]
    no_trunc: bool,
    /// Names or ids; those that run when left out
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Stats {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        loop {
            let names = self.names(&engine).await?;
            let samples = futures::future::join_all(names.iter().map(|name| sample(&engine, name)));
            let mut rows = Vec::new();
            for sample in samples.await {
                match sample {
                    Ok(value) => rows.push(value),
                    // It may have gone since the list was made.
                    Err(error) if error.is_not_found() && self.containers.is_empty() => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if app.json {
                rows.iter().for_each(output::json);
            } else {
                self.print(&rows);
            }
            if self.no_stream {
                return Ok(());
            }
            if names.is_empty() {
                // Each sample takes a second; with none there is nothing to wait for.
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }

    async fn names(&self, engine: &Engine) -> Result<Vec<String>, Failure> {
        if !self.containers.is_empty() {
            return Ok(self.containers.clone());
        }
        let query = Query::new().flag("all", self.all);
        let containers: Vec<ContainerSummary> = engine.get("/containers/json", &query).await?;
        Ok(containers
            .into_iter()
            .map(|container| container.id)
            .collect())
    }

    fn print(&self, rows: &[Value]) {
        let mut table = Table::new(&[
            "CONTAINER ID",
            "NAME",
            "CPU %",
            "MEM USAGE / LIMIT",
            "MEM %",
            "NET I/O",
            "BLOCK I/O",
            "PIDS",
        ]);
        for row in rows {
            table.row(self.row(row));
        }
        let text = table.render();
        if self.no_stream || !output::out_is_terminal() {
            output::out(text.as_bytes());
        } else {
            // From the top left corner, each line cleared to its end, and all below.
            let lines = text.replace('\n', "\x1b[K\n");
            output::out(format!("\x1b[H{lines}\x1b[J").as_bytes());
        }
    }

    fn row(&self, stats: &Value) -> Vec<String> {
        let id = text(stats, "/id");
        let memory = memory_in_use(stats);
        let limit = number(stats, "/memory_stats/limit");
        let (received, sent) = traffic(stats);
        let (read, written) = blocks(stats);
        vec![
            if self.no_trunc { id } else { short_id(id) }.to_owned(),
            text(stats, "/name").trim_start_matches('/').to_owned(),
            format!("{:.2}%", cpu_percent(stats)),
            format!("{} / {}", size::binary(memory), size::binary(limit)),
            format!("{:.2}%", percent(memory, limit)),
            format!("{} / {}", size::decimal3(received), size::decimal3(sent)),
            format!("{} / {}", size::decimal3(read), size::decimal3(written)),
            number(stats, "/pids_stats/current").to_string(),
        ]
    }
}

/// One sample, which holds the one before it, too.
async fn sample(engine: &Engine, name: &str) -> Result<Value, crate::engine::Error> {
    let path = format!("/containers/{}/stats", segment(name));
    engine.get(&path, &Query::new().set("stream", 0)).await
}

fn number(stats: &Value, pointer: &str) -> u64 {
    stats.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn text<'a>(stats: &'a Value, pointer: &str) -> &'a str {
    stats.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage with two decimals is printed"
)]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64 * 100.0
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage with two decimals is printed"
)]
fn cpu_percent(stats: &Value) -> f64 {
    let delta = |tail: &str| {
        number(stats, &format!("/cpu_stats/{tail}"))
            .saturating_sub(number(stats, &format!("/precpu_stats/{tail}")))
    };
    let used = delta("cpu_usage/total_usage");
    let system = delta("system_cpu_usage");
    percent(used, system) * number(stats, "/cpu_stats/online_cpus").max(1) as f64
}

/// Without the file cache that the kernel would give back at once.
fn memory_in_use(stats: &Value) -> u64 {
    let usage = number(stats, "/memory_stats/usage");
    let cache = number(stats, "/memory_stats/stats/inactive_file");
    if cache < usage { usage - cache } else { usage }
}

fn traffic(stats: &Value) -> (u64, u64) {
    let networks = stats.get("networks").and_then(Value::as_object);
    networks
        .into_iter()
        .flat_map(|map| map.values())
        .fold((0, 0), |(received, sent), network| {
            (
                received + number(network, "/rx_bytes"),
                sent + number(network, "/tx_bytes"),
            )
        })
}

fn blocks(stats: &Value) -> (u64, u64) {
    let entries = stats
        .pointer("/blkio_stats/io_service_bytes_recursive")
        .and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .fold((0, 0), |(read, written), entry| {
            let value = number(entry, "/value");
            match text(entry, "/op").as_bytes().first() {
                Some(b'r' | b'R') => (read + value, written),
                Some(b'w' | b'W') => (read, written + value),
                _ => (read, written),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_dockers() {
        let stats = serde_json::json!({
            "id": "0123456789abcdef", "name": "/web",
            "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
            "memory_stats": {"usage": 3_145_728, "limit": 6_291_456, "stats": {"inactive_file": 1_048_576}},
            "networks": {"eth0": {"rx_bytes": 1500, "tx_bytes": 0}},
            "blkio_stats": {"io_service_bytes_recursive": [{"op": "read", "value": 4096}]},
            "pids_stats": {"current": 3},
        });
        let verb = Stats {
            all: false,
            no_stream: true,
            no_trunc: false,
            containers: Vec::new(),
        };
        assert_eq!(
            verb.row(&stats),
            [
                "0123456789ab",
                "web",
                "40.00%",
                "2MiB / 6MiB",
                "33.33%",
                "1.5kB / 0B",
                "4.1kB / 0B",
                "3"
            ]
        );
    }
}
