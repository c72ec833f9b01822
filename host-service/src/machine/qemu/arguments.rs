//! QEMU's arguments, and all that must be known before a machine is started.

use std::ffi::OsString;
use std::path::Path;

use client::Home;
use client::wire::Problem;

use super::accelerator::{self, Choice, EMULATION};
use super::architecture::Architecture;
use super::boot::Failure;
use super::image::Image;
use super::program::{self, Program};
use super::random;
use crate::machine::channel::{Address, LOOPBACK, Place, credentials, escape};
use crate::machine::host::{self, Size};
use crate::machine::{Progress, Start, disk};
use crate::problem::{Explain, problem};

/// The guest's ports on vsock: for the link, and for published ports.
const VSOCK_PORT: u32 = 1024;
const VSOCK_PORTS: u32 = 1025;

/// Bytes of the key that opens them.
const KEY: usize = 32;

/// Names of virtio ports.
const LINK_PORT: &str = "slipway.link";
const PORTS_PORT: &str = "slipway.ports";
const START_PORT: &str = "slipway.start";

/// All that a boot needs.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) program: Program,
    pub(super) image: Image,
    pub(super) choice: Choice,
    pub(super) size: Size,
    pub(super) disk_bytes: u64,
    pub(super) vsock: bool,
}

impl Plan {
    /// Looks for everything and makes the data disk. Blocks.
    pub(super) fn make(home: &Home, start: &Start) -> Result<Self, Problem> {
        let machine_dir = home.machine_dir();
        std::fs::create_dir_all(&machine_dir)
            .map_err(|error| crate::problem::file("create", &machine_dir, &error))?;
        let image = Image::find()?;
        let program = program::find(home, image.architecture)?;
        let size = Size::choose();
        let disk_bytes = disk::prepare(&home.data_disk(), size.disk_gib)?;
        let choice = accelerator::choose(home, &program, &image, &start.cancel);
        Ok(Self {
            program,
            image,
            choice,
            size,
            disk_bytes,
            vsock: vsock_offered(),
        })
    }

    /// Changes what may have been the reason. The accelerator is given up when QEMU blames it, or
    /// before the `last` attempt; only in the first case it stays given up.
    pub(super) fn after_failure(&mut self, home: &Home, failure: &Failure, last: bool) {
        self.vsock = false;
        let suspect = failure.blames_accelerator || last;
        if suspect && self.choice.name != EMULATION && !accelerator::is_forced() {
            let failed = &failure.problem;
            let reason = failed.cause.as_deref().unwrap_or(&failed.message);
            let reason = format!("a start failed: {reason}");
            if failure.blames_accelerator {
                accelerator::distrust(home, &self.program, &self.image, self.choice.name, &reason);
            }
            let note = format!("{}: {reason}", self.choice.name);
            self.choice = Choice {
                name: EMULATION,
                note: Some(note),
            };
        }
    }

    pub(super) fn announce(&self, start: &Start) {
        start.say(Progress::Accelerator {
            name: self.choice.name,
            note: self.choice.note.clone(),
        });
        start.say(Progress::Size {
            cpus: Some(self.size.cpus),
            memory_bytes: Some(self.size.memory_mib << 20),
            disk_bytes: Some(self.disk_bytes),
        });
    }
}

/// The link goes over vsock where the host has it, unless `SLIPWAY_LINK` says something else.
fn vsock_offered() -> bool {
    let wanted = std::env::var("SLIPWAY_LINK").unwrap_or_default();
    !["serial", LOOPBACK].contains(&wanted.as_str())
        && std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/vhost-vsock")
            .is_ok()
}

/// How a machine comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// The kernel boots.
    Boot,
    /// The kernel boots, and the guest waits for a snapshot to be taken. There is no data disk.
    ForSnapshot,
    /// From the snapshot on standard input.
    Snapshot,
}

/// The channels of a machine about to start.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    pub(super) monitor: Address,
    pub(super) link: Address,
    /// The link for published ports.
    pub(super) ports: Address,
    /// Where the guest waits for its order to start: a snapshot, and one that gets a key.
    pub(super) start: Option<Address>,
}

