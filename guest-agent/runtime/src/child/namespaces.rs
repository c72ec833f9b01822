//! Namespaces: joining shared ones, names of the new host, kernel settings of the new ones.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::thread::{
    ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces, unshare_unsafe,
};

use crate::error::{Context, Error};
use crate::spec::{ContainerSpec, Namespace, Namespaces};

/// Descriptors of the namespaces that are shared by path, opened before the root changes.
pub(crate) struct SharedNamespaces(Vec<(OwnedFd, ThreadNameSpaceType)>);

impl SharedNamespaces {
    /// Opens all but the pid namespace, which the parent enters before the fork.
    pub(crate) fn open(namespaces: &Namespaces) -> Result<Self, Error> {
        let mut open = Vec::new();
        for (namespace, kind) in [
            (&namespaces.net, ThreadNameSpaceType::NETWORK),
            (
                &namespaces.ipc,
                ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION,
            ),
            (
                &namespaces.uts,
                ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME,
            ),
            (&namespaces.cgroup, ThreadNameSpaceType::CONTROL_GROUP),
        ] {
            if let Namespace::Path(path) = namespace {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                let fd =
                    rustix::fs::open(path, flags, Mode::empty()).at("open the namespace", path)?;
                open.push((fd, kind));
            }
        }
        Ok(Self(open))
    }

    /// Enters them.
    pub(super) fn join(&self) -> Result<(), Error> {
        for (fd, kind) in &self.0 {
            move_into_thread_name_spaces(fd.as_fd(), *kind).step("join a shared namespace")?;
        }
        Ok(())
    }
}

/// Makes the container's cgroup the root that it sees. `clone3` can't do this together with
/// `CLONE_INTO_CGROUP`: it would take the parent's cgroup as the root.
pub(super) fn unshare_cgroup(namespaces: &Namespaces) -> Result<(), Error> {
    if namespaces.cgroup == Namespace::New {
        unshare(UnshareFlags::NEWCGROUP).step("make a cgroup namespace")?;
    }
    Ok(())
}

#[expect(unsafe_code, reason = "unshare is unsafe for CLONE_FILES only")]
pub(crate) fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: the descriptor table is not unshared.
    unsafe { unshare_unsafe(flags) }
}

/// Enters every namespace of the container, whose first process `init` names. The pid namespace
/// was entered by the fork.
pub(super) fn join_container(init: BorrowedFd<'_>) -> Result<(), Error> {
    let kinds = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::CONTROL_GROUP;
    move_into_thread_name_spaces(init, kinds).step("join the container's namespaces")
}

/// Sets host and domain name, unless the UTS namespace is not the container's own.
pub(super) fn set_names(spec: &ContainerSpec) -> Result<(), Error> {
    if spec.namespaces.uts != Namespace::New {
        return Ok(());
    }
    if !spec.hostname.is_empty() {
        rustix::system::sethostname(spec.hostname.as_bytes()).step("set the host name")?;
    }
    if !spec.domainname.is_empty() {
        rustix::system::setdomainname(spec.domainname.as_bytes()).step("set the domain name")?;
    }
    Ok(())
}

/// Writes the kernel settings through the container's own, just mounted proc: no link or mount in
/// the image can redirect the write (CVE-2025-52881).
pub(super) fn set_sysctls(proc: BorrowedFd<'_>, spec: &ContainerSpec) -> Result<(), Error> {
    for (name, value) in &spec.sysctls {
        check_sysctl(name, spec)?;
        // In `net/ipv4.conf.eth0/1.x` style names the separators are swapped, as sysctl(8) has it.
        let path = if name.contains('/') {
            format!("sys/{name}")
        } else {
            format!("sys/{}", name.replace('.', "/"))
        };
        let file = rustix::fs::openat2(
            proc,
            Path::new(&path),
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS,
        )
        .at("open the kernel setting", &path)?;
        rustix::io::write(&file, value.as_bytes()).at("write the kernel setting", &path)?;
    }
    Ok(())
}

/// Only settings that belong to a namespace of the container's own.
fn check_sysctl(name: &str, spec: &ContainerSpec) -> Result<(), Error> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let name = name.replace('/', ".");
    let refused = if IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue.") {
        (spec.namespaces.ipc == Namespace::Host)
            .then_some("is not allowed in the hosts ipc namespace")
    } else if name.starts_with("net.") {
        (spec.namespaces.net == Namespace::Host).then_some("not allowed in host network namespace")
    } else if name == "kernel.hostname" && spec.namespaces.uts == Namespace::New {
        Some("is not allowed as it conflicts with the OCI \"hostname\" field")
    } else if name == "kernel.domainname" && spec.namespaces.uts == Namespace::New {
        None
    } else {
        Some("is not in a separate kernel namespace")
    };
    refused.map_or(Ok(()), |why| {
        Err(Error::Invalid(format!("sysctl \"{name}\" {why}")))
    })
}
