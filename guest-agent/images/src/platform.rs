//! Which operating system and processor an image is for, and choosing among several.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// An OCI platform: `linux/amd64`, `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system in Go's words.
    pub os: String,
    /// Processor architecture in Go's words.
    pub architecture: String,
    /// Variant of the architecture, as in `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// What Go knows.
const OSES: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "macos",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "ppc64",
    "ppc64le",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

impl Platform {
    /// The platform this program runs on.
    pub fn host() -> Self {
        Self::normalised("linux", std::env::consts::ARCH, None)
    }

    /// Parses `os/arch[/variant]`, `arch`, or `os`, as `docker pull --platform` takes it.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| Err(Error::Invalid(format!("{text:?}: {why}: invalid argument")));
        if text.contains('*') {
            return bad("wildcards not yet supported");
        }
        let parts: Vec<&str> = text.split('/').collect();
        let clean = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let first = parts.first().copied().unwrap_or_default();
        if !clean(first) || first.contains('.') {
            let form = r"^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.%-]*)((?:\\+[A-Za-z0-9_.%-]+)*)\\))?$";
            return Err(Error::Invalid(format!(
                "{first:?} is an invalid OS component of {text:?}: OSAndVersion specifier component must match \"{form}\": invalid argument"
            )));
        }
        if let Some(part) = parts.iter().find(|part| !clean(part)) {
            return Err(Error::Invalid(format!(
                "{part:?} is an invalid component of {text:?}: platform specifier component must match \"^[A-Za-z0-9_.-]+$\": invalid argument"
            )));
        }
        let host = Self::host();
        match parts.as_slice() {
            [one] if OSES.contains(&one.to_ascii_lowercase().as_str()) => Ok(Self::normalised(
                one,
                &host.architecture,
                host.variant.as_deref(),
            )),
            [one] => {
                let platform = Self::normalised("linux", one, None);
                if ARCHITECTURES.contains(&platform.architecture.as_str()) {
                    Ok(platform)
                } else {
                    bad("unknown operating system or architecture")
                }
            }
            [os, arch] => Ok(Self::normalised(os, arch, None)),
            [os, arch, variant] => Ok(Self::normalised(os, arch, Some(variant))),
            _ => bad("cannot parse platform specifier"),
        }
    }

    /// Brings the names that people use (`x86_64`, `aarch64`) to Go's.
    pub fn normalised(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, implied) = match architecture {
            "x86_64" | "x86-64" => ("amd64", None),
            "aarch64" => ("arm64", None),
            "armhf" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v6")),
            "i386" | "i686" | "x86" => ("386", None),
            other => (other, None),
        };
        let variant = match (architecture, variant.or(implied)) {
            // containerd's normal form: v8 is what arm64 means, v7 what arm means.
            ("arm64", Some("v8" | "8") | None) => None,
            ("arm", None) => Some("v7"),
            (_, variant) => variant,
        };
        Self {
            os: os.to_ascii_lowercase(),
            architecture: architecture.to_ascii_lowercase(),
            variant: variant
                .filter(|v| !v.is_empty())
                .map(str::to_ascii_lowercase),
        }
    }

    /// How well an image for `other` runs where this platform was asked for; higher is better and
    /// `None` means not at all.
    pub fn rank(&self, other: &Self) -> Option<u8> {
        let other = Self::normalised(&other.os, &other.architecture, other.variant.as_deref());
        if self.os != other.os || self.architecture != other.architecture {
            return None;
        }
        if self.variant == other.variant {
            return Some(100);
        }
        match (
            self.architecture.as_str(),
            variant_level(self),
            variant_level(&other),
        ) {
            // A newer processor runs code for an older variant.
            ("arm" | "arm64" | "amd64", mine, theirs) if theirs <= mine => Some(theirs),
            _ => None,
        }
    }
}

/// The number in `v7`; no variant counts as the lowest that the architecture has.
fn variant_level(platform: &Platform) -> u8 {
    let variant = platform.variant.as_deref().unwrap_or_default();
    match (
        platform.architecture.as_str(),
        variant.trim_start_matches('v').split('.').next(),
    ) {
        ("arm64", None | Some("")) => 8,
        (_, None | Some("")) => 1,
        (_, Some(number)) => number.parse().unwrap_or(u8::MAX),
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn common_spellings_are_normalised() {
        for (text, normal) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("aarch64", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
        ] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), normal);
        }
        for text in ["", "a/b/c/d", "linux/", "linux/am d64"] {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_older_variant_will_do_but_a_newer_one_will_not() {
        let v7 = Platform::parse("linux/arm/v7").unwrap();
        let rank = |other: &str| v7.rank(&Platform::parse(other).unwrap());
        assert!(rank("linux/arm/v7") > rank("linux/arm/v6"));
        assert!(rank("linux/arm/v6").is_some());
        assert_eq!(rank("linux/arm/v8"), None);
        assert_eq!(rank("linux/arm64"), None);
    }
}
