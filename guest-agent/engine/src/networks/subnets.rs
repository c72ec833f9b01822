//! Where the subnets of networks come from that name none: pools that the person set, or else
//! Docker's, without what the person's own computer and its VPNs use.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use network::Subnet;
use serde::{Deserialize, Serialize};

use crate::engine::Machine;
use crate::{Engine, Error, blocking, state_file};

/// What the person set, with the names of Docker's `daemon.json` where it has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct SubnetSettings {
    /// In place of Docker's pools.
    pub default_address_pools: Vec<AddressPool>,
    /// Never to be used.
    pub avoid: Vec<Subnet>,
}

/// Addresses that are handed out in subnets of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressPool {
    /// All of them.
    pub base: Subnet,
    /// The length of a subnet's prefix.
    pub size: u8,
}

impl SubnetSettings {
    fn check(&self) -> Result<(), Error> {
        for AddressPool { base, size } in &self.default_address_pools {
            let longest = if base.is_ipv4() { 30 } else { 126 };
            if *size < base.prefix_len() || *size > longest {
                return Err(Error::Invalid(format!(
                    "invalid address pool {base} with size {size}: the size must be between {} and {longest}",
                    base.prefix_len()
                )));
            }
        }
        Ok(())
    }
}

/// Pools with the size of their subnets, and subnets that are taken.
type Choice = (Vec<(Subnet, u8)>, Vec<Subnet>);

impl Engine {
    /// Keeps new networks away from what the host's routes lead to.
    pub fn set_host_routes(&self, routes: Vec<Subnet>) {
        // Natively they are the machine's own, which are looked at in any case.
        if self.options.machine == Machine::Vm {
            *self
                .host_routes
                .write()
                .unwrap_or_else(PoisonError::into_inner) = routes;
        }
    }

    fn subnets_file(&self) -> PathBuf {
        self.options.root.join("subnets.json")
    }

    /// What is set for subnets.
    ///
    /// # Errors
    /// When the file with it can't be read.
    pub fn subnet_settings(&self) -> Result<SubnetSettings, Error> {
        state_file::settings(&self.subnets_file(), "subnets")
    }

    /// Sets what counts for networks that are made from now on.
    ///
    /// # Errors
    /// When it makes no sense, or can't be kept.
    pub async fn set_subnet_settings(
        self: &Arc<Self>,
        settings: SubnetSettings,
    ) -> Result<(), Error> {
        settings.check()?;
        let path = self.subnets_file();
        blocking::run(move || state_file::keep_settings(&path, &settings)).await
    }

    /// A subnet for a network that names none; `taken` are those that are in use here.
    pub(super) fn free_subnet(&self, taken: Vec<Subnet>) -> Result<Subnet, Error> {
        let (pools, taken) = self.choice(true, taken)?;
        Ok(network::free_subnet(&pools, &taken).ok_or(network::Error::NoFreeSubnet)?)
    }

    /// The same for IPv6, where Docker has no pools: one of the person's, or else as RFC 4193 has them,
    /// with a number from the network's id.
    pub(super) fn free_subnet6(&self, id: &str, taken: Vec<Subnet>) -> Result<Subnet, Error> {
        let (pools, taken) = self.choice(false, taken)?;
        if !pools.is_empty() {
            return Ok(network::free_subnet(&pools, &taken).ok_or(network::Error::NoFreeSubnet)?);
        }
        let digits = |from: usize| id.get(from..from + 10).unwrap_or("0000000000");
        let candidates = (0..40).map(|from| unique_local(digits(from)));
        let mut candidates = candidates.collect::<Result<Vec<Subnet>, _>>()?.into_iter();
        candidates
            .find(|subnet| !taken.iter().any(|other| other.overlaps(subnet)))
            .ok_or_else(|| {
                Error::Forbidden(
                    "no IPv6 subnet is free: the routes of this computer or of its VPNs lead all of fd00::/8 elsewhere. Choose one with --subnet".into(),
                )
            })
    }

    /// The pools of one family to choose from, and what can't be chosen.
    fn choice(&self, ipv4: bool, mut taken: Vec<Subnet>) -> Result<Choice, Error> {
        let settings = self.subnet_settings()?;
        taken.extend(&settings.avoid);
        taken.extend(self.host_routes());
        let pools = settings.default_address_pools.iter();
        let pools = pools.filter(|pool| pool.base.is_ipv4() == ipv4);
        Ok((pools.map(|pool| (pool.base, pool.size)).collect(), taken))
    }

    /// What the host's routes lead to.
    pub(super) fn host_routes(&self) -> Vec<Subnet> {
        self.host_routes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A subnet of a number of ten hexadecimal digits.
fn unique_local(digits: &str) -> Result<Subnet, Error> {
    let (first, rest) = digits.split_at(2);
    let (second, third) = rest.split_at(4);
    Ok(format!("fd{first}:{second}:{third}::/64").parse::<Subnet>()?)
}
