//! System call numbers by architecture.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Name and four numbers a line.
const TABLE: &str = include_str!("syscalls.txt");

/// This bit marks a call of the x32 ABI, which shares x86-64's architecture code.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// An architecture that a filter can cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    X86,
    /// x86-64 with 32-bit pointers.
    X32,
    /// 64-bit Arm.
    Aarch64,
}

/// The architecture that we run on.
pub(super) const NATIVE: Arch = if cfg!(target_arch = "aarch64") {
    Arch::Aarch64
} else {
    Arch::X86_64
};

impl Arch {
    /// Its name in profiles; `None` for architectures that our kernels can't run.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "SCMP_ARCH_X86_64" => Self::X86_64,
            "SCMP_ARCH_X86" => Self::X86,
            "SCMP_ARCH_X32" => Self::X32,
            "SCMP_ARCH_AARCH64" => Self::Aarch64,
            _ => return None,
        })
    }

    /// Go's name, as `includes.arches` has it.
    pub(super) fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
        }
    }

    /// `AUDIT_ARCH_*` of linux/audit.h.
    pub(super) fn audit_code(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    /// Whether arguments have 64 bits.
    pub(super) fn is_wide(self) -> bool {
        self != Self::X86
    }

    /// The number of a call; `None` where the architecture does not have it.
    pub(super) fn number(self, name: &str) -> Option<u32> {
        static NUMBERS: OnceLock<HashMap<&str, [Option<u32>; 4]>> = OnceLock::new();
        let row = NUMBERS.get_or_init(parse_table).get(name)?;
        match self {
            Self::X86_64 => row[0],
            Self::X86 => row[1],
            Self::X32 => row[2].map(|number| number | X32_BIT),
            Self::Aarch64 => row[3],
        }
    }
}

fn parse_table() -> HashMap<&'static str, [Option<u32>; 4]> {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?;
            let mut row = [None; 4];
            for (slot, word) in row.iter_mut().zip(words) {
                *slot = word.parse().ok();
            }
            Some((name, row))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        assert_eq!(Arch::X86_64.number("clone3"), Some(435));
        assert_eq!(Arch::X86.number("socket"), Some(359));
        assert_eq!(Arch::X32.number("rt_sigaction"), Some(X32_BIT | 512));
        assert_eq!(Arch::Aarch64.number("openat"), Some(56));
        assert_eq!(Arch::Aarch64.number("open"), None);
        #[cfg(target_arch = "x86_64")]
        for (name, number) in [
            ("read", libc::SYS_read),
            ("execve", libc::SYS_execve),
            ("fchmodat2", libc::SYS_fchmodat2),
            ("mount_setattr", libc::SYS_mount_setattr),
        ] {
            assert_eq!(NATIVE.number(name).map(i64::from), Some(number));
        }
    }
}
