//! The flags that say what container to make, as `run` and `create` share them.

use clap::{ArgAction, Args, ValueEnum};

use super::{device, env, health, host, memory, mount, network, security, ulimit};
use crate::session::Keys;

/// When the image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Pull {
    /// Each time, even when it is here.
    Always,
    /// When it is not here.
    #[default]
    Missing,
    /// Not at all.
    Never,
}

/// A container to make.
#[derive(Debug, Default, Args)]
pub(crate) struct ContainerFlags {
    /// The image, then the command to run in it (the image's own when left out)
    #[arg(value_name = "IMAGE", required = true, num_args = 1.., trailing_var_arg = true)]
    pub(crate) words: Vec<String>,

    /// Assign a name to the container
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Keep standard input open, even if nothing is attached
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the container a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Remove the container and its anonymous volumes when it ends
    #[arg(long)]
    pub(crate) rm: bool,
    /// Attach to stdin, stdout or stderr only; repeatable
    #[arg(short, long, value_name = "STREAM", ignore_case = true)]
    pub(crate) attach: Vec<Stream>,
    /// Set an environment variable; without a value, this shell's is taken
    #[arg(short, long, value_name = "KEY[=VALUE]", value_parser = env::variable)]
    pub(crate) env: Vec<String>,
    /// Read environment variables from a file of KEY=VALUE lines
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<std::path::PathBuf>,
    /// Put a label on the container
    #[arg(short, long, value_name = "KEY[=VALUE]", value_parser = env::label)]
    pub(crate) label: Vec<String>,
    /// Read labels from a file of KEY=VALUE lines
    #[arg(long, value_name = "FILE")]
    pub(crate) label_file: Vec<std::path::PathBuf>,
    /// Add an annotation
    #[arg(long, value_name = "KEY[=VALUE]")]
    pub(crate) annotation: Vec<String>,
    /// Run as this user: NAME or UID, and a group after a colon
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
    /// Join additional groups
    #[arg(long, value_name = "GROUP")]
    pub(crate) group_add: Vec<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// Run this instead of the image's entry point; empty for none
    #[arg(long, value_name = "COMMAND")]
    pub(crate) entrypoint: Option<String>,
    /// Run a small init that forwards signals and reaps processes
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) init: Option<bool>,
    /// What to do when it ends: no, on-failure[:COUNT], always, unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = security::restart)]
    pub(crate) restart: Option<security::Restart>,
    /// Signal that stops the container
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) stop_signal: Option<String>,
    /// Seconds to wait before a stop becomes a kill
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) stop_timeout: Option<i64>,
    /// When to pull the image
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) pull: Pull,
    /// Say nothing while the image is pulled
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Platform of the image, such as linux/arm64
    #[arg(long)]
    pub(crate) platform: Option<String>,
    /// Write the container's id to a new file
    #[arg(long, value_name = "FILE")]
    pub(crate) cidfile: Option<std::path::PathBuf>,
    /// Driver of the container's log
    #[arg(long, value_name = "DRIVER")]
    pub(crate) log_driver: Option<String>,
    /// Option of the log driver
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) log_opt: Vec<String>,
    /// Low-level runtime
    #[arg(long, hide = true)]
    pub(crate) runtime: Option<String>,

    /// Network and ports.
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
    /// Volumes and file systems.
    #[command(flatten)]
    pub(crate) storage: StorageFlags,
    /// Processors, memory and other limits.
    #[command(flatten)]
    pub(crate) resources: ResourceFlags,
    /// Rights and namespaces.
    #[command(flatten)]
    pub(crate) security: SecurityFlags,
    /// Health checks.
    #[command(flatten)]
    pub(crate) health: HealthFlags,

    /// Print help
    #[arg(long, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stream {
    /// Standard input.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Network and ports.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkFlags {
    /// Publish a port: [[IP:]HOST:]CONTAINER[/PROTOCOL]
    #[arg(short, long, value_name = "PORTS")]
    pub(crate) publish: Vec<String>,
    /// Publish all exposed ports to free ports of the host
    #[arg(short = 'P', long)]
    pub(crate) publish_all: bool,
    /// Expose a port or a range of ports
    #[arg(long, value_name = "PORT")]
    pub(crate) expose: Vec<String>,
    /// Connect to a network: bridge, none, host, container:NAME or a network's name
    #[arg(long, visible_alias = "net", value_parser = network::parse)]
    pub(crate) network: Vec<network::Network>,
    /// Another name on the network
    #[arg(long, alias = "net-alias", value_name = "NAME")]
    pub(crate) network_alias: Vec<String>,
    /// Host name inside the container
    #[arg(short = 'h', long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// Domain name inside the container
    #[arg(long, value_name = "NAME")]
    pub(crate) domainname: Option<String>,
    /// Use this DNS server
    #[arg(long, value_name = "IP", value_parser = host::dns)]
    pub(crate) dns: Vec<String>,
    /// Search these domains
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) dns_search: Vec<String>,
    /// Set DNS options
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    pub(crate) dns_option: Vec<String>,
    /// Add a line to /etc/hosts: NAME:IP
    #[arg(long, value_name = "NAME:IP", value_parser = host::extra_host)]
    pub(crate) add_host: Vec<String>,
    /// Link to another container
    #[arg(long, value_name = "NAME[:ALIAS]")]
    pub(crate) link: Vec<String>,
    /// IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<String>,
    /// IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip6: Option<String>,
    /// How fast the container may send, such as 10mbit
    #[arg(long, value_name = "RATE")]
    pub(crate) net_egress: Option<String>,
    /// How fast the container may receive, such as 500kbit
    #[arg(long, value_name = "RATE")]
    pub(crate) net_ingress: Option<String>,
    /// Hardware address, such as 92:d0:c6:0a:29:33
    #[arg(long, value_name = "ADDRESS", value_parser = network::mac)]
    pub(crate) mac_address: Option<String>,
}

