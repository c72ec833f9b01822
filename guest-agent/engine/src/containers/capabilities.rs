//! Which capabilities a container gets: Docker's default set, `--cap-add`, `--cap-drop`,
//! `--privileged`.

use crate::Error;

const DEFAULT: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

const ALL: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// `names` with the `CAP_` prefix, upper case, known ones only; `ALL` stays.
pub(crate) fn normalise(names: &[String], field: &str) -> Result<Vec<String>, Error> {
    names
        .iter()
        .map(|name| {
            let upper = name.to_ascii_uppercase();
            if upper == "ALL" {
                return Ok(upper);
            }
            let full = if upper.starts_with("CAP_") {
                upper
            } else {
                format!("CAP_{upper}")
            };
            if ALL.contains(&full.as_str()) {
                Ok(full)
            } else {
                Err(Error::Invalid(format!(
                    "invalid {field}: unknown capability: \"{full}\""
                )))
            }
        })
        .collect()
}

/// All capabilities.
pub(crate) fn all() -> Vec<String> {
    ALL.iter().map(|&c| c.to_owned()).collect()
}

/// The set that results from normalised additions and drops.
pub(crate) fn effective(add: &[String], drop: &[String], privileged: bool) -> Vec<String> {
    let is_in = |list: &[String], name: &str| list.iter().any(|n| n == name);
    if privileged {
        return all();
    }
    let base: &[&str] = match (is_in(add, "ALL"), is_in(drop, "ALL")) {
        (true, _) => ALL,
        (false, true) => &[],
        (false, false) => DEFAULT,
    };
    ALL.iter()
        .filter(|name| {
            let added = is_in(add, name);
            let dropped = is_in(drop, name);
            // With `--cap-drop ALL` the additions are all that is left; otherwise a drop wins.
            if is_in(drop, "ALL") && !is_in(add, "ALL") {
                added
            } else {
                (base.contains(name) || added) && !dropped
            }
        })
        .map(|&name| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn adds_and_drops() {
        let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        assert_eq!(effective(&[], &[], false).len(), 14);
        assert_eq!(
            effective(&list(&["CAP_KILL"]), &list(&["ALL"]), false),
            ["CAP_KILL"]
        );
        assert_eq!(
            effective(&list(&["ALL"]), &list(&["CAP_KILL"]), false).len(),
            ALL.len() - 1
        );
        assert_eq!(effective(&[], &[], true).len(), ALL.len());
        let error = normalise(&list(&["foo"]), "CapAdd").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid CapAdd: unknown capability: \"CAP_FOO\""
        );
    }
}
