//! User, groups and capabilities of the container's process.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::user::Identity;
use crate::error::{Context, Error};
use rustix::io::Errno;

/// Names by number (linux/capability.h), without `CAP_`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Becomes the user with no more than the named capabilities. As Docker does, root gets them in
/// its effective and permitted sets, other users only in the bounding set; nothing is inheritable
/// or ambient.
pub(super) fn drop_to(names: &[String], identity: &Identity) -> Result<(), Error> {
    let wanted = parse(names)?;
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            Ok(true) if !wanted.contains(one) => remove_capability_from_bounding_set(one)
                .step("drop a capability from the bounding set")?,
            Ok(_) => {}
            // Past the last one that this kernel knows.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno).step("look at the bounding set"),
        }
    }
    match clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(errno) => return Err(errno).step("clear the ambient capabilities"),
    }
    set_thread_groups(&identity.groups).step("set the groups")?;
    let (uid, gid) = (identity.uid, identity.gid);
    set_thread_res_gid(gid, gid, gid).step("set the group")?;
    set_thread_res_uid(uid, uid, uid).step("set the user")?;
    // What the engine itself lacks can't be given away.
    let own = capabilities(None).step("read the capabilities")?.permitted;
    let held = if identity.is_root() {
        wanted & own
    } else {
        CapabilitySet::empty()
    };
    let sets = CapabilitySets {
        effective: held,
        permitted: held,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).step("set the capabilities")
}

fn parse(names: &[String]) -> Result<CapabilitySet, Error> {
    let mut set = CapabilitySet::empty();
    for name in names {
        let short = name.strip_prefix("CAP_").unwrap_or(name);
        let number = NAMES
            .iter()
            .position(|known| *known == short)
            .ok_or_else(|| Error::Invalid(format!("unknown capability: \"{name}\"")))?;
        set |= CapabilitySet::from_bits_retain(1 << number);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_have_the_kernel_numbers() {
        let set = parse(&["CAP_CHOWN".into(), "SYS_ADMIN".into()]).unwrap();
        assert_eq!(set, CapabilitySet::CHOWN | CapabilitySet::SYS_ADMIN);
        let last = parse(&["CAP_CHECKPOINT_RESTORE".into()]).unwrap();
        assert_eq!(last.bits(), 1 << 40);
        assert!(parse(&["CAP_NONSENSE".into()]).is_err());
    }
}
