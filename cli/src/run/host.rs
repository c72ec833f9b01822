//! `--dns`, `--add-host` and `--sysctl`.

use std::net::IpAddr;

/// Checks `--dns`: an address.
///
/// # Errors
/// Docker's words.
pub(crate) fn dns(word: &str) -> Result<String, String> {
    match word.trim().parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(format!("IP address is not correctly formatted: {word}")),
    }
}

/// Parses `--add-host`: `NAME:IP` or `NAME=IP`; the address may be in brackets, or
/// `host-gateway`.
///
/// # Errors
/// Docker's words.
pub(crate) fn extra_host(word: &str) -> Result<String, String> {
    let (name, ip) = word
        .split_once('=')
        .or_else(|| word.split_once(':'))
        .filter(|(name, _)| !name.is_empty() && !name.contains(':'))
        .ok_or_else(|| format!("bad format for add-host: {word:?}"))?;
    if ip == "host-gateway" {
        return Ok(format!("{name}:{ip}"));
    }
    let bare = ip
        .strip_prefix('[')
        .and_then(|ip| ip.strip_suffix(']'))
        .unwrap_or(ip);
    if bare.trim().parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {bare:?}"));
    }
    Ok(format!("{name}:{bare}"))
}

/// Checks `--sysctl`: a setting that belongs to a container's namespaces.
///
/// # Errors
/// Docker's words.
pub(crate) fn sysctl(word: &str) -> Result<(String, String), String> {
    const ALLOWED: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    word.split_once('=')
        .filter(|(key, _)| {
            ALLOWED.contains(key) || key.starts_with("net.") || key.starts_with("fs.mqueue.")
        })
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("sysctl '{word}' is not allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(dns(" 8.8.8.8 "), Ok("8.8.8.8".into()));
        assert_eq!(dns("::1"), Ok("::1".into()));
        assert_eq!(
            dns("google"),
            Err("IP address is not correctly formatted: google".into())
        );
    }

    #[test]
    fn hosts() {
        assert_eq!(extra_host("a:127.0.0.1"), Ok("a:127.0.0.1".into()));
        assert_eq!(extra_host("a=::1"), Ok("a:::1".into()));
        assert_eq!(extra_host("a:[::1]"), Ok("a:::1".into()));
        assert_eq!(extra_host("a:host-gateway"), Ok("a:host-gateway".into()));
        assert_eq!(
            extra_host("a"),
            Err("bad format for add-host: \"a\"".into())
        );
        assert_eq!(
            extra_host("a:b"),
            Err("invalid IP address in add-host: \"b\"".into())
        );
    }

    #[test]
    fn sysctls() {
        assert_eq!(
            sysctl("net.ipv4.ip_forward=1"),
            Ok(("net.ipv4.ip_forward".into(), "1".into()))
        );
        assert!(sysctl("kernel.sem=1 2 3 4").is_ok());
        assert_eq!(
            sysctl("kernel.panic=1"),
            Err("sysctl 'kernel.panic=1' is not allowed".into())
        );
        assert_eq!(sysctl("net.x"), Err("sysctl 'net.x' is not allowed".into()));
    }
}