impl Channels {
    /// Channels whose names begin with `prefix`.
    pub(super) fn new(home: &Home, plan: &Plan, from: From) -> Result<Self, Problem> {
        let run = home.run_dir();
        let failed =
            |error: std::io::Error| problem("cannot make the machine's channels").because(error);
        let prefix = match from {
            From::ForSnapshot => "snapshot-",
            From::Boot | From::Snapshot => "",
        };
        let place = Place::new(&run, prefix).map_err(failed)?;
        let address = |name: &str| place.address(name).map_err(failed);
        let monitor = address("qmp")?;
        // A key is told there, since everybody can read QEMU's arguments.
        let start = if from == From::Boot && !plan.vsock {
            None
        } else {
            Some(address("start")?)
        };
        let (link, ports) = if plan.vsock {
            let cid = u32::from_be_bytes(random::bytes()?);
            // Small addresses are reserved.
            let cid = (cid & 0x3fff_ffff) | 0x4000_0000;
            let key = random::text::<KEY>()?;
            let vsock = |port| Address::Vsock {
                cid,
                port,
                key: key.clone(),
            };
            (vsock(VSOCK_PORT), vsock(VSOCK_PORTS))
        } else {
            (address("link")?, address("ports")?)
        };
        Ok(Self {
            monitor,
            link,
            ports,
            start,
        })
    }

    /// Where the guest finds the host, in its own words.
    fn guest_links(&self) -> [String; 2] {
        let links = [(&self.link, LINK_PORT), (&self.ports, PORTS_PORT)];
        links.map(|(address, name)| match address {
            Address::Vsock { port, key, .. } => format!("vsock:{port}:{key}"),
            _ => format!("serial:{name}"),
        })
    }
}

/// The board and its processors: what a probe and a machine have in common.
pub(super) fn board(
    program: &Program,
    architecture: Architecture,
    accelerator: &str,
) -> Vec<OsString> {
    let (accel, cpu) = architecture.processor(accelerator);
    let mut all: Vec<OsString> = [
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ]
    .into_iter()
    .chain([
        "-machine",
        architecture.board(),
        "-accel",
        accel,
        "-cpu",
        cpu,
    ])
    .map(OsString::from)
    .collect();
    if let Some(firmware) = program.firmware() {
        all.extend(["-L".into(), firmware.into_os_string()]);
    }
    all
}

/// The kernel's command line.
fn kernel_line(plan: &Plan, channels: &Channels, from: From) -> String {
    let architecture = plan.image.architecture;
    let mut words = vec![
        architecture.console().to_owned(),
        "quiet".to_owned(),
        // A panicked machine ends, and slipwayd sees it.
        "panic=1".to_owned(),
        // The kernel's tests of its own ciphers take a second under emulation.
        "cryptomgr.notests".to_owned(),
    ];
    if plan.choice.name == EMULATION {
        // Emulated processors have none of the flaws.
        words.push("mitigations=off".to_owned());
        // The warden takes care then while it makes the kernel change its code.
        words.push("slipway.emulated=yes".to_owned());
    }
    if architecture == Architecture::X86 {
        // The timer's check fails now and then on a host under load.
        words.push("no_timer_check".to_owned());
    }
    if architecture == Architecture::X86 && plan.choice.name == EMULATION {
        // QEMU 7 leaves garbage in the flags after CMPXCHG16B: about one boot in ten died of a
        // double fault in the kernel's allocator. The kernel does without it; programs still see it.
        words.push("clearcpuid=cx16".to_owned());
    }
    match from {
        From::Boot => {
            let root = "root=/dev/nvme0n1 rootfstype=ext4 rootwait ro init=/sbin/slipway-warden";
            words.push(root.to_owned());
            words.push(match channels.start {
                Some(_) => format!("slipway.start={START_PORT}"),
                None => settings(channels),
            });
        }
        From::ForSnapshot | From::Snapshot => {
            words.push(format!("slipway.snapshot={START_PORT}"));
        }
    }
    words.join(" ")
}

/// What one start tells the warden.
pub(super) fn settings(channels: &Channels) -> String {
    let [link, ports] = channels.guest_links();
    format!("slipway.data=/dev/vda slipway.link={link} slipway.ports={ports}")
}