/// Volumes and file systems.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct StorageFlags {
    /// Mount a folder or a volume: [SOURCE:]TARGET[:OPTIONS]
    #[arg(short, long, value_name = "SOURCE:TARGET")]
    pub(crate) volume: Vec<String>,
    /// Mount by name: type=bind,source=…,target=…[,readonly]
    #[arg(long, value_name = "OPTIONS", value_parser = mount::parse)]
    pub(crate) mount: Vec<mount::Mount>,
    /// Mount a file system in memory: PATH[:OPTIONS]
    #[arg(long, value_name = "PATH")]
    pub(crate) tmpfs: Vec<String>,
    /// Mount the volumes of another container
    #[arg(long, value_name = "CONTAINER")]
    pub(crate) volumes_from: Vec<String>,
    /// Driver of new volumes
    #[arg(long, value_name = "DRIVER")]
    pub(crate) volume_driver: Option<String>,
    /// Mount the root file system read-only
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Size of /dev/shm, such as 64m
    #[arg(long, value_name = "SIZE", value_parser = memory::bytes)]
    pub(crate) shm_size: Option<i64>,
    /// Option of the storage driver
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) storage_opt: Vec<String>,
}

/// Processors, memory and other limits.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Resources")]
pub(crate) struct ResourceFlags {
    /// Memory limit, such as 512m or 2g
    #[arg(short, long, value_name = "SIZE", value_parser = memory::bytes, allow_hyphen_values = true)]
    pub(crate) memory: Option<i64>,
    /// Memory that is left to the container when it becomes scarce
    #[arg(long, value_name = "SIZE", value_parser = memory::bytes)]
    pub(crate) memory_reservation: Option<i64>,
    /// Limit of memory and swap together; -1 for unlimited swap
    #[arg(long, value_name = "SIZE", value_parser = memory::bytes_or_unlimited, allow_hyphen_values = true)]
    pub(crate) memory_swap: Option<i64>,
    /// How eagerly to swap, 0 to 100
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) memory_swappiness: Option<i64>,
    /// Number of processors, such as 1.5
    #[arg(long, value_name = "NUMBER", value_parser = memory::nano_cpus)]
    pub(crate) cpus: Option<i64>,
    /// Share of processor time, relative to other containers
    #[arg(short, long, value_name = "NUMBER")]
    pub(crate) cpu_shares: Option<i64>,
    /// Length of a scheduler period in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) cpu_period: Option<i64>,
    /// Processor time in a period in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub(crate) cpu_quota: Option<i64>,
    /// Processors to run on, such as 0-3 or 0,1
    #[arg(long, value_name = "LIST")]
    pub(crate) cpuset_cpus: Option<String>,
    /// Memory nodes to use, such as 0-3 or 0,1
    #[arg(long, value_name = "LIST")]
    pub(crate) cpuset_mems: Option<String>,
    /// Share of block device time, 10 to 1000
    #[arg(long, value_name = "NUMBER")]
    pub(crate) blkio_weight: Option<u16>,
    /// Share of the time of one device: PATH:WEIGHT
    #[arg(long, value_name = "PATH:WEIGHT", value_parser = device::weight)]
    pub(crate) blkio_weight_device: Vec<device::Weight>,
    /// Bytes a second that may be read from a device: PATH:SIZE
    #[arg(long, value_name = "PATH:SIZE", value_parser = device::bytes)]
    pub(crate) device_read_bps: Vec<device::Throttle>,
    /// Bytes a second that may be written to a device: PATH:SIZE
    #[arg(long, value_name = "PATH:SIZE", value_parser = device::bytes)]
    pub(crate) device_write_bps: Vec<device::Throttle>,
    /// Reads a second from a device: PATH:NUMBER
    #[arg(long, value_name = "PATH:NUMBER", value_parser = device::operations)]
    pub(crate) device_read_iops: Vec<device::Throttle>,
    /// Writes a second to a device: PATH:NUMBER
    #[arg(long, value_name = "PATH:NUMBER", value_parser = device::operations)]
    pub(crate) device_write_iops: Vec<device::Throttle>,
    /// Number of processes and threads; -1 for unlimited
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) pids_limit: Option<i64>,
    /// Limit of a kind that ulimit(1) knows: nofile=1024:2048
    #[arg(long, value_name = "TYPE=SOFT[:HARD]", value_parser = ulimit::parse)]
    pub(crate) ulimit: Vec<ulimit::Ulimit>,
    /// Don't kill processes when memory is out
    #[arg(long)]
    pub(crate) oom_kill_disable: bool,
    /// Preference of being killed when memory is out, -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) oom_score_adj: Option<i64>,
    /// Parent control group
    #[arg(long, value_name = "GROUP")]
    pub(crate) cgroup_parent: Option<String>,
}

