//! Another client than docker's own: bollard.

use crate::support::host;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters as query;
use futures::{StreamExt, TryStreamExt};

#[tokio::test]
async fn bollard_runs_a_container() {
    let host = host!();
    let docker = Docker::connect_with_unix(&host.socket(), 60, bollard::API_DEFAULT_VERSION)
        .unwrap()
        .negotiate_version()
        .await
        .unwrap();
    assert_eq!(docker.version().await.unwrap().api_version.unwrap(), "1.51");
    assert_eq!(docker.info().await.unwrap().os_type.unwrap(), "linux");
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: Some(
            ["sh", "-c", "echo hello; sleep 1000"]
                .map(str::to_owned)
                .to_vec(),
        ),
        host_config: Some(HostConfig {
            memory: Some(64 << 20),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = query::CreateContainerOptionsBuilder::default()
        .name("rusty")
        .build();
    let created = docker.create_container(Some(options), body).await.unwrap();
    docker
        .start_container("rusty", None::<query::StartContainerOptions>)
        .await
        .unwrap();
    let logs = query::LogsOptionsBuilder::default()
        .stdout(true)
        .follow(true)
        .build();
    let first = docker
        .logs("rusty", Some(logs))
        .next()
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(first, LogOutput::StdOut { ref message } if &message[..] == b"hello\n"));
    let inspected = docker.inspect_container("rusty", None).await.unwrap();
    assert_eq!(inspected.id.as_deref(), Some(created.id.as_str()));
    // Discarded where the kernel has no such limit.
    let enforced = docker.info().await.unwrap().memory_limit == Some(true);
    let memory = if enforced { 64 << 20 } else { 0 };
    assert_eq!(inspected.host_config.unwrap().memory, Some(memory));

    let exec = CreateExecOptions {
        cmd: Some(vec!["sh", "-c", "echo in exec; exit 3"]),
        attach_stdout: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec("rusty", exec).await.unwrap().id;
    let StartExecResults::Attached { output, .. } = docker.start_exec(&exec, None).await.unwrap()
    else {
        panic!("the exec was not attached");
    };
    let output: Vec<LogOutput> = output.try_collect().await.unwrap();
    assert_eq!(
        output.iter().map(ToString::to_string).collect::<String>(),
        "in exec\n"
    );
    assert_eq!(docker.inspect_exec(&exec).await.unwrap().exit_code, Some(3));

    let listed = docker
        .list_containers(None::<query::ListContainersOptions>)
        .await
        .unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        docker
            .list_images(None::<query::ListImagesOptions>)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        docker
            .list_networks(None::<query::ListNetworksOptions>)
            .await
            .unwrap()
            .len(),
        3
    );
    let top = docker
        .top_processes("rusty", None::<query::TopOptions>)
        .await
        .unwrap();
    assert!(!top.processes.unwrap().is_empty());
    docker
        .kill_container("rusty", None::<query::KillContainerOptions>)
        .await
        .unwrap();
    let ended = docker
        .wait_container("rusty", None::<query::WaitContainerOptions>)
        .next()
        .await
        .unwrap();
    // bollard reports an exit code above 0 as an error of its own.
    assert!(matches!(
        ended,
        Err(bollard::errors::Error::DockerContainerWaitError { code: 137, .. })
    ));
    docker
        .remove_container("rusty", None::<query::RemoveContainerOptions>)
        .await
        .unwrap();
    let missing = docker.inspect_container("rusty", None).await.unwrap_err();
    assert!(
        missing.to_string().contains("No such container: rusty"),
        "{missing}"
    );
}

#[tokio::test]
async fn bollard_reads_stats_and_updates() {
    let host = host!();
    host.docker(&["run", "-d", "--name", "one", "busybox", "sleep", "1000"])
        .good();
    let docker = Docker::connect_with_unix(&host.socket(), 60, bollard::API_DEFAULT_VERSION)
        .unwrap()
        .negotiate_version()
        .await
        .unwrap();
    let samples: Vec<_> = docker
        .stats("one", None::<query::StatsOptions>)
        .take(2)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(samples[0].name.as_deref(), Some("/one"));
    assert!(samples[1].read > samples[0].read);
    assert_eq!(samples[1].preread, samples[0].read);
    let networks = samples[1].networks.as_ref().unwrap();
    assert!(networks["eth0"].rx_bytes.is_some(), "{networks:?}");
    let cpu = samples[1].cpu_stats.as_ref().unwrap();
    assert!(cpu.system_cpu_usage > Some(0) && cpu.online_cpus >= Some(1));
    let update = bollard::models::ContainerUpdateBody {
        restart_policy: Some(bollard::models::RestartPolicy {
            name: Some(bollard::models::RestartPolicyNameEnum::ALWAYS),
            maximum_retry_count: None,
        }),
        ..Default::default()
    };
    docker.update_container("one", update).await.unwrap();
    assert_eq!(
        host.field("one", ".HostConfig.RestartPolicy.Name"),
        "always"
    );
}
