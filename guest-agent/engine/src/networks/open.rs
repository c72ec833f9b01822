//! Bringing networks up: the default one with addresses that are free, all others as they were.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use network::{Gateway, Kind, Networks, Pool, Restore, Spec, Subnet};

use super::{Attachment, IpamConfig, NetworkRecord};
use crate::containers::{CreateRequest, Record};
use crate::engine::Machine;
use crate::{Engine, Error, blocking};

impl Engine {
    /// The networks, brought up on first use: it takes longer than the rest of the start.
    pub(crate) async fn network(self: &Arc<Self>) -> Result<Arc<Networks>, Error> {
        let network = self
            .network
            .get_or_try_init(|| async {
                let engine = Arc::clone(self);
                blocking::run(move || engine.bring_up_networks()).await
            })
            .await?;
        Ok(Arc::clone(network))
    }

    fn bring_up_networks(&self) -> Result<Arc<Networks>, Error> {
        let run: PathBuf = self.options.run.join("network");
        std::fs::create_dir_all(&run).map_err(|e| Error::file("creating", &run, e))?;
        let options = match self.options.machine {
            Machine::Vm => network::Options::for_machine(),
            Machine::Native => network::Options::default(),
        };
        let network = Networks::open(&run, options)?;
        self.settle_default(&network)?;
        let running: Vec<_> = self
            .all_containers()
            .iter()
            .map(|container| container.lock().record.clone())
            .filter(|record| record.state.pid().is_some())
            .collect();
        let specs = self
            .networks
            .lock()
            .values()
            .filter_map(|record| record.spec.clone())
            .collect();
        // Nobody can have attached yet, so what is not live is left over.
        network.restore(Restore {
            specs,
            live: running.iter().map(|record| record.id.clone()).collect(),
            published: running
                .iter()
                .map(|record| (record.id.clone(), self.published_before(record)))
                .collect(),
            limits: running
                .iter()
                .filter(|record| !record.bandwidth.is_unlimited())
                .map(|record| (record.id.clone(), record.bandwidth.into()))
                .collect(),
        })?;
        Ok(Arc::new(network))
    }

    /// The default bridge keeps its addresses unless the machine claims them for something else (a
    /// VPN, a new network) while no container uses them.
    fn settle_default(&self, network: &Networks) -> Result<(), Error> {
        let mut record = self.networks.find("bridge")?;
        let mut taken = network.taken()?;
        taken.extend(self.host_routes());
        let others: Vec<Subnet> = self
            .networks
            .lock()
            .values()
            .filter(|other| other.name != "bridge")
            .filter_map(|other| other.spec.as_ref())
            .flat_map(|spec| spec.pools.iter().map(|pool| pool.subnet))
            .collect();
        taken.extend(others);
        let kept = record.spec.as_ref().and_then(|spec| {
            let subnet = spec.pools.first()?.subnet;
            let free = !taken.iter().any(|other| other.overlaps(&subnet));
            (free || !network.is_unused(&record.id)).then_some(subnet)
        });
        let subnet = match kept {
            Some(subnet) => subnet,
            None => self.free_subnet(taken)?,
        };
        let spec = default_spec(&record, network, subnet);
        if record.spec.as_ref() == Some(&spec) {
            return Ok(());
        }
        describe(&mut record, &spec);
        record.spec = Some(spec);
        self.networks.keep(record)
    }

    /// The networks of a container that is being made: those that are named, or else that of its mode.
    pub(crate) fn first_networks(
        &self,
        request: &mut CreateRequest,
    ) -> Result<BTreeMap<String, Attachment>, Error> {
        let named = std::mem::take(&mut request.networks);
        self.check_endpoints(&named)?;
        let mode = request.host_config.network_mode.as_str();
        if request.config.network_disabled || mode.starts_with("container:") {
            return Ok(BTreeMap::new());
        }
        let main = self.networks.find(mode).ok();
        let main_name = main.as_ref().map_or(mode, |network| network.name.as_str());
        if named.is_empty() {
            return Ok(BTreeMap::from([(
                main_name.to_owned(),
                Attachment::default(),
            )]));
        }
        let networks = named.into_iter().map(|(name, settings)| {
            let is_main = main.as_ref().is_some_and(|main| main.id == name);
            let name = match name.as_str() {
                "default" => "bridge".to_owned(),
                _ if is_main => main_name.to_owned(),
                _ => name,
            };
            let attachment = Attachment {
                settings,
                ..Attachment::default()
            };
            (name, attachment)
        });
        Ok(networks.collect())
    }

    /// Whether a container asks our own name server.
    pub(crate) fn asks_us_for_names(&self, record: &Record) -> bool {
        record.networks.values().any(|attachment| {
            let network = self.networks.find(&attachment.network_id);
            attachment.endpoint.is_some() && network.is_ok_and(|network| network.has_names())
        })
    }
}

fn default_spec(record: &NetworkRecord, network: &Networks, subnet: Subnet) -> Spec {
    Spec {
        id: record.id.clone(),
        kind: Kind::Bridge,
        interface: network.default_interface().to_owned(),
        pools: vec![Pool {
            subnet,
            range: None,
            gateway: subnet.hosts().next(),
            aux: Vec::new(),
        }],
        mtu: network.mtu(),
        internal: false,
        icc: true,
        ipv4: Gateway::Nat,
        ipv6: Gateway::Nat,
        publish_on: None,
        inhibit_ipv4: false,
    }
}

/// What `docker network inspect bridge` shows.
fn describe(record: &mut NetworkRecord, spec: &Spec) {
    record.ipam.config = spec.pools.first().map(|pool| {
        vec![IpamConfig {
            subnet: pool.subnet.to_string(),
            gateway: pool.gateway.map_or_else(String::new, |ip| ip.to_string()),
            ..IpamConfig::default()
        }]
    });
    let options = [
        (
            "com.docker.network.bridge.default_bridge",
            "true".to_owned(),
        ),
        ("com.docker.network.bridge.enable_icc", "true".to_owned()),
        (
            "com.docker.network.bridge.enable_ip_masquerade",
            "true".to_owned(),
        ),
        (
            "com.docker.network.bridge.host_binding_ipv4",
            "0.0.0.0".to_owned(),
        ),
        ("com.docker.network.bridge.name", spec.interface.clone()),
        ("com.docker.network.driver.mtu", spec.mtu.to_string()),
    ];
    record.options = options
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
}
