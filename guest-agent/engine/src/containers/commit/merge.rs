//! What a configuration leaves out is taken from the container's, by dockerd's rules.

use crate::containers::Config;

/// Fills `config` from `container`.
pub(super) fn fill(config: &mut Config, container: &Config) {
    if config.user.is_empty() {
        config.user.clone_from(&container.user);
    }
    for (port, value) in &container.exposed_ports {
        config
            .exposed_ports
            .entry(port)
            .or_insert_with(|| value.clone());
    }
    let name = |env: &str| env.split('=').next().unwrap_or_default().to_owned();
    for env in &container.env {
        if !config.env.iter().any(|own| name(own) == name(env)) {
            config.env.push(env.clone());
        }
    }
    for (key, value) in &container.labels {
        config
            .labels
            .entry(key.clone())
            .or_insert_with(|| value.clone());
    }
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd.clone_from(&container.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&container.entrypoint);
        }
    }
    if let Some(theirs) = &container.healthcheck {
        config.healthcheck.get_or_insert_default().inherit(theirs);
    }
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&container.working_dir);
    }
    if let Some(theirs) = &container.volumes {
        let own = config.volumes.get_or_insert_default();
        for (path, value) in theirs {
            own.entry(path).or_insert_with(|| value.clone());
        }
    }
    if config.stop_signal.is_empty() {
        config.stop_signal.clone_from(&container.stop_signal);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn config(value: serde_json::Value) -> Config {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_missing_comes_from_the_container() {
        let container = config(json!({
            "User": "www", "Env": ["A=1", "B=2"], "Cmd": ["serve"], "Entrypoint": ["/app"],
            "ExposedPorts": {"80/tcp": {}}, "Labels": {"k": "theirs", "l": "1"},
            "WorkingDir": "/srv", "Volumes": {"/data": {}}, "StopSignal": "SIGQUIT",
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5, "Retries": 2},
        }));
        let mut made = config(json!({
            "Env": ["A=9"], "Labels": {"k": "own"}, "Volumes": {"/own": {}},
            "Healthcheck": {"Test": ["CMD", "false"], "Interval": 0},
        }));
        fill(&mut made, &container);
        assert_eq!(made.env, ["A=9", "B=2"]);
        assert_eq!(made.labels["k"], "own");
        assert_eq!(made.labels["l"], "1");
        assert_eq!(made.command(), ["/app", "serve"]);
        assert_eq!(made.volumes.unwrap().len(), 2);
        assert_eq!(
            json!(made.healthcheck.unwrap()),
            json!({"Test": ["CMD", "false"], "Interval": 5, "Retries": 2})
        );
        assert_eq!(
            (made.user.as_str(), made.stop_signal.as_str()),
            ("www", "SIGQUIT")
        );
    }

    #[test]
    fn an_own_entry_point_discards_the_containers_command() {
        let container = config(json!({"Cmd": ["serve"], "Entrypoint": ["/app"]}));
        let mut made = config(json!({"Entrypoint": ["/other"]}));
        fill(&mut made, &container);
        assert_eq!(made.command(), ["/other"]);
    }
}
