//! `slipway update`.

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Done, each};
use crate::app::App;
use crate::engine::{Engine, Error, Query, segment};
use crate::failure::Failure;
use crate::output;
use crate::run::{memory, security};

/// Changes what containers may use.
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Memory limit, such as 512m or 2g
    #[arg(short, long, value_name = "SIZE", value_parser = memory::bytes)]
    memory: Option<i64>,
    /// Memory that is left to the container when it becomes scarce
    #[arg(long, value_name = "SIZE", value_parser = memory::bytes)]
    memory_reservation: Option<i64>,
    /// Limit of memory and swap together; -1 for unlimited swap
    #[arg(long, value_name = "SIZE", value_parser = memory::bytes_or_unlimited, allow_hyphen_values = true)]
    memory_swap: Option<i64>,
    /// Number of processors, such as 1.5
    #[arg(long, value_name = "NUMBER", value_parser = memory::nano_cpus)]
    cpus: Option<i64>,
    /// Share of processor time, relative to other containers
    #[arg(short, long, value_name = "NUMBER")]
    cpu_shares: Option<i64>,
    /// Length of a scheduler period in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<i64>,
    /// Processor time in a period in microseconds; -1 for unlimited
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    cpu_quota: Option<i64>,
    /// Processors to run on, such as 0-3 or 0,1
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to use, such as 0-3 or 0,1
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Share of block device time, 10 to 1000
    #[arg(long, value_name = "NUMBER")]
    blkio_weight: Option<u16>,
    /// Number of processes and threads; -1 for unlimited
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// What to do when it ends: no, on-failure[:COUNT], always, unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = security::restart)]
    restart: Option<security::Restart>,
    /// How fast it may send, such as 10mbit; none for no limit
    #[arg(long, value_name = "RATE")]
    net_egress: Option<String>,
    /// How fast it may receive, such as 500kbit; none for no limit
    #[arg(long, value_name = "RATE")]
    net_ingress: Option<String>,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    warnings: Option<Vec<String>>,
}

impl Update {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let limits = self.limits();
        let rates = self.rates();
        if limits.is_empty() && rates.is_empty() {
            return Err(Failure::new(
                "you must provide one or more flags when using this command",
            ));
        }
        let engine = app.engine().await?;
        each(app, &self.containers, |name| {
            let (engine, limits, rates) = (engine.clone(), limits.clone(), rates.clone());
            async move { one(&engine, &name, &limits, &rates).await }
        })
        .await
    }

    fn limits(&self) -> Map<String, Value> {
        let mut body = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            body.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("Memory", self.memory.map(Value::from));
        set(
            "MemoryReservation",
            self.memory_reservation.map(Value::from),
        );
        set("MemorySwap", self.memory_swap.map(Value::from));
        set("NanoCpus", self.cpus.map(Value::from));
        set("CpuShares", self.cpu_shares.map(Value::from));
        set("CpuPeriod", self.cpu_period.map(Value::from));
        set("CpuQuota", self.cpu_quota.map(Value::from));
        set("CpusetCpus", self.cpuset_cpus.clone().map(Value::from));
        set("CpusetMems", self.cpuset_mems.clone().map(Value::from));
        set("BlkioWeight", self.blkio_weight.map(Value::from));
        set("PidsLimit", self.pids_limit.map(Value::from));
        set(
            "RestartPolicy",
            self.restart.as_ref().map(|restart| json!(restart)),
        );
        body
    }

    fn rates(&self) -> Map<String, Value> {
        [("Egress", &self.net_egress), ("Ingress", &self.net_ingress)]
            .into_iter()
            .filter_map(|(name, rate)| Some((name.to_owned(), Value::from(rate.clone()?))))
            .collect()
    }
}

async fn one(
    engine: &Engine,
    name: &str,
    limits: &Map<String, Value>,
    rates: &Map<String, Value>,
) -> Result<Done, Error> {
    let none = Query::new();
    if !limits.is_empty() {
        let path = format!("/containers/{}/update", segment(name));
        let answer: Answer = engine.post(&path, &none, limits).await?;
        for warning in answer.warnings.unwrap_or_default() {
            output::note(&format!("WARNING: {warning}"));
        }
    }
    if !rates.is_empty() {
        let path = format!("/slipway/containers/{}/bandwidth", segment(name));
        engine.post_json(&path, &none, rates).await?;
    }
    Ok(Done::Yes)
}
