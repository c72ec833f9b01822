//! The processor that a machine's image is made for, as a rule this computer's, and what QEMU and the
//! kernel call the parts of its board.

use super::accelerator::EMULATION;

/// A kind of processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    /// Intel's and AMD's.
    X86,
    /// Arm's, and Apple's.
    Arm,
}

impl Architecture {
    /// Bytes of a file that [`Self::of_kernel`] looks at.
    pub(super) const HEAD: u64 = 0x206;

    /// What a kernel is made for, by the head of its file: an ELF file or a bzImage, or Arm's Image.
    pub(super) fn of_kernel(head: &[u8]) -> Option<Self> {
        // The machine's number in an ELF file, with the lower byte first.
        const X86: &[u8] = &[62, 0];
        let at = |place: usize, word: &[u8]| {
            let found = head.get(place..place + word.len());
            found == Some(word)
        };
        if at(0, b"\x7fELF") && at(0x12, X86) || at(0x202, b"HdrS") {
            Some(Self::X86)
        } else if at(0x38, b"ARM\x64") {
            Some(Self::Arm)
        } else {
            None
        }
    }

    /// QEMU's program for it.
    pub(super) fn qemu(self) -> &'static str {
        match self {
            Self::X86 => "qemu-system-x86_64",
            Self::Arm => "qemu-system-aarch64",
        }
    }

    /// Debian's and Fedora's packages that have this program.
    pub(super) fn packages(self) -> (&'static str, &'static str) {
        match self {
            Self::X86 => ("qemu-system-x86", "qemu-system-x86-core"),
            Self::Arm => ("qemu-system-arm", "qemu-system-aarch64-core"),
        }
    }

    /// QEMU's board.
    pub(super) fn board(self) -> &'static str {
        match self {
            Self::X86 => "q35",
            Self::Arm => "virt",
        }
    }

    /// QEMU's accelerator with its options, and the processor that it takes.
    pub(super) fn processor(self, accelerator: &str) -> (&str, &'static str) {
        match (accelerator, self) {
            // With these flags kernel and C libraries copy byte by byte (REP MOVSB), of which emulation
            // makes a loop; without them eight at a time, which takes a fifth.
            (EMULATION, Self::X86) => ("tcg,thread=multi", "max,-erms,-fsrm"),
            // A newer one signs its pointers, which emulation does slowly.
            (EMULATION, Self::Arm) => ("tcg,thread=multi", "cortex-a72"),
            // WHPX knows no `host`, and its interrupt controller hangs Linux guests.
            ("whpx", Self::X86) => ("whpx,kernel-irqchip=off", "max"),
            (other, _) => (other, "host"),
        }
    }

    /// The serial port in the kernel's words.
    pub(super) fn console(self) -> &'static str {
        match self {
            Self::X86 => "console=ttyS0",
            Self::Arm => "console=ttyAMA0",
        }
    }

    /// The same from the kernel's first line on.
    pub(super) fn early_console(self) -> &'static str {
        match self {
            Self::X86 => "console=ttyS0 earlyprintk=ttyS0",
            Self::Arm => "console=ttyAMA0 earlycon",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_say_what_they_are_for() {
        let file = |parts: &[(usize, &[u8])]| {
            let mut head = vec![0; 0x206];
            for (place, bytes) in parts {
                head[*place..place + bytes.len()].copy_from_slice(bytes);
            }
            Architecture::of_kernel(&head)
        };
        let elf: (usize, &[u8]) = (0, b"\x7fELF");
        assert_eq!(file(&[elf, (0x12, &[62, 0])]), Some(Architecture::X86));
        assert_eq!(file(&[(0x202, b"HdrS")]), Some(Architecture::X86));
        let image: [(usize, &[u8]); 2] = [(0, b"MZ"), (0x38, b"ARM\x64")];
        assert_eq!(file(&image), Some(Architecture::Arm));
        // Another machine's, and none.
        assert_eq!(file(&[elf, (0x12, &[183, 0])]), None);
        assert_eq!(file(&[]), None);
        assert_eq!(Architecture::of_kernel(b"\x7fELF"), None);
    }
}
