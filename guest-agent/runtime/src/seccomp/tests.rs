//! Runs compiled filters in a small interpreter of classic BPF.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::numbers::Arch;
use super::profile::{Context, Profile};
use super::*;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL: u32 = 0x8000_0000;

fn filter(json: &str, capabilities: &[&str]) -> Vec<libc::sock_filter> {
    let capabilities: Vec<_> = capabilities.iter().map(ToString::to_string).collect();
    let context = Context {
        capabilities: &capabilities,
        kernel: (6, 12),
        native: Arch::X86_64,
    };
    let policy = Profile::parse(json).unwrap().resolve(&context).unwrap();
    compile::compile(&policy).unwrap()
}

/// The verdict on a call.
fn verdict(program: &[libc::sock_filter], arch: Arch, name: &str, args: &[u64]) -> u32 {
    let number = arch.number(name).unwrap();
    run(program, arch.audit_code(), number, args)
}

fn run(program: &[libc::sock_filter], code: u32, number: u32, args: &[u64]) -> u32 {
    let mut data = vec![number, code, 0, 0];
    for argument in 0..6 {
        let value = args.get(argument).copied().unwrap_or(0);
        data.extend([value as u32, (value >> 32) as u32]);
    }
    let (mut at, mut accumulator) = (0_usize, 0_u32);
    loop {
        let instruction = program[at];
        at += 1;
        let k = instruction.k;
        let condition = match u32::from(instruction.code) {
            0x20 => {
                accumulator = data[k as usize / 4];
                continue;
            }
            0x54 => {
                accumulator &= k;
                continue;
            }
            0x06 => return k,
            0x05 => {
                at += k as usize;
                continue;
            }
            0x15 => accumulator == k,
            0x25 => accumulator > k,
            0x35 => accumulator >= k,
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if condition {
            instruction.jt
        } else {
            instruction.jf
        });
    }
}

#[test]
fn the_default_profile_does_what_docker_says() {
    let filter = filter(DEFAULT, &["CAP_CHOWN", "CAP_SYS_CHROOT"]);
    let on = |arch, name: &str, args: &[u64]| verdict(&filter, arch, name, args);
    for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
        assert_eq!(on(arch, "read", &[]), ALLOW);
        assert_eq!(on(arch, "execve", &[]), ALLOW);
        assert_eq!(on(arch, "mount", &[]), EPERM);
        assert_eq!(on(arch, "unshare", &[]), EPERM);
        assert_eq!(on(arch, "keyctl", &[]), EPERM);
        assert_eq!(on(arch, "bpf", &[]), EPERM);
        assert_eq!(on(arch, "clone3", &[]), ENOSYS);
        assert_eq!(on(arch, "chroot", &[]), ALLOW);
        assert_eq!(on(arch, "io_uring_setup", &[]), EPERM);
        assert_eq!(on(arch, "clone", &[0x11]), ALLOW);
        assert_eq!(on(arch, "clone", &[0x1000_0011]), EPERM, "a user namespace");
        assert_eq!(on(arch, "personality", &[0xffff_ffff]), ALLOW);
        assert_eq!(on(arch, "personality", &[0x0004_0000]), EPERM);
        assert_eq!(on(arch, "socket", &[2, 1, 0]), ALLOW);
        assert_eq!(on(arch, "socket", &[16, 3, 0]), ALLOW);
        assert_eq!(on(arch, "socket", &[40, 1, 0]), EPERM, "AF_VSOCK");
        assert_eq!(on(arch, "socket", &[38, 5, 0]), EPERM, "AF_ALG");
        assert_eq!(on(arch, "ptrace", &[]), ALLOW);
    }
    assert_eq!(on(Arch::X86, "socketcall", &[]), ALLOW);
    assert_eq!(run(&filter, Arch::X86_64.audit_code(), 9999, &[]), EPERM);
    assert_eq!(run(&filter, 0xc000_00b7, 63, &[]), KILL, "arm64 calls");
}

#[test]
fn capabilities_open_their_calls() {
    let filter = filter(DEFAULT, &["CAP_SYS_ADMIN"]);
    for name in ["mount", "clone3", "unshare", "setns", "bpf"] {
        assert_eq!(verdict(&filter, Arch::X86_64, name, &[]), ALLOW, "{name}");
    }
    assert_eq!(
        verdict(&filter, Arch::X86_64, "clone", &[0x1000_0011]),
        ALLOW
    );
    assert_eq!(verdict(&filter, Arch::X86_64, "chroot", &[]), EPERM);
}

