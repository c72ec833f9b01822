//! `docker create`: the image's configuration and the request become a container on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use runtime::view;
use serde_json::Value;

use super::{
    Bandwidth, Config, Container, HostConfig, MountRequest, Reached, Record, State, image_mount,
    logs, mounts, security, validate,
};
use crate::events::Subject;
use crate::time::Time;
use crate::{Attachment, EndpointSettings, Engine, Error, blocking, ids};

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct CreateRequest {
    /// Name; random when empty.
    pub name: String,
    /// The portable half.
    pub config: Config,
    /// The machine's half.
    pub host_config: HostConfig,
    /// `NetworkingConfig.EndpointsConfig`.
    pub networks: BTreeMap<String, EndpointSettings>,
    /// Wanted platform, such as `linux/arm64`.
    pub platform: Option<String>,
    /// Read-only bind mounts leave what is mounted below them writable, as all did before 1.44.
    pub shallow_read_only: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Created {
    /// The container's id.
    pub id: String,
    /// Things that won't work as asked.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Creates a container.
    pub async fn create_container(
        self: &Arc<Self>,
        mut request: CreateRequest,
    ) -> Result<Created, Error> {
        // In Docker's order: of several faults it tells the first.
        validate::decoded(&request.config, &request.host_config)?;
        validate::config(&mut request.config)?;
        if let Some(check) = &request.config.healthcheck {
            check.validate()?;
        }
        let mut warnings = validate::host_config(&mut request.host_config, &self.limits())?;
        let images = |mount: &MountRequest| mount.kind == "image";
        if request.host_config.mounts.iter().any(images) {
            warnings.push("Image mount is an experimental feature".into());
        }
        let bandwidth = Bandwidth::from_labels(&request.config.labels)?;
        if request.platform.is_none() && !request.config.image.is_empty() {
            blocking::here(|| Ok::<_, Error>(self.store()?.resolve(&request.config.image)?))?;
        }
        let networks = self.first_networks(&mut request)?;
        let this = Arc::clone(self);
        blocking::to_the_end(async move {
            let id = blocking::here(|| this.create_blocking(request, networks, bandwidth))?;
            Ok(Created { id, warnings })
        })
        .await
    }

    fn create_blocking(
        &self,
        mut request: CreateRequest,
        networks: BTreeMap<String, Attachment>,
        bandwidth: Bandwidth,
    ) -> Result<String, Error> {
        self.resolve_modes(&mut request.host_config)?;
        let config = &mut request.config;
        if config.image.is_empty() {
            return Err(Error::Invalid("no command specified".into()));
        }
        let store = self.store()?;
        let image = store.resolve(&config.image).map_err(Error::from)?;
        if let Some(wanted) = &request.platform {
            let wanted = images::Platform::parse(wanted)?;
            if (wanted.os.as_str(), &wanted.architecture) != (os(&image.os), &image.architecture) {
                return Err(Error::NotFound(format!(
                    "image with reference {} was found but its platform ({}/{}) does not match the specified platform ({wanted})",
                    config.image,
                    os(&image.os),
                    image.architecture,
                )));
            }
        }
        merge_image(config, &image.config);
        if config.command().is_empty() {
            return Err(Error::Invalid("no command specified".into()));
        }
        logs::config::validate(&mut request.host_config.log_config)?;
        let id = ids::random_id()?;
        let name = {
            let mut index = self.index();
            if request.name.is_empty() {
                index.reserve_random_name(&id)?
            } else {
                index.reserve_name(&request.name, &id)?
            }
        };
        let made = self.make_named(&id, name, request, &image, networks, bandwidth);
        made.inspect_err(|_| self.index().remove(&id))?;
        Ok(id)
    }

    /// Makes a container whose name is its own already.
    fn make_named(
        &self,
        id: &str,
        name: String,
        request: CreateRequest,
        image: &images::Image,
        networks: BTreeMap<String, Attachment>,
        bandwidth: Bandwidth,
    ) -> Result<(), Error> {
        let CreateRequest {
            mut config,
            mut host_config,
            shallow_read_only,
            ..
        } = request;
        validate::security(&host_config)?;
        let store = self.store()?;
        if config.hostname.is_empty() {
            config.hostname = match host_config.network_mode.as_str() {
                "host" => self.host_name(),
                _ => ids::short(id).to_owned(),
            };
        }
        let dir = self.containers_dir().join(id);
        let inherited = self.volumes_from(&host_config)?;
        let root = &self.options.root;
        let mut mounts = mounts::plan(&config, &host_config, inherited, root, shallow_read_only)?;
        for (number, mount) in mounts.iter_mut().enumerate() {
            if mount.kind == "image" {
                mount.image = store.resolve(&mount.name)?.id.to_string();
                mount.source = image_mount::shown(&dir, number);
            }
        }
        let links = self.register_links(&mut host_config)?;
        let provided = self.provide_volumes(&mut mounts)?;
        let record = Record {
            id: id.to_owned(),
            name,
            created: Time::now(),
            image: image.id.to_string(),
            platform: os(&image.os).to_owned(),
            config,
            host_config,
            mounts,
            state: State::Created,
            started_at: Time::zero(),
            finished_at: Time::zero(),
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            restart_count: 0,
            manually_stopped: false,
            networks,
            ports: BTreeMap::new(),
            refused_ports: BTreeMap::new(),
            bandwidth,
            links,
            reached: Reached::Nothing,
            health: None,
        };
        let container = Container::new(record, dir.clone());
        let written = make_directories(&container)
            .and_then(|()| {
                self.make_working_directory(&container, image)?;
                // Read only, its own layer too: what was mounted to be written is synced at the end.
                let own = dir.join("upper");
                provided.fill(self, &[vec![own], store.layers(image)?].concat())
            })
            .and_then(|()| container.save_blocking());
        if let Err(error) = written {
            if let Err(error) = std::fs::remove_dir_all(&dir) {
                tracing::warn!(%error, path = %dir.display(), "cleaning up a failed create");
            }
            provided.undo(self);
            return Err(error);
        }
        self.index().insert(Arc::clone(&container));
        drop(provided);
        self.container_event(&container, "create", &[]);
        Ok(())
    }

    /// Makes the working directory where the image has none: files may be copied there before the
    /// first start.
    fn make_working_directory(
        &self,
        container: &Container,
        image: &images::Image,
    ) -> Result<(), Error> {
        let path = container.lock().record.config.working_dir.clone();
        if path.is_empty() || self.store()?.has_directory(image, &path)? {
            return Ok(());
        }
        let record = container.lock().record.clone();
        let root = self.root(&record, &container.dir)?;
        view::make_directories(&root, &path)
            .map_err(|error| Error::System(runtime::Failure::from(&error).message))
    }

    /// `container:NAME` becomes `container:ID`. A container for its network that isn't there is the
    /// start's affair, and so are others unless Docker would take their labels. No error says "not
    /// found": the docker command would pull the image.
    fn resolve_modes(&self, host: &mut HostConfig) -> Result<(), Error> {
        let needed = security::takes_labels(host);
        for (mode, needed) in [
            (&mut host.network_mode, false),
            (&mut host.pid_mode, needed),
            (&mut host.ipc_mode, needed),
        ] {
            let name = mode.strip_prefix("container:");
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                continue;
            };
            match self.container(name) {
                Ok(other) => *mode = format!("container:{}", other.id),
                Err(error) if needed => return Err(Error::Invalid(error.to_string())),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Publishes an event about a container, with its name, image and labels as attributes.
    pub(crate) fn container_event(
        &self,
        container: &Container,
        action: &str,
        more: &[(&str, String)],
    ) {
        let (name, image, labels) = {
            let inner = container.lock();
            let record = &inner.record;
            (
                record.name.clone(),
                record.config.image.clone(),
                record.config.labels.clone(),
            )
        };
        let mut attributes: BTreeMap<String, String> = labels;
        if !image.is_empty() {
            attributes.insert("image".into(), image);
        }
        attributes.insert("name".into(), name);
        for (key, value) in more {
            attributes.insert((*key).to_owned(), value.clone());
        }
        self.events
            .publish(Subject::Container, action, &container.id, attributes);
    }
}

/// The system of an image; those of old do not say it.
fn os(said: &str) -> &str {
    if said.is_empty() { "linux" } else { said }
}

fn make_directories(container: &Container) -> Result<(), Error> {
    for name in ["upper", "work"] {
        let path = container.dir.join(name);
        std::fs::create_dir_all(&path).map_err(|e| Error::file("creating", &path, e))?;
    }
    // The upper directory's mode becomes the mode of `/` in the container.
    set_mode(&container.dir.join("upper"), 0o755)?;
    set_mode(&container.dir, 0o710)
}

fn set_mode(path: &std::path::Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|e| Error::file("setting the mode of", path, e))
}

/// Fills what the request leaves out from the image, as Docker does: a new entry point discards
/// the image's command, environment and labels are merged by name.
fn merge_image(config: &mut Config, image: &images::ImageConfig) {
    if config.user.is_empty() {
        config.user = image.user().to_owned();
    }
    for port in image.exposed_ports() {
        config
            .exposed_ports
            .entry(port)
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    for env in image.env() {
        let name = env.split('=').next().unwrap_or_default();
        let is_set = config
            .env
            .iter()
            .any(|own| own.split('=').next() == Some(name));
        if !is_set {
            config.env.push(env);
        }
    }
    for (key, value) in image.labels() {
        config.labels.entry(key).or_insert(value);
    }
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd = image.cmd();
        }
        if config.entrypoint.is_none() {
            config.entrypoint = image.entrypoint();
        }
    }
    if let Some(check) = image.healthcheck() {
        let own = config.healthcheck.get_or_insert_default();
        own.inherit(&check.into());
    }
    if config.working_dir.is_empty() {
        config.working_dir = image.working_dir().to_owned();
    }
    if config
        .volumes
        .as_ref()
        .is_none_or(serde_json::Map::is_empty)
    {
        let volumes = image.volumes();
        config.volumes = (!volumes.is_empty()).then(|| {
            volumes
                .into_iter()
                .map(|v| (v, Value::Object(serde_json::Map::new())))
                .collect()
        });
    }
    if config.stop_signal.is_empty() {
        config.stop_signal = image.stop_signal().to_owned();
    }
    if config.shell.is_none() {
        config.shell = image.shell();
    }
    // An empty entry point takes the image's away.
    if config.entrypoint.as_deref() == Some(&[String::new()]) {
        config.entrypoint = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn image() -> images::ImageConfig {
        images::ImageConfig::parse(
            br#"{"config":{"Env":["A=1","B=2"],"Cmd":["serve"],"Entrypoint":["/app"],
                "Labels":{"k":"image"},"WorkingDir":"/srv","User":"www"}}"#,
        )
        .unwrap()
    }

    #[test]
    fn an_empty_request_takes_the_images_word() {
        let mut config = Config::default();
        merge_image(&mut config, &image());
        assert_eq!(config.command(), ["/app", "serve"]);
        assert_eq!(config.env, ["A=1", "B=2"]);
        assert_eq!(
            (config.working_dir.as_str(), config.user.as_str()),
            ("/srv", "www")
        );
    }

    #[test]
    fn a_new_entry_point_discards_the_images_command() {
        let mut config = Config {
            entrypoint: Some(vec!["sh".into()]),
            ..Config::default()
        };
        merge_image(&mut config, &image());
        assert_eq!(config.command(), ["sh"]);
    }

    #[test]
    fn a_new_command_keeps_the_entry_point_and_own_values_win() {
        let mut config = Config {
            cmd: Some(vec!["test".into()]),
            env: vec!["A=9".into()],
            ..Config::default()
        };
        config.labels.insert("k".into(), "own".into());
        merge_image(&mut config, &image());
        assert_eq!(config.command(), ["/app", "test"]);
        assert_eq!(config.env, ["A=9", "B=2"]);
        assert_eq!(config.labels["k"], "own");
    }
}
