//! The device filter: cgroup v2 has no files for it, it asks an eBPF program at every open and
//! mknod of a device (Documentation/admin-guide/cgroup-v2.rst, "Device controller").
#![expect(unsafe_code, reason = "the bpf system call")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use rustix::io::Errno;

use crate::spec::{DeviceKind, DeviceRule};

/// What every container may do: make any node (a node alone opens nothing), and use null, zero,
/// full, random, urandom, tty, ptmx, tun (of use with CAP_NET_ADMIN only) and all pseudo-terminals.
const STANDARD: [DeviceRule; 10] = [
    DeviceRule {
        kind: None,
        major: None,
        minor: None,
        read: false,
        write: false,
        mknod: true,
    },
    character(1, Some(3)),
    character(1, Some(5)),
    character(1, Some(7)),
    character(1, Some(8)),
    character(1, Some(9)),
    character(5, Some(0)),
    character(5, Some(2)),
    character(10, Some(200)),
    character(136, None),
];

const fn character(major: u32, minor: Option<u32>) -> DeviceRule {
    DeviceRule {
        kind: Some(DeviceKind::Character),
        major: Some(major),
        minor,
        read: true,
        write: true,
        mknod: true,
    }
}

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
const JUMP_IF_NOT: u8 = 0x55;
const EXIT: u8 = 0x95;

// Values of struct bpf_cgroup_dev_ctx.
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;

/// Registers: 0 is the answer, 1 the context, the others are ours.
const TYPE: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const EXCESS: u8 = 0;

fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: to | (from << 4),
        offset,
        immediate,
    }
}

/// The program: the first rule that covers all that is asked for allows it.
fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![
        // The first word is the type in its low, the access in its high half.
        instruction(LOAD_WORD, TYPE, 1, 0, 0),
        instruction(MOVE_REGISTER, ACCESS, TYPE, 0, 0),
        instruction(AND, TYPE, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, 1, 4, 0),
        instruction(LOAD_WORD, MINOR, 1, 8, 0),
    ];
    for rule in STANDARD.iter().chain(rules) {
        program.extend(one_rule(rule));
    }
    program.extend(answer(0));
    program
}

fn answer(allowed: i32) -> [Instruction; 2] {
    [
        instruction(MOVE, 0, 0, 0, allowed),
        instruction(EXIT, 0, 0, 0, 0),
    ]
}

fn one_rule(rule: &DeviceRule) -> Vec<Instruction> {
    let mut checks = Vec::new();
    let mut test = |register, value| {
        checks.push(instruction(JUMP_IF_NOT, register, 0, 0, value));
    };
    match rule.kind {
        Some(DeviceKind::Block) => test(TYPE, BLOCK),
        Some(DeviceKind::Character) => test(TYPE, CHARACTER),
        None => {}
    }
    // Numbers of devices have 32 bits at most; the comparison is of the same bits.
    if let Some(major) = rule.major {
        test(MAJOR, major.cast_signed());
    }
    if let Some(minor) = rule.minor {
        test(MINOR, minor.cast_signed());
    }
    let bit = |set: bool, bit: i32| if set { bit } else { 0 };
    let allowed = bit(rule.mknod, MKNOD) | bit(rule.read, READ) | bit(rule.write, WRITE);
    if allowed != MKNOD | READ | WRITE {
        checks.push(instruction(MOVE_REGISTER, EXCESS, ACCESS, 0, 0));
        checks.push(instruction(AND, EXCESS, 0, 0, !allowed));
        checks.push(instruction(JUMP_IF_NOT, EXCESS, 0, 0, 0));
    }
    checks.extend(answer(1));
    // A check that fails goes on behind the rule.
    let end = checks.len();
    for (at, check) in checks.iter_mut().enumerate() {
        if check.code == JUMP_IF_NOT {
            check.offset = i16::try_from(end - at - 1).unwrap_or(i16::MAX);
        }
    }
    checks
}

