//! Who has which address: one small file a container, so that an engine that starts again knows
//! what its running containers use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::{Endpoint, Error, Subnet};

/// The leases of one network.
#[derive(Debug)]
pub(crate) struct Leases {
    directory: PathBuf,
    by_container: BTreeMap<String, Endpoint>,
    taken: BTreeSet<Ipv4Addr>,
}

impl Leases {
    /// Reads the leases of an earlier engine. A file that can't be understood (half written when
    /// the machine died) counts for nothing and is removed.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
        let mut by_container = BTreeMap::new();
        let entries = fs::read_dir(&directory).map_err(Error::file("read", &directory))?;
        for entry in entries {
            let path = entry.map_err(Error::file("read", &directory))?.path();
            let lease = fs::read(&path)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Endpoint>(&bytes).ok());
            let id = path.file_stem().and_then(|stem| stem.to_str());
            match (lease, id) {
                (Some(lease), Some(id)) if path.extension().is_some_and(|e| e == "json") => {
                    by_container.insert(id.to_owned(), lease);
                }
                _ => {
                    tracing::warn!(path = %path.display(), "removing an unreadable address lease");
                    fs::remove_file(&path).map_err(Error::file("remove", &path))?;
                }
            }
        }
        let taken = by_container.values().map(|lease| lease.ip).collect();
        Ok(Self {
            directory,
            by_container,
            taken,
        })
    }

    /// The lease of a container.
    pub(crate) fn get(&self, id: &str) -> Option<&Endpoint> {
        self.by_container.get(id)
    }

    /// Containers with a lease.
    pub(crate) fn containers(&self) -> Vec<String> {
        self.by_container.keys().cloned().collect()
    }

    /// The interfaces of all leases.
    pub(crate) fn interfaces(&self) -> Vec<String> {
        let leases = self.by_container.values();
        leases.map(|lease| lease.host_iface.clone()).collect()
    }

    /// Whether nobody has a lease.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_container.is_empty()
    }

    /// The lowest free address, as Docker hands them out.
    pub(crate) fn free_address(&self, subnet: Subnet) -> Result<Ipv4Addr, Error> {
        subnet
            .hosts()
            .find(|ip| !self.taken.contains(ip))
            .ok_or(Error::NoFreeAddress { subnet })
    }

    /// Records a lease, on disk first. It is not flushed: a namespace doesn't outlive the kernel
    /// that wrote the file either.
    pub(crate) fn insert(&mut self, id: &str, lease: Endpoint) -> Result<(), Error> {
        let path = self.path(id);
        let draft = path.with_extension("new");
        let bytes = serde_json::to_vec(&lease)
            .map_err(io::Error::from)
            .map_err(Error::file("write", &path))?;
        fs::write(&draft, bytes).map_err(Error::file("write", &draft))?;
        fs::rename(&draft, &path).map_err(Error::file("write", &path))?;
        self.taken.insert(lease.ip);
        self.by_container.insert(id.to_owned(), lease);
        Ok(())
    }

    /// Ends a lease and returns it; that there is none is fine. Its address is handed out again
    /// only after [`Leases::release`].
    pub(crate) fn remove(&mut self, id: &str) -> Result<Option<Endpoint>, Error> {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &path)(error));
            }
            _ => {}
        }
        Ok(self.by_container.remove(id))
    }

    /// Gives an address back.
    pub(crate) fn release(&mut self, ip: Ipv4Addr) {
        self.taken.remove(&ip);
    }

    fn path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.json"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lease(ip: Ipv4Addr) -> Endpoint {
        Endpoint {
            netns: PathBuf::from("/run/x"),
            ip,
            prefix_len: 29,
            gateway: Ipv4Addr::new(10, 9, 0, 1),
            mac: String::new(),
            endpoint_id: String::new(),
            network_id: String::new(),
            iface: "eth0".to_owned(),
            host_iface: String::new(),
        }
    }

    #[test]
    fn addresses_are_handed_out_lowest_first_and_survive_a_reopen() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("leases");
        let subnet: Subnet = "10.9.0.0/29".parse().unwrap();
        let mut leases = Leases::open(directory.clone()).unwrap();
        for last in 2..=6 {
            let ip = leases.free_address(subnet).unwrap();
            assert_eq!(ip.octets()[3], last);
            leases.insert(&format!("c{last}"), lease(ip)).unwrap();
        }
        assert!(matches!(
            leases.free_address(subnet),
            Err(Error::NoFreeAddress { .. })
        ));
        let ended = leases.remove("c4").unwrap().unwrap();
        assert_eq!(leases.remove("c4").unwrap(), None);
        leases.free_address(subnet).unwrap_err();
        leases.release(ended.ip);
        assert_eq!(leases.free_address(subnet).unwrap(), ended.ip);

        fs::write(directory.join("torn.json"), b"{\"ip\":").unwrap();
        let leases = Leases::open(directory.clone()).unwrap();
        assert_eq!(leases.containers(), ["c2", "c3", "c5", "c6"]);
        assert_eq!(leases.free_address(subnet).unwrap().octets()[3], 4);
        assert!(!directory.join("torn.json").exists());
    }
}
