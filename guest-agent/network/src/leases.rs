//! Who has which address: one small file an endpoint, so that an engine that starts again knows
//! what its running containers use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::{Address, Endpoint, Error, Pool, Spec};

/// A container and a network.
type Key = (String, String);

/// The leases of all networks.
#[derive(Debug)]
pub(crate) struct Leases {
    directory: PathBuf,
    endpoints: BTreeMap<Key, Endpoint>,
    taken: BTreeSet<(String, IpAddr)>,
    /// Those that ended and whose interfaces are still there.
    ended: BTreeMap<Key, Endpoint>,
}

impl Leases {
    /// Reads the leases of an earlier engine. A file that can't be understood (half written when
    /// the machine died) counts for nothing and is removed.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
        let mut leases = Self {
            directory,
            endpoints: BTreeMap::new(),
            taken: BTreeSet::new(),
            ended: BTreeMap::new(),
        };
        let directory = leases.directory.clone();
        let entries = fs::read_dir(&directory).map_err(Error::file("read", &directory))?;
        for entry in entries {
            let path = entry.map_err(Error::file("read", &directory))?.path();
            let lease = fs::read(&path)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Endpoint>(&bytes).ok());
            let container = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_suffix(".json")?.split('-').next());
            match (lease, container) {
                (Some(lease), Some(container)) => leases.remember(container, lease),
                _ => {
                    tracing::warn!(path = %path.display(), "removing an unreadable address lease");
                    fs::remove_file(&path).map_err(Error::file("remove", &path))?;
                }
            }
        }
        Ok(leases)
    }

    /// The lease of a container on a network.
    pub(crate) fn get(&self, container: &str, network: &str) -> Option<&Endpoint> {
        self.endpoints
            .get(&(container.to_owned(), network.to_owned()))
    }

    /// All leases of a container.
    pub(crate) fn of(&self, container: &str) -> Vec<Endpoint> {
        self.endpoints
            .range((container.to_owned(), String::new())..)
            .take_while(|((id, _), _)| id == container)
            .map(|(_, endpoint)| endpoint.clone())
            .collect()
    }

    /// Containers with a lease.
    pub(crate) fn containers(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.endpoints.keys().map(|(id, _)| id.clone()).collect();
        ids.dedup();
        ids
    }

    /// The interfaces of all leases.
    pub(crate) fn interfaces(&self) -> BTreeSet<String> {
        let leases = self.endpoints.values();
        leases.map(|lease| lease.host_iface.clone()).collect()
    }

    /// Whether nobody has a lease on a network.
    pub(crate) fn is_unused(&self, network: &str) -> bool {
        !self.endpoints.keys().any(|(_, id)| id == network)
    }

    /// Chooses addresses on a network: those wanted, or the lowest free, as Docker hands them out.
    /// `network` is its name. What the container itself has just left counts as free: nobody answers
    /// there any more.
    pub(crate) fn choose(
        &self,
        spec: &Spec,
        container: &str,
        network: &str,
        ipv4: bool,
        wanted: Option<IpAddr>,
    ) -> Result<Option<Address>, Error> {
        let mut pools = spec
            .pools
            .iter()
            .filter(|pool| pool.subnet.is_ipv4() == ipv4)
            .peekable();
        if pools.peek().is_none() {
            return Ok(None);
        }
        let address = |pool: &Pool, ip| Address {
            ip,
            prefix_len: pool.subnet.prefix_len(),
            gateway: pool.gateway,
        };
        if let Some(ip) = wanted {
            let pool = pools
                .find(|pool| pool.subnet.contains(ip))
                .ok_or(Error::NotInSubnet { ip })?;
            let kept = pool.gateway == Some(ip) || pool.aux.contains(&ip);
            if kept || pool.subnet.is_reserved(ip) || self.is_taken(spec, container, ip) {
                return Err(Error::AddressInUse);
            }
            return Ok(Some(address(pool, ip)));
        }
        for pool in pools {
            let free = pool.addresses().find(|ip| {
                pool.gateway != Some(*ip)
                    && !pool.aux.contains(ip)
                    && !self.is_taken(spec, container, *ip)
            });
            if let Some(ip) = free {
                return Ok(Some(address(pool, ip)));
            }
        }
        Err(Error::NoFreeAddress {
            version: if ipv4 { 4 } else { 6 },
            network: network.to_owned(),
            id: spec.id.clone(),
        })
    }

    fn is_taken(&self, spec: &Spec, container: &str, ip: IpAddr) -> bool {
        let own = self.ended.get(&(container.to_owned(), spec.id.clone()));
        let left = own.is_some_and(|own| own.addresses().any(|address| address.ip == ip));
        self.taken.contains(&(spec.id.clone(), ip)) && (!left || self.is_live(&spec.id, ip))
    }

    /// Whether a lease has an address.
    fn is_live(&self, network: &str, ip: IpAddr) -> bool {
        let mut leases = self.endpoints.values();
        leases.any(|lease| {
            lease.network_id == network && lease.addresses().any(|address| address.ip == ip)
        })
    }

    /// Records a lease, on disk first. It is not flushed: a namespace doesn't outlive the kernel
    /// that wrote the file either.
    pub(crate) fn insert(&mut self, container: &str, lease: Endpoint) -> Result<(), Error> {
        let path = self.path(container, &lease.network_id);
        let draft = path.with_extension("new");
        let bytes = serde_json::to_vec(&lease)
            .map_err(io::Error::from)
            .map_err(Error::file("write", &path))?;
        fs::write(&draft, bytes).map_err(Error::file("write", &draft))?;
        fs::rename(&draft, &path).map_err(Error::file("write", &path))?;
        self.remember(container, lease);
        Ok(())
    }

    fn remember(&mut self, container: &str, lease: Endpoint) {
        let network = lease.network_id.clone();
        for address in lease.addresses() {
            self.taken.insert((network.clone(), address.ip));
        }
        self.endpoints
            .insert((container.to_owned(), network), lease);
    }

    /// Ends a lease and returns it; that there is none is fine. Its addresses are handed out again
    /// only after [`Leases::release`].
    pub(crate) fn remove(
        &mut self,
        container: &str,
        network: &str,
    ) -> Result<Option<Endpoint>, Error> {
        let path = self.path(container, network);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &path)(error));
            }
            _ => {}
        }
        let key = (container.to_owned(), network.to_owned());
        let lease = self.endpoints.remove(&key);
        if let Some(lease) = &lease {
            self.ended.insert(key, lease.clone());
        }
        Ok(lease)
    }

    /// Gives the addresses of an ended lease back.
    pub(crate) fn release(&mut self, lease: &Endpoint) {
        self.ended
            .retain(|_, ended| ended.endpoint_id != lease.endpoint_id);
        for address in lease.addresses() {
            // The same container may have it again.
            if !self.is_live(&lease.network_id, address.ip) {
                self.taken.remove(&(lease.network_id.clone(), address.ip));
            }
        }
    }

    fn path(&self, container: &str, network: &str) -> PathBuf {
        let network = network.get(..12).unwrap_or(network);
        self.directory.join(format!("{container}-{network}.json"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Gateway, Kind};

    fn spec() -> Spec {
        Spec {
            id: "n".repeat(64),
            kind: Kind::Bridge,
            interface: "x".into(),
            pools: vec![Pool {
                subnet: "10.9.0.0/29".parse().unwrap(),
                range: None,
                gateway: Some("10.9.0.1".parse().unwrap()),
                aux: vec!["10.9.0.4".parse().unwrap()],
            }],
            mtu: 1500,
            internal: false,
            icc: true,
            ipv4: Gateway::Nat,
            ipv6: Gateway::Nat,
            publish_on: None,
            inhibit_ipv4: false,
        }
    }

    fn lease(address: Address) -> Endpoint {
        Endpoint {
            netns: PathBuf::from("/run/x"),
            ipv4: Some(address),
            ipv6: None,
            mac: String::new(),
            endpoint_id: String::new(),
            network_id: spec().id,
            iface: "eth0".to_owned(),
            host_iface: String::new(),
            priority: 0,
            network_name: String::new(),
            leads_out: true,
            routes_by_interface: false,
        }
    }

    #[test]
    fn addresses_are_handed_out_lowest_first_and_survive_a_reopen() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("leases");
        let mut leases = Leases::open(directory.clone()).unwrap();
        for last in ["2", "3", "5", "6"] {
            let address = leases
                .choose(&spec(), "c", "net", true, None)
                .unwrap()
                .unwrap();
            assert_eq!(address.ip.to_string(), format!("10.9.0.{last}"));
            leases.insert(&format!("c{last}"), lease(address)).unwrap();
        }
        let full = leases.choose(&spec(), "c", "net", true, None);
        assert!(matches!(full, Err(Error::NoFreeAddress { .. })));
        assert_eq!(
            leases.choose(&spec(), "c", "net", false, None).unwrap(),
            None
        );
        let ended = leases.remove("c5", &spec().id).unwrap().unwrap();
        assert_eq!(leases.remove("c5", &spec().id).unwrap(), None);
        leases.choose(&spec(), "c", "net", true, None).unwrap_err();
        // Who has left it may come back at once, and keeps it.
        let again = leases.choose(&spec(), "c5", "net", true, None);
        assert_eq!(again.unwrap().map(|address| address.ip), ended.ip());
        leases.release(&ended);
        let wanted = leases
            .choose(&spec(), "c", "net", true, ended.ip())
            .unwrap()
            .unwrap();
        assert_eq!(Some(wanted.ip), ended.ip());
        let outside = leases.choose(&spec(), "c", "net", true, Some("10.8.0.1".parse().unwrap()));
        assert!(matches!(outside, Err(Error::NotInSubnet { .. })));

        fs::write(directory.join("torn.json"), b"{\"ip\":").unwrap();
        let leases = Leases::open(directory.clone()).unwrap();
        assert_eq!(leases.containers(), ["c2", "c3", "c6"]);
        assert!(!directory.join("torn.json").exists());
    }
}
