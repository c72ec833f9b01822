//! The environment of a container's processes: Docker's defaults, then the configuration.

use super::Record;
use crate::ids;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Docker's environment for a process of the container: `PATH`, `HOSTNAME`, `TERM` with a
/// terminal, what its links tell, then what was configured. Names without a value remove.
pub(crate) fn environment(record: &Record, tty: bool, linked: &[String]) -> Vec<String> {
    let config = &record.config;
    let hostname = if config.hostname.is_empty() && record.host_config.uts_mode != "host" {
        ids::short(&record.id)
    } else {
        &config.hostname
    };
    let mut env = vec![PATH.to_owned()];
    if !hostname.is_empty() {
        env.push(format!("HOSTNAME={hostname}"));
    }
    if tty {
        env.push("TERM=xterm".to_owned());
    }
    env.extend_from_slice(linked);
    override_with(&mut env, &config.env);
    env
}

/// Replaces or appends each of `changes`; one without `=` removes the variable.
pub(crate) fn override_with(env: &mut Vec<String>, changes: &[String]) {
    for change in changes {
        let name = change.split('=').next().unwrap_or_default();
        let position = env
            .iter()
            .position(|entry| entry.split('=').next() == Some(name));
        match (position, change.contains('=')) {
            (Some(at), true) => change.clone_into(&mut env[at]),
            (Some(at), false) => {
                env.remove(at);
            }
            (None, true) => env.push(change.clone()),
            (None, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_values_win_and_bare_names_remove() {
        let mut env = vec!["A=1".to_owned(), "B=2".to_owned()];
        override_with(
            &mut env,
            &["A=3".into(), "B".into(), "C=4".into(), "D".into()],
        );
        assert_eq!(env, ["A=3", "C=4"]);
    }
}
