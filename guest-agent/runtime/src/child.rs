//! What runs in the child between the fork and the container's program. Each step is a module; the
//! order of the steps is here.

mod capabilities;
mod devices;
mod limits;
pub(crate) mod mounts;
pub(crate) mod namespaces;
mod paths;
mod program;
pub(crate) mod resolve;
pub(crate) mod root;
mod standard;
mod terminal;
pub(crate) mod user;

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::error::{Context, Error};
use crate::spec::{ContainerSpec, Process};
use crate::sys;

pub(crate) use namespaces::SharedNamespaces;
use user::Identity;

/// The near ends of the process's streams.
pub(crate) struct Streams {
    /// Where failures are reported.
    pub(crate) channel: OwnedFd,
    /// The standard streams; `None` when a terminal is to be made.
    pub(crate) pipes: Option<Pipes>,
}

/// The near ends of three pipes.
pub(crate) struct Pipes {
    /// Read end; `None` is `/dev/null`.
    pub(crate) stdin: Option<OwnedFd>,
    /// Write end.
    pub(crate) stdout: OwnedFd,
    /// Write end.
    pub(crate) stderr: OwnedFd,
}

/// The system call filter to install, if any.
type Filter<'a> = Option<&'a [libc::sock_filter]>;

/// Makes the container around this process, then becomes its program.
pub(crate) fn run_container(
    spec: &ContainerSpec,
    root: BorrowedFd<'_>,
    shared: &SharedNamespaces,
    filter: Filter<'_>,
    streams: &Streams,
) -> Result<Infallible, Error> {
    let process = &spec.process;
    leave_parent(process)?;
    shared.join()?;
    namespaces::unshare_cgroup(&spec.namespaces)?;
    namespaces::set_names(spec)?;
    let sources = mounts::open_sources(&spec.mounts)?;
    let shared_memory = mounts::open_shared_memory(&spec.shm)?;
    let host_devices = devices::host_nodes(spec.privileged)?;
    root::attach(root)?;
    let standard = standard::mount(spec, root, &host_devices, shared_memory)?;
    devices::make_asked_for(root, &spec.devices)?;
    mounts::attach(root, &spec.mounts, sources)?;
    namespaces::set_sysctls(standard.proc.as_fd(), spec)?;
    let terminal = match streams.pipes {
        None => Some(terminal::make(standard.pts.as_fd(), process, streams)?),
        Some(_) => None,
    };
    if let Some(slave) = &terminal {
        terminal::bind_console(root, slave.as_fd())?;
    }
    root::pivot(root)?;
    paths::protect(spec, standard.null.as_fd())?;
    let identity = user::resolve(root, &process.user, &process.additional_groups)?;
    let cwd = resolve::create_directories(root, &process.cwd)?;
    if spec.readonly_root {
        root::make_readonly(root)?;
    }
    connect_streams(streams, terminal.as_ref(), &identity)?;
    become_program(process, &identity, cwd.as_fd(), filter)
}

/// Joins a running container, then becomes the exec session's program.
pub(crate) fn run_exec(
    init: BorrowedFd<'_>,
    process: &Process,
    filter: Filter<'_>,
    streams: &Streams,
) -> Result<Infallible, Error> {
    leave_parent(process)?;
    namespaces::join_container(init)?;
    let root = resolve::open_root()?;
    let terminal = match streams.pipes {
        None => {
            let pts = terminal::open_pts(root.as_fd())?;
            Some(terminal::make(pts.as_fd(), process, streams)?)
        }
        Some(_) => None,
    };
    let identity = user::resolve(root.as_fd(), &process.user, &process.additional_groups)?;
    let cwd = resolve::open_directory(root.as_fd(), &process.cwd).map_err(|source| {
        Error::WorkingDirectory {
            cwd: process.cwd.clone(),
            source,
        }
    })?;
    connect_streams(streams, terminal.as_ref(), &identity)?;
    become_program(process, &identity, cwd.as_fd(), filter)
}

/// Stops sharing the parent's session, and hides this process, which still is the warden's program
/// with the warden's memory, from whatever already runs in the container (CVE-2019-5736).
fn leave_parent(process: &Process) -> Result<(), Error> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .step("hide the starting process")?;
    rustix::process::setsid().step("start a session")?;
    limits::set_oom_score(process.oom_score_adj)
}

/// Puts the streams at 0, 1 and 2, owned by the container's user so that it can open
/// `/dev/stdout` again.
fn connect_streams(
    streams: &Streams,
    terminal: Option<&OwnedFd>,
    identity: &Identity,
) -> Result<(), Error> {
    let null;
    let (stdin, stdout, stderr) = match (&streams.pipes, terminal) {
        (Some(pipes), _) => {
            let stdin = match &pipes.stdin {
                Some(stdin) => stdin,
                None => {
                    null = devices::open_null()?;
                    &null
                }
            };
            (stdin, &pipes.stdout, &pipes.stderr)
        }
        (None, Some(slave)) => {
            rustix::process::ioctl_tiocsctty(slave).step("take the controlling terminal")?;
            (slave, slave, slave)
        }
        (None, None) => return Err(Errno::BADF).step("find the standard streams"),
    };
    for (stream, number) in [(stdin, 0), (stdout, 1), (stderr, 2)] {
        let is_device = streams.pipes.as_ref().is_some_and(|p| p.stdin.is_none()) && number == 0;
        if !is_device {
            rustix::fs::fchown(stream, Some(identity.uid), None)
                .step("hand the standard streams to the user")?;
        }
        sys::set_standard(stream.as_fd(), number).step("connect the standard streams")?;
    }
    Ok(())
}

/// Gives up what the container may not have, and executes its program.
fn become_program(
    process: &Process,
    identity: &Identity,
    cwd: BorrowedFd<'_>,
    filter: Filter<'_>,
) -> Result<Infallible, Error> {
    program::enter_directory(cwd, &process.cwd)?;
    limits::set_rlimits(&process.rlimits)?;
    let early = filter.filter(|_| !process.no_new_privileges);
    if let Some(filter) = early {
        // Without no_new_privs a filter needs CAP_SYS_ADMIN, which is about to go.
        sys::install_filter(filter).step("install the system call filter")?;
    }
    capabilities::drop_to(&process.capabilities, identity)?;
    let env = program::environment(process, identity);
    let found = program::find(&process.args[0], &env)?;
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).step("set no_new_privs")?;
        if let Some(filter) = filter {
            sys::install_filter(filter).step("install the system call filter")?;
        }
    }
    program::execute(&found, &process.args, &env)
}
