//! A policy as a program of classic BPF (seccomp(2)): a binary search among ranges of numbers that
//! have one action for all arguments, and the calls between them that look at arguments.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET,
    BPF_W, sock_filter,
};

use super::numbers::{Arch, X32_BIT};
use super::profile::{Action, CallRules, Condition, Op, Policy};
use crate::error::Error;

/// The kernel takes no longer programs.
const LONGEST: usize = 4096;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Compiles the whole program.
pub(super) fn compile(policy: &Policy) -> Result<Vec<sock_filter>, Error> {
    let mut program = vec![load(ARCHITECTURE)];
    let mut done = Vec::new();
    for arch in policy.calls.keys() {
        let code = arch.audit_code();
        if done.contains(&code) {
            continue;
        }
        done.push(code);
        let body = architecture(policy, code);
        program.push(jump(BPF_JEQ, code, 1, 0));
        program.push(skip(body.len()));
        program.extend(body);
    }
    // Calls of an architecture that the policy does not cover could mean anything.
    program.push(give(Action::KillProcess));
    if program.len() > LONGEST {
        return Err(Error::Invalid(format!(
            "invalid seccomp profile: its program has {} instructions, the kernel takes {LONGEST}",
            program.len()
        )));
    }
    Ok(program)
}

/// All calls with one architecture code: x86-64 and x32 share theirs.
fn architecture(policy: &Policy, code: u32) -> Vec<sock_filter> {
    let body = |arch: Arch| {
        policy
            .calls
            .get(&arch)
            .filter(|_| arch.audit_code() == code)
            .map(|calls| calls_of(policy, arch, calls.iter()))
    };
    let mut program = vec![load(NUMBER)];
    let wide = [Arch::X86_64, Arch::X86, Arch::Aarch64]
        .into_iter()
        .find_map(body)
        .unwrap_or_else(|| vec![give(policy.default)]);
    if code == Arch::X32.audit_code() {
        // Without rules of its own, a call of x32 is one of an unknown architecture.
        let x32 = body(Arch::X32).unwrap_or_else(|| vec![give(Action::KillProcess)]);
        program.push(jump(BPF_JGE, X32_BIT, 0, 1));
        program.push(skip(wide.len()));
        program.extend(wide);
        program.extend(x32);
    } else {
        program.extend(wide);
    }
    program
}

/// The tests of one architecture's calls, the number being loaded.
fn calls_of<'a>(
    policy: &Policy,
    arch: Arch,
    calls: impl Iterator<Item = (&'a u32, &'a CallRules)>,
) -> Vec<sock_filter> {
    let mut parts = vec![Part::always(0, policy.default)];
    for (&number, rules) in calls {
        let otherwise = rules.otherwise.unwrap_or(policy.default);
        put(
            &mut parts,
            if rules.conditional.is_empty() {
                Part::always(number, otherwise)
            } else {
                Part {
                    from: number,
                    action: None,
                    body: conditional(arch, rules, otherwise),
                }
            },
        );
        put(&mut parts, Part::always(number + 1, policy.default));
    }
    choose(&parts)
}

/// What is to happen from one number on, up to the next part's.
struct Part {
    from: u32,
    /// The action, where it is the same for all arguments.
    action: Option<Action>,
    /// Ends in every case.
    body: Vec<sock_filter>,
}

impl Part {
    fn always(from: u32, action: Action) -> Self {
        Self {
            from,
            action: Some(action),
            body: vec![give(action)],
        }
    }
}

/// Adds a part behind the others, in the place of one that begins with the same number.
fn put(parts: &mut Vec<Part>, part: Part) {
    parts.pop_if(|last| last.from == part.from);
    let same = |last: &Part| part.action.is_some() && last.action == part.action;
    if !parts.last().is_some_and(same) {
        parts.push(part);
    }
}

/// Finds the part of the number that is loaded by halving, down to a few parts that are tested one
/// after the other. Each start pays for the program's length, since the kernel translates it when it
/// is installed, and for its steps, since the kernel then runs it for every number.
fn choose(parts: &[Part]) -> Vec<sock_filter> {
    const FEW: usize = 8;

    if let [part] = parts {
        return part.body.clone();
    }
    let actions: Option<Vec<Action>> = parts.iter().map(|part| part.action).collect();
    if let Some(actions) = actions.filter(|all| all.len() <= FEW) {
        return one_by_one(parts, &actions);
    }
    let (below, above) = parts.split_at(parts.len() / 2);
    let Some(first) = above.first() else {
        return Vec::new();
    };
    let lower = choose(below);
    let mut program = match u8::try_from(lower.len()) {
        Ok(length) => vec![jump(BPF_JGE, first.from, length, 0)],
        Err(_) => vec![jump(BPF_JGE, first.from, 0, 1), skip(lower.len())],
    };
    program.extend(lower);
    program.extend(choose(above));
    program
}

/// A test a part from the last to the second, and behind them the actions, each once.
fn one_by_one(parts: &[Part], actions: &[Action]) -> Vec<sock_filter> {
    let mut ends: Vec<Action> = Vec::new();
    let mut end_of = |action| {
        let known = ends.iter().position(|end| *end == action);
        known.unwrap_or_else(|| {
            ends.push(action);
            ends.len() - 1
        })
    };
    // None of the tests holds for a number of the first part.
    let mut jumps: Vec<(u32, usize)> = Vec::new();
    for (part, action) in parts.iter().zip(actions) {
        jumps.push((part.from, end_of(*action)));
    }
    let tests = jumps.len() - 1;
    let mut program: Vec<sock_filter> = jumps
        .iter()
        .skip(1)
        .rev()
        .enumerate()
        // So few tests and actions are always in reach.
        .map(|(at, (from, end))| jump(BPF_JGE, *from, (tests - 1 - at + end) as u8, 0))
        .collect();
    program.extend(ends.into_iter().map(give));
    program
}