/// Attaches the filter to a cgroup.
pub(super) fn attach(cgroup: BorrowedFd<'_>, rules: &[DeviceRule]) -> Result<(), Errno> {
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

    // Nearly every container has no rules of its own.
    static PLAIN: OnceLock<Result<OwnedFd, Errno>> = OnceLock::new();
    let own;
    let program = if rules.is_empty() {
        let plain = PLAIN.get_or_init(|| load(&program(&[]))).as_ref();
        plain.map_err(|errno| *errno)?
    } else {
        own = load(&program(rules))?;
        &own
    };
    let attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    bpf(BPF_PROG_ATTACH, &attributes).map(drop)
}

/// Hands the program to the kernel.
fn load(program: &[Instruction]) -> Result<OwnedFd, Errno> {
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

    const READ_WRITE: i32 = READ | WRITE;

    /// Runs the program on one access.
    fn allowed(rules: &[DeviceRule], kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let context = [kind | (access << 16), major, minor];
        let program = program(rules);
        let mut registers = [0_i32; 6];
        let mut at = 0;
        loop {
            let one = program[at];
            at += 1;
            let (to, from) = (
                usize::from(one.registers & 15),
                usize::from(one.registers >> 4),
            );
            let mut jump = false;
            match one.code {
                LOAD_WORD => {
                    assert_eq!(from, 1);
                    registers[to] = context[one.offset as usize / 4];
                }
                MOVE => registers[to] = one.immediate,
                MOVE_REGISTER => registers[to] = registers[from],
                AND => registers[to] &= one.immediate,
                SHIFT_RIGHT => registers[to] >>= one.immediate,
                JUMP_IF_NOT => jump = registers[to] != one.immediate,
                EXIT => return registers[0] == 1,
                other => panic!("{other:#x}"),
            }
            if jump {
                at += one.offset as usize;
            }
        }
    }

    #[test]
    fn standard_devices_and_nodes_only() {
        let allowed = |kind, access, major, minor| allowed(&[], kind, access, major, minor);
        assert!(allowed(CHARACTER, READ_WRITE, 1, 3));
        assert!(allowed(CHARACTER, READ_WRITE, 5, 2));
        assert!(allowed(CHARACTER, READ_WRITE, 136, 77));
        assert!(allowed(CHARACTER, READ_WRITE, 10, 200), "tun");
        assert!(
            allowed(BLOCK, MKNOD, 254, 0),
            "a node of a disk may be made"
        );
        assert!(!allowed(BLOCK, READ_WRITE, 254, 0), "but not opened");
        assert!(
            !allowed(BLOCK, READ_WRITE, 1, 3),
            "a block device of that number"
        );
        assert!(!allowed(CHARACTER, READ_WRITE, 1, 1), "memory");
        assert!(!allowed(CHARACTER, READ_WRITE, 1, 11), "the kernel's log");
        assert!(!allowed(CHARACTER, READ_WRITE, 10, 229), "fuse");
    }

    #[test]
    fn rules_allow_what_they_say() {
        let rule = |kind, major, minor, write| DeviceRule {
            kind,
            major,
            minor,
            read: true,
            write,
            mknod: false,
        };
        let rules = [
            rule(Some(DeviceKind::Block), Some(8), Some(1), false),
            rule(Some(DeviceKind::Character), Some(10), None, true),
        ];
        assert!(allowed(&rules, BLOCK, READ, 8, 1));
        assert!(!allowed(&rules, BLOCK, WRITE, 8, 1), "read only");
        assert!(!allowed(&rules, BLOCK, READ_WRITE, 8, 1), "all or nothing");
        assert!(!allowed(&rules, BLOCK, READ, 8, 2), "another partition");
        assert!(allowed(&rules, CHARACTER, READ_WRITE, 10, 229), "fuse");
        let all = [rule(None, None, None, true)];
        assert!(allowed(&all, BLOCK, READ_WRITE, 254, 0));
        assert!(allowed(&all, CHARACTER, WRITE, 1, 11));
    }
}
