//! The machine's processor: that of the person's computer, as a rule. Images for the other one are built
//! on any Linux, since not every computer has Debian's tools.

use clap::ValueEnum;

/// An architecture that machines are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    /// Intel's and AMD's processors.
    Amd64,
    /// Arm's, and Apple's.
    Arm64,
}

impl Arch {
    /// This computer's.
    pub(crate) const NATIVE: Self = if cfg!(target_arch = "aarch64") {
        Self::Arm64
    } else {
        Self::Amd64
    };

    /// The one that this is not.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Amd64 => Self::Arm64,
            Self::Arm64 => Self::Amd64,
        }
    }

    /// Debian's name, and Docker's.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The kernel's name, and Rust's.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// The target triple of the programs that run in the machine.
    pub(crate) fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.kernel())
    }

    /// Where Debian keeps its libraries.
    pub(crate) fn libraries(self) -> String {
        format!("usr/lib/{}-linux-gnu", self.kernel())
    }

    /// QEMU's program for it, and Debian's package that has this.
    pub(crate) const fn qemu(self) -> (&'static str, &'static str) {
        match self {
            Self::Amd64 => ("qemu-system-x86_64", "qemu-system-x86"),
            Self::Arm64 => ("qemu-system-aarch64", "qemu-system-arm"),
        }
    }
}