/// The rules of a call that looks at arguments. Ends in every case.
fn conditional(arch: Arch, rules: &CallRules, otherwise: Action) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for (conditions, action) in &rules.conditional {
        let mut rule: Vec<Step> = Vec::new();
        for condition in conditions {
            let start = rule.len();
            test(arch, condition, &mut rule);
            let end = rule.len();
            for step in &mut rule[start..end] {
                step.resolve_success(end);
            }
        }
        let end = rule.len() + 1;
        program.extend(
            rule.iter()
                .enumerate()
                .map(|(at, step)| step.finish(at, end)),
        );
        program.push(give(*action));
    }
    program.push(give(otherwise));
    program
}

/// Where a jump inside a rule leads.
#[derive(Clone, Copy)]
enum To {
    /// The next instruction.
    Next,
    /// The condition holds.
    Success,
    /// A position in the rule.
    At(usize),
    /// The condition does not hold: past the rule.
    Fail,
}

/// An instruction whose jumps are not resolved yet.
enum Step {
    Plain(sock_filter),
    Jump(u32, u32, To, To),
}

impl Step {
    fn resolve_success(&mut self, position: usize) {
        if let Self::Jump(_, _, yes, no) = self {
            for to in [yes, no] {
                if matches!(to, To::Success) {
                    *to = To::At(position);
                }
            }
        }
    }

    fn finish(&self, at: usize, end: usize) -> sock_filter {
        match self {
            Self::Plain(instruction) => *instruction,
            Self::Jump(op, value, yes, no) => {
                // A rule has at most six conditions of six instructions: offsets fit.
                let offset = |to: &To| match to {
                    To::Next | To::Success => 0,
                    To::At(position) => (position - at - 1) as u8,
                    To::Fail => (end - at - 1) as u8,
                };
                jump(*op, *value, offset(yes), offset(no))
            }
        }
    }
}

/// Compares one argument, the high half first.
fn test(arch: Arch, condition: &Condition, rule: &mut Vec<Step>) {
    use To::{Fail, Next, Success};

    let low_at = ARGUMENTS + 8 * condition.argument;
    let (high, low) = ((condition.value >> 32) as u32, condition.value as u32);
    let (mask_high, mask_low) = match condition.op {
        Op::Masked { mask } => (Some((mask >> 32) as u32), Some(mask as u32)),
        _ => (None, None),
    };
    let load_half = |rule: &mut Vec<Step>, offset: u32, mask: Option<u32>| {
        rule.push(Step::Plain(load(offset)));
        if let Some(mask) = mask {
            rule.push(Step::Plain(statement(BPF_ALU | BPF_AND | BPF_K, mask)));
        }
    };
    // The 32-bit ABI has no high half, whatever the kernel shows there.
    if arch.is_wide() {
        load_half(rule, low_at + 4, mask_high);
        match condition.op {
            Op::Equal | Op::Masked { .. } => rule.push(Step::Jump(BPF_JEQ, high, Next, Fail)),
            Op::NotEqual => rule.push(Step::Jump(BPF_JEQ, high, Next, Success)),
            Op::Greater | Op::GreaterOrEqual => {
                rule.push(Step::Jump(BPF_JGT, high, Success, Next));
                rule.push(Step::Jump(BPF_JEQ, high, Next, Fail));
            }
            Op::Less | Op::LessOrEqual => {
                rule.push(Step::Jump(BPF_JGT, high, Fail, Next));
                rule.push(Step::Jump(BPF_JEQ, high, Next, Success));
            }
        }
    }
    load_half(rule, low_at, mask_low);
    rule.push(match condition.op {
        Op::Equal | Op::Masked { .. } => Step::Jump(BPF_JEQ, low, Success, Fail),
        Op::NotEqual => Step::Jump(BPF_JEQ, low, Fail, Success),
        Op::Greater => Step::Jump(BPF_JGT, low, Success, Fail),
        Op::GreaterOrEqual => Step::Jump(BPF_JGE, low, Success, Fail),
        Op::Less => Step::Jump(BPF_JGE, low, Fail, Success),
        Op::LessOrEqual => Step::Jump(BPF_JGT, low, Fail, Success),
    });
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

fn jump(op: u32, k: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter {
        code: (BPF_JMP | op | BPF_K) as u16,
        jt: yes,
        jf: no,
        k,
    }
}

/// Reached when the test before it failed: goes past the next `count` instructions.
fn skip(count: usize) -> sock_filter {
    statement(BPF_JMP | BPF_JA, count as u32)
}

fn give(action: Action) -> sock_filter {
    let value = match action {
        Action::Allow => 0x7fff_0000,
        Action::Log => 0x7ffc_0000,
        Action::Trace(data) => 0x7ff0_0000 | u32::from(data),
        Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
        Action::Trap => 0x0003_0000,
        Action::KillThread => 0,
        Action::KillProcess => 0x8000_0000,
    };
    statement(BPF_RET | BPF_K, value)
}
