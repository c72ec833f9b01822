//! Containers: run, start, stop, restart, look inside.

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HostConfig, PortBinding, PortMap,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
    RestartContainerOptions, StartContainerOptions, StopContainerOptions,
};

use super::{Answer, State};
use crate::view::{ContainerDetail, Mount, NetworkAddress, Problem, PublishSpec, RunSpec};

/// Creates a container and starts it; answers with its id. The image must be there. A container that
/// doesn't start is removed again, so that the person can change what was wrong and try once more.
#[tauri::command]
pub(crate) async fn container_run(desk: State<'_>, spec: RunSpec) -> Answer<String> {
    let docker = desk.docker()?;
    let name = spec.name.filter(|name| !name.is_empty());
    let options = name.map(|name| CreateContainerOptionsBuilder::new().name(&name).build());
    let body = ContainerCreateBody {
        image: Some(spec.image),
        cmd: (!spec.command.is_empty()).then_some(spec.command),
        env: Some(spec.env),
        exposed_ports: Some(
            spec.ports
                .iter()
                .map(|port| port.container.clone())
                .collect(),
        ),
        host_config: Some(HostConfig {
            binds: Some(spec.volumes),
            port_bindings: Some(bindings(spec.ports)),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let id = docker.create_container(options, body).await?.id;
    let started = docker.start_container(&id, None::<StartContainerOptions>);
    if let Err(error) = started.await {
        let all = RemoveContainerOptionsBuilder::new().force(true).v(true);
        // What the person is told is why it did not start.
        let _ = docker.remove_container(&id, Some(all.build())).await;
        return Err(error.into());
    }
    Ok(id)
}

/// The wishes of each port of the container; several may lead to the same one.
fn bindings(ports: Vec<PublishSpec>) -> PortMap {
    let mut map = PortMap::new();
    for PublishSpec { host, container } in ports {
        let wishes = map.entry(container).or_default();
        wishes.get_or_insert_default().push(PortBinding {
            host_ip: None,
            host_port: Some(host),
        });
    }
    map
}

/// Starts a container.
#[tauri::command]
pub(crate) async fn container_start(desk: State<'_>, id: String) -> Answer<()> {
    let docker = desk.docker()?;
    Ok(docker
        .start_container(&id, None::<StartContainerOptions>)
        .await?)
}

/// Stops a container; returns when it has ended.
#[tauri::command]
pub(crate) async fn container_stop(desk: State<'_>, id: String) -> Answer<()> {
    let docker = desk.docker()?;
    Ok(docker
        .stop_container(&id, None::<StopContainerOptions>)
        .await?)
}

/// Stops a container and starts it again.
#[tauri::command]
pub(crate) async fn container_restart(desk: State<'_>, id: String) -> Answer<()> {
    let docker = desk.docker()?;
    Ok(docker
        .restart_container(&id, None::<RestartContainerOptions>)
        .await?)
}

/// Everything about a container.
#[tauri::command]
pub(crate) async fn container_inspect(desk: State<'_>, id: String) -> Answer<ContainerDetail> {
    let docker = desk.docker()?;
    let found = docker
        .inspect_container(&id, None::<InspectContainerOptions>)
        .await?;
    let json = serde_json::to_string_pretty(&found)
        .map_err(|error| Problem::say(format!("the answer cannot be shown: {error}")))?;
    Ok(detail(found, json))
}

fn detail(found: ContainerInspectResponse, json: String) -> ContainerDetail {
    let config = found.config.unwrap_or_default();
    let host = found.host_config.unwrap_or_default();
    let state = found.state.unwrap_or_default();
    let mut labels: Vec<_> = config.labels.unwrap_or_default().into_iter().collect();
    labels.sort();
    let mut networks: Vec<_> = found
        .network_settings
        .and_then(|settings| settings.networks)
        .unwrap_or_default()
        .into_iter()
        .map(|(network, endpoint)| NetworkAddress {
            network,
            address: endpoint.ip_address.unwrap_or_default(),
        })
        .collect();
    networks.sort_by(|a, b| a.network.cmp(&b.network));
    // A container that never ended has the year 1 here.
    let real = |time: &String| !time.starts_with("0001-");
    ContainerDetail {
        id: found.id.unwrap_or_default(),
        argv: found
            .path
            .into_iter()
            .chain(found.args.unwrap_or_default())
            .collect(),
        command: config.cmd.unwrap_or_default(),
        working_dir: config.working_dir.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        hostname: config.hostname.unwrap_or_default(),
        env: config.env.unwrap_or_default(),
        labels,
        created: found.created.map(|time| time.to_string()),
        started: state.started_at.filter(real),
        finished: state.finished_at.filter(real),
        error: state.error.filter(|error| !error.is_empty()),
        pid: state.pid.filter(|pid| *pid > 0),
        restarts: found.restart_count.unwrap_or_default(),
        restart_policy: host
            .restart_policy
            .and_then(|policy| policy.name)
            .map(|name| name.to_string())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "no".to_owned()),
        memory_limit: host.memory.filter(|bytes| *bytes > 0),
        tty: config.tty.unwrap_or_default(),
        mounts: found
            .mounts
            .unwrap_or_default()
            .into_iter()
            .map(|mount| Mount {
                kind: mount.typ.map(|kind| kind.to_string()).unwrap_or_default(),
                source: mount.name.or(mount.source).unwrap_or_default(),
                target: mount.destination.unwrap_or_default(),
                writable: mount.rw.unwrap_or(true),
            })
            .collect(),
        networks,
        json,
    }
}
