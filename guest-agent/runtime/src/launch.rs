//! The parent's side: forks the child into its namespaces and cgroup and hands back its pidfd and
//! the far ends of its standard streams.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::child::{self, Streams};
use crate::error::{Context, Error};
use crate::report;
use crate::seccomp;
use crate::spec::{ContainerSpec, Namespace, Process};
use crate::sys::{self, CloneArgs, Forked};

/// A child that sets itself up; read [`crate::receive`] from its channel until it runs.
#[derive(Debug)]
pub struct Starting {
    /// In the caller's pid namespace.
    pub pid: i32,
    /// Readable once the process has exited.
    pub pidfd: OwnedFd,
    /// Where the child reports; non-blocking.
    pub channel: OwnedFd,
    /// Far ends of the standard streams.
    pub stdio: Stdio,
}

/// The far ends of a process's standard streams.
#[derive(Debug)]
pub enum Stdio {
    /// Three pipes; no input unless the process was asked to keep it open.
    Pipes {
        /// Write end.
        stdin: Option<OwnedFd>,
        /// Read end.
        stdout: OwnedFd,
        /// Read end.
        stderr: OwnedFd,
    },
    /// A terminal, whose master side comes as [`crate::Report::Terminal`].
    Terminal,
}

/// Starts a container's first process in `root`, a mount that is attached nowhere. `cgroup` is the
/// directory it is born in.
pub fn start(
    spec: &ContainerSpec,
    root: BorrowedFd<'_>,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Starting, Error> {
    check_process(&spec.process)?;
    let filter = seccomp::program(&spec.process.seccomp, &spec.process.capabilities)?;
    let shared = child::SharedNamespaces::open(&spec.namespaces)?;
    let mut flags = libc::CLONE_NEWNS as u64;
    for (namespace, flag) in [
        (&spec.namespaces.net, libc::CLONE_NEWNET),
        (&spec.namespaces.pid, libc::CLONE_NEWPID),
        (&spec.namespaces.ipc, libc::CLONE_NEWIPC),
        (&spec.namespaces.uts, libc::CLONE_NEWUTS),
    ] {
        // The cgroup namespace is unshared by the child, once it is in its cgroup.
        if *namespace == Namespace::New {
            flags |= flag as u64;
        }
    }
    let pid_namespace = match &spec.namespaces.pid {
        Namespace::Path(path) => Some(open_read(path)?),
        Namespace::New | Namespace::Host => None,
    };
    fork(
        &spec.process,
        &CloneArgs { flags, cgroup },
        pid_namespace.as_ref().map(AsFd::as_fd),
        |streams| child::run_container(spec, root, &shared, filter.as_deref(), streams),
    )
}

/// Where an exec session runs.
#[derive(Debug, Clone, Copy)]
pub struct ExecIn<'a> {
    /// Pidfd of the container's first process.
    pub init: BorrowedFd<'a>,
    /// The container's cgroup directory.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Starts another process inside a running container.
pub fn exec(target: ExecIn<'_>, process: &Process) -> Result<Starting, Error> {
    check_process(process)?;
    let filter = seccomp::program(&process.seccomp, &process.capabilities)?;
    let args = CloneArgs {
        flags: 0,
        cgroup: target.cgroup,
    };
    fork(process, &args, Some(target.init), |streams| {
        child::run_exec(target.init, process, filter.as_deref(), streams)
    })
}

/// What would otherwise fail in the child with a worse message.
fn check_process(process: &Process) -> Result<(), Error> {
    if process.args.first().is_none_or(String::is_empty) {
        return Err(Error::NotOnPath(String::new()));
    }
    let strings = process.args.iter().chain(&process.env);
    if let Some(bad) = strings.into_iter().find(|string| string.contains('\0')) {
        return Err(Error::Invalid(format!(
            "an argument or variable contains a NUL byte: {bad:?}"
        )));
    }
    if process.env.iter().any(|variable| variable.starts_with('=')) {
        return Err(Error::NamelessVariable);
    }
    if !process.cwd.starts_with('/') {
        return Err(Error::Invalid("Cwd must be an absolute path".into()));
    }
    Ok(())
}

fn open_read(path: &Path) -> Result<OwnedFd, Error> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at("open", path)
}

/// Makes the streams, forks (with the pid namespace for children switched when there is one), and
/// runs `body` in the child.
fn fork(
    process: &Process,
    args: &CloneArgs<'_>,
    pid_namespace: Option<BorrowedFd<'_>>,
    body: impl FnOnce(&Streams) -> Result<std::convert::Infallible, Error>,
) -> Result<Starting, Error> {
    let (channel, child_channel) = report::channel().step("make the report channel")?;
    let (stdio, streams) =
        make_streams(process, child_channel).step("make the standard streams")?;
    let forked = match pid_namespace {
        None => sys::fork(args),
        Some(namespace) => fork_in_pid_namespace(args, namespace),
    };
    match forked.step("fork into the container's namespaces")? {
        Forked::Child => {
            // The parent's ends must be closed for the streams to end with the container.
            drop((channel, stdio));
            let Err(error) = body(&streams);
            report::send_failure(streams.channel.as_fd(), &error);
            sys::exit_now(255)
        }
        Forked::Parent { pid, pidfd } => Ok(Starting {
            pid,
            pidfd,
            channel,
            stdio,
        }),
    }
}

/// `setns` to a pid namespace concerns only later children, so the parent switches, forks, and
/// switches back.
fn fork_in_pid_namespace(args: &CloneArgs<'_>, namespace: BorrowedFd<'_>) -> Result<Forked, Errno> {
    let own = rustix::process::pidfd_open(
        rustix::process::getpid(),
        rustix::process::PidfdFlags::empty(),
    )?;
    // A descriptor of `/proc/PID/ns/pid` accepts no flags but its own type, a pidfd likewise.
    enter_pid_namespace(namespace)?;
    let forked = sys::fork(args);
    if !matches!(forked, Ok(Forked::Child)) {
        enter_pid_namespace(own.as_fd())?;
    }
    forked
}

fn enter_pid_namespace(namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    move_into_thread_name_spaces(namespace, ThreadNameSpaceType::PROCESS_ID)
}

/// Pipes for the three streams, or nothing for a terminal.
fn make_streams(process: &Process, channel: OwnedFd) -> Result<(Stdio, Streams), Errno> {
    if process.tty {
        let streams = Streams {
            channel,
            pipes: None,
        };
        return Ok((Stdio::Terminal, streams));
    }
    let (stdin_read, stdin_write) = if process.open_stdin {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        (Some(read), Some(write))
    } else {
        (None, None)
    };
    let (stdout_read, stdout_write) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr_read, stderr_write) = pipe_with(PipeFlags::CLOEXEC)?;
    let stdio = Stdio::Pipes {
        stdin: stdin_write,
        stdout: stdout_read,
        stderr: stderr_read,
    };
    let streams = Streams {
        channel,
        pipes: Some(child::Pipes {
            stdin: stdin_read,
            stdout: stdout_write,
            stderr: stderr_write,
        }),
    };
    Ok((stdio, streams))
}
