//! Reads the list of containers and finds what has changed since the last time.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{
    ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum, PortSummaryTypeEnum,
};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};

use super::now;
use super::status_text::{self, Facts};
use crate::view::{ContainerRow, ContainerState, Port, Problem, WindowEvent};

/// What the page knows.
#[derive(Default)]
pub(super) struct Known {
    /// `None` until the first reading.
    rows: Option<HashMap<String, ContainerRow>>,
}

impl Known {
    /// Reads the list; `None` when nothing has changed.
    pub(super) async fn read(&mut self, docker: &Docker) -> Result<Option<WindowEvent>, Problem> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let summaries = docker.list_containers(Some(options)).await?;
        let at = now();
        let mut fresh = HashMap::with_capacity(summaries.len());
        for summary in summaries {
            let (mut row, grain) = row(summary, at);
            let before = self.rows.as_ref().and_then(|rows| rows.get(&row.id));
            keep_time(&mut row, before, grain);
            if needs_inspection(&row) {
                inspect(docker, &mut row, before).await;
            }
            fresh.insert(row.id.clone(), row);
        }
        Ok(self.replace(fresh, at))
    }

    fn replace(&mut self, fresh: HashMap<String, ContainerRow>, at: i64) -> Option<WindowEvent> {
        let all = self.rows.is_none();
        let before = self.rows.take().unwrap_or_default();
        let changed: Vec<_> = fresh
            .values()
            .filter(|row| before.get(&row.id) != Some(row))
            .cloned()
            .collect();
        let gone: Vec<_> = before
            .into_keys()
            .filter(|id| !fresh.contains_key(id))
            .collect();
        self.rows = Some(fresh);
        (all || !changed.is_empty() || !gone.is_empty()).then_some(WindowEvent::Containers {
            all,
            changed,
            gone,
            at,
        })
    }
}

/// A row from a summary, and how exact its time is in milliseconds.
fn row(summary: ContainerSummary, at: i64) -> (ContainerRow, i64) {
    let Facts {
        age,
        exit_code,
        health,
    } = status_text::parse(summary.status.as_deref().unwrap_or_default());
    let mut labels = summary.labels.unwrap_or_default();
    let name = summary.names.and_then(|names| names.into_iter().next());
    let row = ContainerRow {
        id: summary.id.unwrap_or_default(),
        name: name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image: summary.image.unwrap_or_default(),
        image_id: summary.image_id.unwrap_or_default(),
        command: summary.command.unwrap_or_default(),
        created: summary.created.unwrap_or_default(),
        state: state(summary.state),
        health,
        exit_code,
        since: age.map(|(age, _)| at - age),
        out_of_memory: false,
        attempt: None,
        project: labels.remove("com.docker.compose.project"),
        project_dir: labels.remove("com.docker.compose.project.working_dir"),
        service: labels.remove("com.docker.compose.service"),
        ports: ports(summary.ports.unwrap_or_default()),
    };
    (row, age.map_or(0, |(_, grain)| grain))
}

fn state(state: Option<ContainerSummaryStateEnum>) -> ContainerState {
    use ContainerSummaryStateEnum as Summary;
    match state {
        Some(Summary::RUNNING) => ContainerState::Running,
        Some(Summary::PAUSED) => ContainerState::Paused,
        Some(Summary::RESTARTING) => ContainerState::Restarting,
        Some(Summary::REMOVING) => ContainerState::Removing,
        Some(Summary::EXITED) => ContainerState::Exited,
        Some(Summary::DEAD) => ContainerState::Dead,
        _ => ContainerState::Created,
    }
}

/// Ports, published ones first; the same port on IPv4 and IPv6 is one.
fn ports(summaries: Vec<bollard::models::PortSummary>) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    for summary in summaries {
        let protocol = match summary.typ {
            Some(PortSummaryTypeEnum::UDP) => "udp",
            Some(PortSummaryTypeEnum::SCTP) => "sctp",
            _ => "tcp",
        };
        let port = Port {
            host: summary.public_port,
            container: summary.private_port,
            protocol: protocol.to_owned(),
        };
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports.sort_by_key(|port| (port.host.is_none(), port.host, port.container));
    ports
}

/// The engine gives times in words ("2 hours"). A row keeps its first, most exact time until the
/// words contradict it: otherwise every row would change with every reading.
fn keep_time(row: &mut ContainerRow, before: Option<&ContainerRow>, grain: i64) {
    if let Some(before) = before
        && before.state == row.state
        && before.exit_code == row.exit_code
        && let (Some(old), Some(new)) = (before.since, row.since)
        && (new - old).abs() <= grain
    {
        row.since = Some(old);
    }
}

/// The list does not say whether a container ran out of memory or how often it was restarted.
fn needs_inspection(row: &ContainerRow) -> bool {
    row.state == ContainerState::Restarting || row.exit_code == Some(137)
}

async fn inspect(docker: &Docker, row: &mut ContainerRow, before: Option<&ContainerRow>) {
    if let Some(before) = before
        && row.state == ContainerState::Exited
        && before.since == row.since
    {
        row.out_of_memory = before.out_of_memory;
        return;
    }
    let found = docker
        .inspect_container(&row.id, None::<InspectContainerOptions>)
        .await;
    // A container that vanished meanwhile is gone with the next reading.
    let Ok(ContainerInspectResponse {
        state,
        restart_count,
        ..
    }) = found
    else {
        return;
    };
    row.out_of_memory = state.and_then(|state| state.oom_killed).unwrap_or_default();
    if row.state == ContainerState::Restarting {
        row.attempt = restart_count;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn running(id: &str, status: &str) -> ContainerSummary {
        ContainerSummary {
            id: Some(id.into()),
            names: Some(vec![format!("/{id}")]),
            state: Some(ContainerSummaryStateEnum::RUNNING),
            status: Some(status.into()),
            ..ContainerSummary::default()
        }
    }

    fn take(known: &mut Known, status: &str, at: i64) -> Option<WindowEvent> {
        let (mut row, grain) = row(running("a", status), at);
        let before = known.rows.as_ref().and_then(|rows| rows.get(&row.id));
        keep_time(&mut row, before, grain);
        known.replace(HashMap::from([(row.id.clone(), row)]), at)
    }

    #[test]
    fn time_passing_is_no_change() {
        let mut known = Known::default();
        let Some(WindowEvent::Containers {
            all: true, changed, ..
        }) = take(&mut known, "Up 5 seconds", 100_000)
        else {
            unreachable!("the first reading tells all");
        };
        assert_eq!(changed[0].name, "a");
        assert_eq!(changed[0].since, Some(95_000));
        assert!(take(&mut known, "Up 2 minutes", 215_000).is_none());
        let event = take(&mut known, "Up 1 second", 300_000).unwrap();
        assert!(matches!(event, WindowEvent::Containers { changed, .. } if changed.len() == 1));
    }

    #[test]
    fn what_is_gone_is_named() {
        let mut known = Known::default();
        take(&mut known, "Up 5 seconds", 100_000);
        let Some(WindowEvent::Containers { gone, .. }) = known.replace(HashMap::new(), 1) else {
            unreachable!("a container is gone");
        };
        assert_eq!(gone, ["a"]);
    }
}
