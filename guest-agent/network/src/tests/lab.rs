//! A machine of the test's own: a network and a mount namespace with a bridge `out0` to a second
//! namespace that plays the internet.
#![expect(
    unsafe_code,
    reason = "unshare(2) and setns(2) are unsafe in Rust; both only ever act on a thread of the test"
)]

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::mount::MountPropagationFlags;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::namespace::Namespaces;
use crate::netlink::Netlink;
use crate::{
    Endpoint, Error, Gateway, Kind, Networks, Options, Pool, Request, Restore, Spec, Subnet,
    bridge, messages,
};

/// The outside: the machine is `.1`, the internet `.2`. It has no route to the containers, so it
/// can answer only what was masqueraded.
pub(super) const OUTSIDE_MACHINE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
pub(super) const OUTSIDE_HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

/// What a test body gets.
pub(super) struct Lab {
    pub(super) directory: PathBuf,
    outside: Namespaces,
}

impl Lab {
    /// Runs `body` on a machine of its own; false, with a reason printed, where that can't be.
    pub(super) fn run(body: impl FnOnce(&Self) + Send) -> bool {
        if !rustix::process::geteuid().is_root() {
            ::tests::steps::unable("making network namespaces needs root");
            return false;
        }
        if !Options::default().nft.is_absolute() {
            ::tests::steps::skip("the package nftables is not installed");
            return false;
        }
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().to_owned();
        on_own_thread(move || {
            // SAFETY: the thread is this test's own and shares no assumption about its namespaces.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }
                .unwrap();
            rustix::mount::mount_change(
                "/",
                MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
            )
            .unwrap();
            let lab = Self::build(directory);
            body(&lab);
        });
        true
    }

    fn build(directory: PathBuf) -> Self {
        let outside = Namespaces::open(directory.join("outside")).unwrap();
        let net = Subnet::new(OUTSIDE_MACHINE, 24);
        let mut netlink = Netlink::open().unwrap();
        netlink
            .apply(vec![
                messages::bring_up(1, "lo"),
                messages::add_bridge("out0", [2, 0, 0, 0, 0, 1], 1500),
            ])
            .unwrap();
        let index = bridge::links(&mut netlink).unwrap()["out0"].index;
        netlink
            .apply(vec![messages::add_address(
                index,
                "out0",
                OUTSIDE_MACHINE,
                net,
            )])
            .unwrap();
        outside
            .create("internet", |fresh| {
                let mac = [2, 0, 0, 0, 0, 2];
                netlink.apply(vec![messages::add_veth(
                    "out1",
                    index,
                    "eth0",
                    fresh.as_fd(),
                    mac,
                    1500,
                )])?;
                let inside = &mut fresh.netlink;
                let eth0 = bridge::index_of(inside, "eth0")?;
                inside.apply(vec![
                    messages::bring_up(eth0, "eth0"),
                    messages::add_address(eth0, "eth0", OUTSIDE_HOST, net),
                ])
            })
            .unwrap();
        Self { directory, outside }
    }

    /// The networks under test: the default one.
    pub(super) fn network(&self) -> Net {
        self.network_with(Options::default())
    }

    pub(super) fn network_with(&self, options: Options) -> Net {
        let networks = Networks::open(&self.run_directory(), options).unwrap();
        let net = Net { networks };
        net.recover(&net.attached());
        net
    }

    pub(super) fn run_directory(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// Runs `body` on the internet.
    pub(super) fn on_the_internet<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        inside(&self.outside.path("internet"), body)
    }

    /// Names of the machine's interfaces.
    pub(super) fn interfaces(&self) -> Vec<String> {
        let mut netlink = Netlink::open().unwrap();
        bridge::links(&mut netlink).unwrap().into_keys().collect()
    }

    /// How many mounts lie under the test's directory.
    pub(super) fn mounts(&self) -> usize {
        let prefix = self.directory.to_str().unwrap();
        let mounts = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        mounts.lines().filter(|line| line.contains(prefix)).count()
    }
}

/// Runs `body` in the network namespace at `path`.
pub(super) fn inside<T: Send>(path: &Path, body: impl FnOnce() -> T + Send) -> T {
    on_own_thread(|| {
        let file = File::open(path).unwrap();
        // The descriptor is a network namespace and the thread ends after `body`.
        rustix::thread::move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .unwrap();
        body()
    })
}

fn on_own_thread<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(body).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// A container id for tests.
pub(super) fn id(number: u32) -> String {
    format!("{number:012x}{}", "0".repeat(52))
}

/// The default network alone.
pub(super) struct Net {
    pub(super) networks: Networks,
}

impl std::ops::Deref for Net {
    type Target = Networks;

    fn deref(&self) -> &Networks {
        &self.networks
    }
}

/// Its id.
pub(super) const DEFAULT: &str = "0123456789abcdef";

impl Net {
    pub(super) fn attach(&self, container: &str) -> Result<Endpoint, Error> {
        let request = Request {
            network: DEFAULT.to_owned(),
            ..Request::default()
        };
        let mut made = self.open_sandbox(container, &[request], false)?;
        Ok(made.endpoints.remove(0))
    }

    pub(super) fn detach(&self, container: &str) {
        self.close_sandbox(container).unwrap();
    }

    pub(super) fn of(&self, container: &str) -> Option<Endpoint> {
        self.endpoint(container, DEFAULT)
    }

    /// What an engine that starts does.
    pub(super) fn recover(&self, live: &[String]) -> Vec<String> {
        let found = Restore {
            specs: vec![spec(DEFAULT, self.default_interface(), "172.17.0.0/16")],
            live: live.to_vec(),
            ..Restore::default()
        };
        self.restore(found).unwrap()
    }

    fn attached(&self) -> Vec<String> {
        self.leases().containers()
    }
}

/// A bridge network.
pub(super) fn spec(id: &str, interface: &str, subnet: &str) -> Spec {
    let subnet: Subnet = subnet.parse().unwrap();
    Spec {
        id: id.to_owned(),
        kind: Kind::Bridge,
        interface: interface.to_owned(),
        pools: vec![Pool {
            subnet,
            range: None,
            gateway: subnet.hosts().next(),
            aux: Vec::new(),
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

/// The IPv4 address and gateway of an endpoint.
pub(super) fn addresses(endpoint: &Endpoint) -> (Ipv4Addr, Ipv4Addr) {
    let address = endpoint.ipv4.unwrap();
    let v4 = |ip| match ip {
        std::net::IpAddr::V4(ip) => ip,
        std::net::IpAddr::V6(ip) => panic!("{ip} is not IPv4"),
    };
    (v4(address.ip), v4(address.gateway.unwrap()))
}
