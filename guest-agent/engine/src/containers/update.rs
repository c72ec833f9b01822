//! `docker update`: other limits and another restart policy for a container that exists.

use std::sync::Arc;

use warden::protocol::{Call, Outcome};

use super::{Container, HostConfig, RestartPolicy, State, resources, validate};
use crate::{Engine, Error, blocking};

/// What a client asks for. What is zero or empty stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateRequest {
    /// The limits, the other fields unused.
    pub limits: HostConfig,
    /// Unchanged without a name.
    pub restart_policy: RestartPolicy,
}

impl Engine {
    /// Changes a container's limits, at once where it runs, and its restart policy. Returns
    /// warnings.
    pub async fn update_container(
        self: &Arc<Self>,
        name: &str,
        request: UpdateRequest,
    ) -> Result<Vec<String>, Error> {
        let mut limits = request.limits;
        if limits.pids_limit.is_some_and(|limit| limit <= 0) {
            // Zero and below take an earlier limit away.
            limits.pids_limit = Some(0);
        }
        limits.restart_policy = request.restart_policy;
        let named = !limits.restart_policy.name.is_empty();
        if named {
            validate::restart_policy(&mut limits)?;
        } else if limits.restart_policy.maximum_retry_count != 0 {
            return Err(Error::Invalid(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'"
                    .into(),
            ));
        }
        let warnings = resources::check(&mut limits, &self.limits(), true)?;
        let container = self.container(name)?;
        let engine = Arc::clone(self);
        let cannot = format!("Cannot update container {}: ", container.id);
        blocking::to_the_end(async move { engine.update_claimed(&container, &limits).await })
            .await
            .map_err(|error| error.prefixed(&cannot))?;
        Ok(warnings)
    }

    async fn update_claimed(
        self: &Arc<Self>,
        container: &Arc<Container>,
        limits: &HostConfig,
    ) -> Result<(), Error> {
        let (before, merged, runs) = {
            let inner = container.lock();
            if inner.removing || inner.removed || inner.record.state == State::Dead {
                return Err(Error::Conflict(
                    "container is marked for removal and cannot be \"update\"".into(),
                ));
            }
            let before = inner.record.host_config.clone();
            let merged = merge(&before, limits)?;
            (before, merged, inner.record.state.pid().is_some())
        };
        if runs {
            let wanted = merged.clone();
            let resources = blocking::run(move || resources::for_kernel(&wanted)).await?;
            let call = Call::Update {
                container: container.id.clone(),
                resources: Box::new(resources),
            };
            match self.warden.call(call, Vec::new()).await {
                Ok(Outcome::Updated { warnings }) => {
                    for warning in warnings {
                        tracing::warn!(container = container.id, warning, "updated with less");
                    }
                }
                Ok(other) => {
                    return Err(Error::System(format!(
                        "the warden gave an unexpected answer to an update: {other:?}"
                    )));
                }
                Err(failure) => return Err(Error::System(failure.message)),
            }
        }
        {
            let mut inner = container.lock();
            if inner.record.host_config != before {
                return Err(Error::Conflict(
                    "the container was changed by somebody else at the same time".into(),
                ));
            }
            inner.record.host_config = merged;
        }
        container.changed();
        container.save().await?;
        self.container_event(container, "update", &[]);
        Ok(())
    }
}

fn merge(present: &HostConfig, wanted: &HostConfig) -> Result<HostConfig, Error> {
    let conflict = |message: &str| Err(Error::Conflict(message.to_owned()));
    if wanted.nano_cpus > 0 && present.cpu_period > 0 {
        return conflict(
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        );
    }
    if wanted.nano_cpus > 0 && present.cpu_quota > 0 {
        return conflict(
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        );
    }
    if wanted.cpu_period > 0 && present.nano_cpus > 0 {
        return conflict(
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        );
    }
    if wanted.cpu_quota > 0 && present.nano_cpus > 0 {
        return conflict(
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        );
    }
    if wanted.memory != 0 && wanted.memory > present.memory_swap && wanted.memory_swap == 0 {
        return conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        );
    }
    let renamed = !wanted.restart_policy.name.is_empty();
    if renamed && present.auto_remove && wanted.restart_policy.name != "no" {
        return conflict(
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        );
    }
    let nothing = HostConfig::default();
    let mut merged = present.clone();
    macro_rules! take {
        ($($field:ident),*) => {
            $(if wanted.$field != nothing.$field {
                merged.$field.clone_from(&wanted.$field);
            })*
        };
    }
    take!(
        blkio_weight,
        cpu_shares,
        nano_cpus,
        cpu_period,
        cpu_quota,
        cpuset_cpus,
        cpuset_mems,
        memory,
        memory_swap,
        memory_reservation,
        pids_limit
    );
    if renamed {
        merged.restart_policy = wanted.restart_policy.clone();
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_what_is_given_changes() {
        let present = HostConfig {
            memory: 64 << 20,
            memory_swap: 128 << 20,
            cpu_shares: 7,
            ..HostConfig::default()
        };
        let wanted = HostConfig {
            memory: 96 << 20,
            pids_limit: Some(-1),
            ..HostConfig::default()
        };
        let merged = merge(&present, &wanted).unwrap();
        assert_eq!((merged.memory, merged.memory_swap), (96 << 20, 128 << 20));
        assert_eq!((merged.cpu_shares, merged.pids_limit), (7, Some(-1)));
    }

    #[test]
    fn conflicts_are_dockers() {
        let host = |change: fn(&mut HostConfig)| {
            let mut host = HostConfig::default();
            change(&mut host);
            host
        };
        let message = |present, wanted| merge(&present, &wanted).unwrap_err().to_string();
        assert_eq!(
            message(
                host(|h| h.memory_swap = 8 << 20),
                host(|h| h.memory = 9 << 20)
            ),
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        );
        assert_eq!(
            message(host(|h| h.cpu_quota = 5000), host(|h| h.nano_cpus = 1)),
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set"
        );
        assert_eq!(
            message(host(|h| h.nano_cpus = 1), host(|h| h.cpu_period = 5000)),
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set"
        );
        assert_eq!(
            message(
                host(|h| h.auto_remove = true),
                host(|h| h.restart_policy.name = "always".into())
            ),
            "Restart policy cannot be updated because AutoRemove is enabled for the container"
        );
    }
}
