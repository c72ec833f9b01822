//! The engine as a whole: what it holds and how it comes up.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use runtime::cgroup::{Hierarchy, Supported};
use tokio::sync::{OnceCell, watch};
use warden::protocol::Event;

use crate::containers::{Container, Index};
use crate::events::Events;
use crate::volumes::Volumes;
use crate::warden_client::WardenClient;
use crate::{Error, blocking, containers, networks};

/// What the engine runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// The virtual machine, which is all ours.
    Vm,
    /// A Linux host that we share.
    Native,
}

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// State that outlives the machine's power: images, containers.
    pub root: PathBuf,
    /// State that ends with the machine: network namespaces, sockets.
    pub run: PathBuf,
    /// What it runs on.
    pub machine: Machine,
    /// Image archives to load if they were never loaded before.
    pub bundled_images: Option<PathBuf>,
}

/// The engine. Cheap to share by [`Arc`].
#[derive(Debug)]
pub struct Engine {
    pub(crate) options: Options,
    pub(crate) warden: WardenClient,
    pub(crate) events: Events,
    pub(crate) containers: Mutex<Index>,
    pub(crate) execs: Mutex<HashMap<String, Arc<containers::exec::Exec>>>,
    pub(crate) store: OnceLock<images::Store>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) network: OnceCell<Arc<network::Networks>>,
    pub(crate) networks: networks::Table,
    pub(crate) ports: networks::PortTable,
    pub(crate) host_ports: networks::HostPorts,
    pub(crate) names: networks::Names,
    pub(crate) shutting_down: AtomicBool,
    /// Held while something is pruned.
    pub(crate) pruning: tokio::sync::Mutex<()>,
    /// Held while a log is compressed.
    pub(crate) compressing: tokio::sync::Mutex<()>,
    /// How the host reaches the world, once it has told.
    pub(crate) host_network: std::sync::RwLock<crate::image::HostNetwork>,
    /// What the host's routes lead to, once it has told.
    pub(crate) host_routes: std::sync::RwLock<Vec<::network::Subnet>>,
    /// The warden has answered: the data disk is mounted.
    connected: watch::Sender<bool>,
    /// The cgroups of this machine, looked for once.
    pub(crate) hierarchy: OnceLock<Option<Hierarchy>>,
    /// What they can limit, asked once.
    pub(crate) supported: OnceLock<Supported>,
    /// `None` while state is read from disk; then whether that worked.
    ready: watch::Sender<Option<Result<(), String>>>,
}

impl Engine {
    /// Keeps other prunes out; Docker refuses them.
    pub(crate) fn only_prune(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        self.pruning
            .try_lock()
            .map_err(|_| Error::Conflict("a prune operation is already running".into()))
    }

    /// Starts the engine on its socket to the warden. Returns at once; reading the state from disk
    /// goes on in the background and [`Engine::ready`] waits for it.
    pub fn start(options: Options, warden: OwnedFd) -> Result<Arc<Self>, Error> {
        let (warden, events) = WardenClient::connect(warden)?;
        let engine = Arc::new(Self {
            volumes: Volumes::new(options.root.join("volumes")),
            networks: networks::Table::new(options.root.join("networks")),
            ports: networks::PortTable::default(),
            host_ports: networks::HostPorts::default(),
            names: networks::Names::default(),
            options,
            warden,
            events: Events::default(),
            containers: Mutex::default(),
            execs: Mutex::default(),
            store: OnceLock::new(),
            network: OnceCell::new(),
            shutting_down: AtomicBool::new(false),
            pruning: tokio::sync::Mutex::default(),
            compressing: tokio::sync::Mutex::default(),
            host_network: std::sync::RwLock::default(),
            host_routes: std::sync::RwLock::default(),
            connected: watch::channel(false).0,
            hierarchy: OnceLock::new(),
            supported: OnceLock::new(),
            ready: watch::channel(None).0,
        });
        engine.serve_machine_names();
        tokio::spawn(Arc::clone(&engine).come_up(events));
        Ok(engine)
    }

    async fn come_up(self: Arc<Self>, mut events: tokio::sync::mpsc::UnboundedReceiver<Event>) {
        let outcome = self.load().await;
        match &outcome {
            // Before anyone asks for them: the first command of all is `run slipway/hello`.
            Ok(()) => self.load_bundled_images().await,
            Err(error) => tracing::error!(%error, "the engine's state cannot be read"),
        }
        self.ready
            .send_replace(Some(outcome.map_err(|e| e.to_string())));
        while let Some(event) = events.recv().await {
            match event {
                Event::Exited { target, exit } => self.on_exit(target, exit),
                Event::LogRotated { container } => self.on_log_rotated(&container),
            }
        }
        // Without a warden nothing can be started or noticed. The warden starts a new agent when
        // it is alive, and the machine goes down when it isn't.
        tracing::error!("the warden is gone: the engine ends");
        std::process::exit(1);
    }

    async fn load(self: &Arc<Self>) -> Result<(), Error> {
        // First, since in the machine the warden answers only once the data disk is mounted.
        let known = self.known_processes().await?;
        self.connected.send_replace(true);
        let this = Arc::clone(self);
        let runtime = tokio::runtime::Handle::current();
        blocking::run(move || {
            let root = this.options.root.join("images");
            std::fs::create_dir_all(&root).map_err(|e| Error::file("creating", &root, e))?;
            let store = images::Store::open(&root)?;
            runtime.spawn(store.clone().keep_settled());
            let _ = this.store.set(store);
            this.networks.load()?;
            this.volumes.load()
        })
        .await?;
        self.reconcile(known).await?;
        self.let_all_go().await;
        Ok(())
    }

    /// Waits until the warden has answered, which it does at once when the data disk is mounted.
    pub async fn connected(&self) {
        // The sender lives as long as the engine.
        let _ = self.connected.subscribe().wait_for(|yes| *yes).await;
    }

    /// Waits until the state is read; fails for good when it could not be.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut ready = self.ready.subscribe();
        let outcome = ready
            .wait_for(Option::is_some)
            .await
            .map_err(|_| Error::Unavailable("the engine is shutting down".into()))?
            .clone();
        match outcome {
            Some(Err(why)) => Err(Error::System(format!(
                "the engine could not read its state: {why}; see `slipway diagnose`"
            ))),
            _ => Ok(()),
        }
    }

    pub(crate) fn store(&self) -> Result<&images::Store, Error> {
        self.store
            .get()
            .ok_or_else(|| Error::Unavailable("the image store is not open yet".into()))
    }

    /// Where a person's own `localhost` is reached from inside the machine.
    pub(crate) fn localhost_alias(&self) -> Option<IpAddr> {
        match self.options.machine {
            Machine::Vm => Some(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2))),
            Machine::Native => None,
        }
    }

    /// The directory of all containers.
    pub(crate) fn containers_dir(&self) -> PathBuf {
        self.options.root.join("containers")
    }

    /// Every container, in no special order.
    pub(crate) fn all_containers(&self) -> Vec<Arc<Container>> {
        self.index().all()
    }

    /// The engine's options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where events come from.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }
}

impl From<network::Error> for Error {
    fn from(error: network::Error) -> Self {
        // Clients see one line only: put the causes into it.
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text += &format!(": {cause}");
            source = cause.source();
        }
        match error {
            network::Error::AddressInUse => Self::Forbidden(text),
            network::Error::NoFreeSubnet => Self::Invalid(text),
            _ => Self::System(text),
        }
    }
}