/// A bus for so many ports, with an interrupt for each of its queues: by default there are 64 queues
/// that share one, and the guest looks at all of them each time.
fn serial_bus(ports: usize) -> String {
    // The first port is reserved for a console.
    let most = ports + 1;
    // Two queues for each port and two for control; one more interrupt for changes of the device.
    let vectors = 2 * most + 3;
    format!("virtio-serial-pci,max_ports={most},vectors={vectors}")
}

/// A path as QEMU is told it. QEMU runs in the home: on Windows it can't open paths with letters that
/// its code page lacks, and the home is as a rule in a folder with the person's name.
pub(super) fn within<'a>(home: &Home, path: &'a Path) -> &'a Path {
    path.strip_prefix(home.root()).unwrap_or(path)
}

/// All arguments, for a QEMU that runs in the home.
pub(super) fn arguments(
    home: &Home,
    plan: &Plan,
    channels: &Channels,
    uuid: &str,
    console: &Path,
    from: From,
) -> Vec<OsString> {
    let mut all = board(&plan.program, plan.image.architecture, plan.choice.name);
    let mut add = |words: &[&str]| all.extend(words.iter().map(OsString::from));
    add(&["-name", "slipway", "-uuid", uuid]);
    add(&[
        "-smp",
        &plan.size.cpus.to_string(),
        "-m",
        &format!("{}M", plan.size.memory_mib),
    ]);
    add(&[
        "-kernel",
        &host::for_qemu(&plan.image.kernel).display().to_string(),
    ]);
    add(&["-append", &kernel_line(plan, channels, from)]);
    add(&[
        "-chardev",
        &format!("file,id=console,path={}", escape(within(home, console))),
    ]);
    add(&["-serial", "chardev:console"]);
    // The kernel has NVMe and ext4 built in, so that it needs no initramfs to boot. QEMU can't take
    // a snapshot of NVMe.
    let root_device = if from == From::Boot {
        "nvme,serial=slipway-root"
    } else {
        let initramfs = host::for_qemu(&plan.image.initramfs);
        add(&["-initrd", &initramfs.display().to_string()]);
        "virtio-blk-pci"
    };
    let data = match from {
        From::ForSnapshot => format!("driver=null-co,read-zeroes=on,size={}", plan.disk_bytes),
        From::Boot | From::Snapshot => format!(
            "file={},format=raw,discard=unmap,detect-zeroes=unmap",
            escape(within(home, &home.data_disk()))
        ),
    };
    add(&["-drive", &format!("if=none,id=data,{data}")]);
    add(&["-device", "virtio-blk-pci,drive=data"]);
    let root = escape(&host::for_qemu(&plan.image.root));
    add(&[
        "-drive",
        &format!("if=none,id=root,file={root},format=raw,readonly=on"),
    ]);
    add(&["-device", &format!("{root_device},drive=root")]);
    add(&[
        "-netdev",
        "user,id=net",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    ]);
    add(&[
        "-object",
        "rng-builtin,id=rng",
        "-device",
        "virtio-rng-pci,rng=rng",
    ]);
    if host::TAKES_MEMORY_BACK {
        add(&["-device", "virtio-balloon-pci,free-page-reporting=on"]);
    }
    // All channels of a machine have the same.
    if let Some(keys) = channels.monitor.keys() {
        add(&["-object", &credentials(within(home, keys))]);
    }
    let mut ports = Vec::new();
    if let Address::Vsock { cid, .. } = channels.link {
        add(&["-device", &format!("vhost-vsock-pci,guest-cid={cid}")]);
    } else {
        ports.push(("link", LINK_PORT, &channels.link));
        ports.push(("ports", PORTS_PORT, &channels.ports));
    }
    ports.extend(
        channels
            .start
            .iter()
            .map(|start| ("start", START_PORT, start)),
    );
    if !ports.is_empty() {
        add(&["-device", &serial_bus(ports.len())]);
    }
    for (id, name, address) in ports {
        add(&["-chardev", &address.chardev(id)]);
        add(&[
            "-device",
            &format!("virtserialport,chardev={id},name={name}"),
        ]);
    }
    if from == From::Snapshot {
        add(&["-incoming", "fd:0"]);
    }
    add(&["-chardev", &channels.monitor.chardev("monitor")]);
    add(&["-mon", "chardev=monitor,mode=control"]);
    all
}
