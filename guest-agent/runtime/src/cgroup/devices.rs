//! The device filter: cgroup v2 has no files for it, it asks an eBPF program at every open and
//! mknod of a device (Documentation/admin-guide/cgroup-v2.rst, "Device controller").
#![expect(unsafe_code, reason = "the bpf system call")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use rustix::io::Errno;

/// Character devices that every container may read and write: null, zero, full, random, urandom,
/// tty, ptmx, tun (of use with CAP_NET_ADMIN only), and (without a minor) all pseudo-terminals.
const ALLOWED: [(i32, Option<i32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(2)),
    (10, Some(200)),
    (136, None),
];

/// `struct bpf_insn`: opcode, both registers, offset, immediate.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

// Opcodes of linux/bpf.h that the filter needs.
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_IF: u8 = 0x15;
const JUMP_IF_NOT: u8 = 0x55;
const EXIT: u8 = 0x95;

// Values of struct bpf_cgroup_dev_ctx.
const CHARACTER: i32 = 2;
const MKNOD: i32 = 1;

/// Registers: 1 is the context, the others are ours; 0 is the answer.
const TYPE: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: to | (from << 4),
        offset,
        immediate,
    }
}

/// The program: any `mknod` (a node alone opens nothing), the allowed character devices.
fn program() -> Vec<Instruction> {
    let answer = |allowed: i32| {
        [
            instruction(MOVE, 0, 0, 0, allowed),
            instruction(EXIT, 0, 0, 0, 0),
        ]
    };
    let mut program = vec![
        // The first word is the type in its low, the access in its high half.
        instruction(LOAD_WORD, TYPE, 1, 0, 0),
        instruction(MOVE_REGISTER, ACCESS, TYPE, 0, 0),
        instruction(AND, TYPE, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, 1, 4, 0),
        instruction(LOAD_WORD, MINOR, 1, 8, 0),
        instruction(JUMP_IF_NOT, ACCESS, 0, 2, MKNOD),
    ];
    program.extend(answer(1));
    program.push(instruction(JUMP_IF, TYPE, 0, 2, CHARACTER));
    program.extend(answer(0));
    for (major, minor) in ALLOWED {
        match minor {
            Some(minor) => {
                program.push(instruction(JUMP_IF_NOT, MAJOR, 0, 3, major));
                program.push(instruction(JUMP_IF_NOT, MINOR, 0, 2, minor));
            }
            None => program.push(instruction(JUMP_IF_NOT, MAJOR, 0, 2, major)),
        }
        program.extend(answer(1));
    }
    program.extend(answer(0));
    program
}

/// Attaches the filter to a cgroup.
pub(super) fn attach(cgroup: BorrowedFd<'_>) -> Result<(), Errno> {
    const BPF_PROG_ATTACH: i32 = 8;
    const BPF_CGROUP_DEVICE: u32 = 6;
    const BPF_F_ALLOW_MULTI: u32 = 2;

    /// The part of `union bpf_attr` for this command.
    #[repr(C)]
    struct Attach {
        target: u32,
        program: u32,
        kind: u32,
        flags: u32,
    }

    static PROGRAM: OnceLock<Result<OwnedFd, Errno>> = OnceLock::new();
    let program = PROGRAM.get_or_init(load).as_ref().map_err(|errno| *errno)?;
    let attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    bpf(BPF_PROG_ATTACH, &attributes).map(drop)
}

/// Hands the program to the kernel.
fn load() -> Result<OwnedFd, Errno> {
    const BPF_PROG_LOAD: i32 = 5;
    const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;

    /// The part of `union bpf_attr` for this command, as far as it is used.
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
    }

    let program = program();
    let attributes = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    let fd = bpf(BPF_PROG_LOAD, &attributes)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf<T>(command: i32, attributes: &T) -> Result<i32, Errno> {
    // SAFETY: `attributes` is a valid prefix of bpf_attr of the size given; what it points to
    // outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if result >= 0 {
        return Ok(result as i32);
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;

    /// Runs the program on one access.
    fn allowed(kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let context = [kind | (access << 16), major, minor];
        let program = program();
        let mut registers = [0_i32; 6];
        let mut at = 0;
        loop {
            let one = program[at];
            at += 1;
            let (to, from) = (
                usize::from(one.registers & 15),
                usize::from(one.registers >> 4),
            );
            let jump = match one.code {
                LOAD_WORD => {
                    assert_eq!(from, 1);
                    registers[to] = context[one.offset as usize / 4];
                    false
                }
                MOVE => {
                    registers[to] = one.immediate;
                    false
                }
                MOVE_REGISTER => {
                    registers[to] = registers[from];
                    false
                }
                AND => {
                    registers[to] &= one.immediate;
                    false
                }
                SHIFT_RIGHT => {
                    registers[to] >>= one.immediate;
                    false
                }
                JUMP_IF => registers[to] == one.immediate,
                JUMP_IF_NOT => registers[to] != one.immediate,
                EXIT => return registers[0] == 1,
                other => panic!("{other:#x}"),
            };
            if jump {
                at += one.offset as usize;
            }
        }
    }

    #[test]
    fn standard_devices_and_nodes_only() {
        const READ_WRITE: i32 = 6;
        assert!(allowed(CHARACTER, READ_WRITE, 1, 3));
        assert!(allowed(CHARACTER, READ_WRITE, 5, 2));
        assert!(allowed(CHARACTER, READ_WRITE, 136, 77));
        assert!(allowed(CHARACTER, READ_WRITE, 10, 200), "tun");
        assert!(allowed(1, MKNOD, 254, 0), "a node of a disk may be made");
        assert!(!allowed(1, READ_WRITE, 254, 0), "but not opened");
        assert!(
            !allowed(1, READ_WRITE, 1, 3),
            "a block device of that number"
        );
        assert!(!allowed(CHARACTER, READ_WRITE, 1, 1), "memory");
        assert!(!allowed(CHARACTER, READ_WRITE, 1, 11), "the kernel's log");
        assert!(!allowed(CHARACTER, READ_WRITE, 10, 229), "fuse");
    }
}