#[test]
fn every_operator_compares_all_64_bits() {
    type Holds = fn(u64, u64) -> bool;
    let operators: [(&str, Holds); 6] = [
        ("SCMP_CMP_EQ", |a, b| a == b),
        ("SCMP_CMP_NE", |a, b| a != b),
        ("SCMP_CMP_LT", |a, b| a < b),
        ("SCMP_CMP_LE", |a, b| a <= b),
        ("SCMP_CMP_GT", |a, b| a > b),
        ("SCMP_CMP_GE", |a, b| a >= b),
    ];
    let samples = [
        0,
        1,
        5,
        6,
        0xffff_ffff,
        0x1_0000_0000,
        0x5_0000_0005,
        0x5_0000_0006,
        0x6_0000_0000,
        u64::MAX,
    ];
    for (name, holds) in operators {
        for value in samples {
            let json = format!(
                r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["read"],
                "action":"SCMP_ACT_ERRNO","errnoRet":38,
                "args":[{{"index":1,"value":{value},"op":"{name}"}}]}}]}}"#
            );
            let filter = filter(&json, &[]);
            for argument in samples {
                let expected = if holds(argument, value) {
                    ENOSYS
                } else {
                    ALLOW
                };
                let found = verdict(&filter, Arch::X86_64, "read", &[7, argument]);
                assert_eq!(found, expected, "{argument:#x} {name} {value:#x}");
            }
        }
    }
}

#[test]
fn conditions_join_or_alternate_as_in_runc() {
    let json = |second: u32| {
        format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["read"],
            "action":"SCMP_ACT_ALLOW","args":[
            {{"index":0,"value":1,"op":"SCMP_CMP_EQ"}},
            {{"index":{second},"value":2,"op":"SCMP_CMP_EQ"}}]}}]}}"#
        )
    };
    let both = filter(&json(1), &[]);
    let on =
        |filter: &[libc::sock_filter], args: &[u64]| verdict(filter, Arch::X86_64, "read", args);
    assert_eq!(on(&both, &[1, 2]), ALLOW);
    assert_eq!(on(&both, &[1, 3]), EPERM);
    let either = filter(&json(0), &[]);
    assert_eq!(on(&either, &[1]), ALLOW);
    assert_eq!(on(&either, &[2]), ALLOW);
    assert_eq!(on(&either, &[3]), EPERM);
}

#[test]
fn bad_profiles_are_refused_with_a_reason() {
    let message = |json: &str| {
        program(&Seccomp::Profile(json.into()), &[])
            .unwrap_err()
            .to_string()
    };
    assert!(message("{").starts_with("Decoding seccomp profile failed"));
    assert!(message(r#"{"defaultAction":"SCMP_ACT_DANCE"}"#).contains("SCMP_ACT_DANCE"));
    assert!(
        message(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"read",
            "action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#
        )
        .contains("no argument 6")
    );
    assert!(program(&Seccomp::Unconfined, &[]).unwrap().is_none());
}

#[test]
fn the_default_program_is_short() {
    let filter = filter(DEFAULT, &[]);
    assert!(filter.len() < 2000, "{} instructions", filter.len());
}

#[test]
fn every_number_has_its_own_action() {
    let context = Context {
        capabilities: &["CAP_SYS_CHROOT".to_owned()],
        kernel: (6, 12),
        native: Arch::X86_64,
    };
    let policy = Profile::parse(DEFAULT).unwrap().resolve(&context).unwrap();
    let program = compile::compile(&policy).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for (arch, offset) in [
        (Arch::X86_64, 0),
        (Arch::X32, super::numbers::X32_BIT),
        (Arch::X86, 0),
    ] {
        for number in (0..600).map(|number| number + offset) {
            let rules = policy.calls[&arch].get(&number);
            if rules.is_some_and(|rules| !rules.conditional.is_empty()) {
                continue;
            }
            let action = rules.and_then(|rules| rules.otherwise);
            let verdict = run(&program, arch.audit_code(), number, &[]);
            let expected = match action.unwrap_or(policy.default) {
                super::profile::Action::Allow => ALLOW,
                super::profile::Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
                other => panic!("{other:?}"),
            };
            assert_eq!(verdict, expected, "{arch:?} {number:#x}");
            seen.insert(verdict);
        }
    }
    assert_eq!(seen, [EPERM, ENOSYS, ALLOW].into());
}