/// Rights and namespaces.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Security")]
pub(crate) struct SecurityFlags {
    /// Give all rights: use with care
    #[arg(long)]
    pub(crate) privileged: bool,
    /// Add a Linux capability
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_add: Vec<String>,
    /// Drop a Linux capability
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_drop: Vec<String>,
    /// Security option: no-new-privileges, seccomp=FILE, …
    #[arg(long, value_name = "OPTION")]
    pub(crate) security_opt: Vec<String>,
    /// Kernel setting of the container's namespaces
    #[arg(long, value_name = "KEY=VALUE", value_parser = host::sysctl)]
    pub(crate) sysctl: Vec<(String, String)>,
    /// Give a device of the machine to the container
    #[arg(long, value_name = "PATH", value_parser = security::device)]
    pub(crate) device: Vec<security::Device>,
    /// Rule of the device cgroup
    #[arg(long, value_name = "RULE")]
    pub(crate) device_cgroup_rule: Vec<String>,
    /// Give graphics processors to the container: all, or how many
    #[arg(long, value_name = "GPUS", value_parser = device::gpus)]
    pub(crate) gpus: Option<device::Gpus>,
    /// PID namespace: host or container:NAME
    #[arg(long, value_name = "MODE")]
    pub(crate) pid: Option<String>,
    /// IPC namespace: none, private, shareable, host or container:NAME
    #[arg(long, value_name = "MODE")]
    pub(crate) ipc: Option<String>,
    /// UTS namespace: host
    #[arg(long, value_name = "MODE")]
    pub(crate) uts: Option<String>,
    /// User namespace: host
    #[arg(long, value_name = "MODE")]
    pub(crate) userns: Option<String>,
    /// Cgroup namespace: host or private
    #[arg(long, value_name = "MODE")]
    pub(crate) cgroupns: Option<String>,
}

/// Health checks.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Health")]
pub(crate) struct HealthFlags {
    /// Command that checks the health
    #[arg(long, value_name = "COMMAND")]
    pub(crate) health_cmd: Option<String>,
    /// Time between checks, such as 30s
    #[arg(long, value_name = "TIME", value_parser = health::nanoseconds)]
    pub(crate) health_interval: Option<i64>,
    /// Time that a check may take
    #[arg(long, value_name = "TIME", value_parser = health::nanoseconds)]
    pub(crate) health_timeout: Option<i64>,
    /// Time that the container needs to come up
    #[arg(long, value_name = "TIME", value_parser = health::nanoseconds)]
    pub(crate) health_start_period: Option<i64>,
    /// Time between checks while it comes up
    #[arg(long, value_name = "TIME", value_parser = health::nanoseconds)]
    pub(crate) health_start_interval: Option<i64>,
    /// Failures in a row that make it unhealthy
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) health_retries: Option<i64>,
    /// Switch off the image's check
    #[arg(long)]
    pub(crate) no_healthcheck: bool,
}

/// Which keys detach, and whether signals are handed on: `run`, `start`, `attach`.
#[derive(Debug, Args)]
pub(crate) struct AttachFlags {
    /// Keys that detach and leave the container running
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub(crate) detach_keys: Keys,
    /// Hand signals to the container's process
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1,
          require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) sig_proxy: bool,
}

impl ContainerFlags {
    /// The image's name.
    pub(crate) fn image(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The command; empty for the image's own.
    pub(crate) fn command(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Whether a stream is attached: those named, or output and error; input when interactive.
    pub(crate) fn attaches(&self, stream: Stream) -> bool {
        self.attach.contains(&stream)
            || match stream {
                Stream::Stdin => self.interactive,
                Stream::Stdout | Stream::Stderr => self.attach.is_empty(),
            }
    }
}
