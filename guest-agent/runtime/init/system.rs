//! The system calls of `docker-init` and the little that a C library would do around them.

use core::arch::{asm, global_asm};

pub(crate) const SIGCHLD: i32 = 17;
pub(crate) const NO_SUCH_FILE: isize = -2;
const NOT_PERMITTED: isize = -13;
const SIGTTIN: usize = 21;
const SIGTTOU: usize = 22;

/// A pointer to a text that ends with a zero byte.
pub(crate) type Text = *const u8;

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {begin}",
    "ud2",
    begin = sym crate::begin,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x0, sp",
    "bl {begin}",
    "brk #1",
    begin = sym crate::begin,
);

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const WRITE: usize = 1;
    pub(super) const RT_SIGACTION: usize = 13;
    pub(super) const RT_SIGPROCMASK: usize = 14;
    pub(super) const IOCTL: usize = 16;
    pub(super) const CLONE: usize = 56;
    pub(super) const EXECVE: usize = 59;
    pub(super) const WAIT4: usize = 61;
    pub(super) const KILL: usize = 62;
    pub(super) const SETPGID: usize = 109;
    pub(super) const RT_SIGTIMEDWAIT: usize = 128;
    pub(super) const PRCTL: usize = 157;
    pub(super) const EXIT_GROUP: usize = 231;
    pub(super) const GETPID: usize = 39;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const WRITE: usize = 64;
    pub(super) const RT_SIGACTION: usize = 134;
    pub(super) const RT_SIGPROCMASK: usize = 135;
    pub(super) const IOCTL: usize = 29;
    pub(super) const CLONE: usize = 220;
    pub(super) const EXECVE: usize = 221;
    pub(super) const WAIT4: usize = 260;
    pub(super) const KILL: usize = 129;
    pub(super) const SETPGID: usize = 154;
    pub(super) const RT_SIGTIMEDWAIT: usize = 137;
    pub(super) const PRCTL: usize = 167;
    pub(super) const EXIT_GROUP: usize = 94;
    pub(super) const GETPID: usize = 172;
}

/// One system call.
fn call(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let result: isize;
    // SAFETY: the callers pass numbers, or pointers to what outlives the call.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a as isize => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e,
        );
    }
    result
}

/// The arguments and the environment, without their final nulls.
///
/// # Safety
/// `stack` must be what the kernel gave the new process.
pub(crate) unsafe fn vectors(stack: *const Text) -> (&'static [Text], *const Text) {
    // SAFETY: the first word is the number of the pointers behind it, then come a null and the
    // environment.
    unsafe {
        let count = *stack.cast::<usize>();
        let arguments = core::slice::from_raw_parts(stack.add(1), count);
        (arguments, stack.add(count + 2))
    }
}

/// All signals, kept back until they are waited for.
pub(crate) struct Signals {
    before: u64,
}

impl Signals {
    const ALL: u64 = u64::MAX;

    pub(crate) fn block() -> Self {
        let mut before = 0_u64;
        let all = Self::ALL;
        // How: SIG_SETMASK.
        call(
            number::RT_SIGPROCMASK,
            2,
            &raw const all as usize,
            &raw mut before as usize,
            8,
            0,
        );
        ignore(SIGTTIN, true);
        ignore(SIGTTOU, true);
        Self { before }
    }

    /// The program starts with what this one was given.
    pub(crate) fn restore(&self) {
        ignore(SIGTTIN, false);
        ignore(SIGTTOU, false);
        call(
            number::RT_SIGPROCMASK,
            2,
            &raw const self.before as usize,
            0,
            8,
            0,
        );
    }

    /// The next signal; 0 or less when there was none after all.
    pub(crate) fn wait(&self) -> i32 {
        let all = Self::ALL;
        call(number::RT_SIGTIMEDWAIT, &raw const all as usize, 0, 0, 8, 0) as i32
    }
}

/// Ignores a signal, or gives it its default action.
fn ignore(signal: usize, ignored: bool) {
    // Handler, flags, restorer, mask: the first two words are all that counts here.
    let action = [usize::from(ignored), 0, 0, 0];
    call(
        number::RT_SIGACTION,
        signal,
        &raw const action as usize,
        0,
        8,
        0,
    );
}

/// Orphans of the program come here even where this is not the first process.
pub(crate) fn become_reaper() {
    const SET_CHILD_SUBREAPER: usize = 36;
    call(number::PRCTL, SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/// Both sides of a fork.
pub(crate) enum Child {
    Itself,
    Failed,
    Started(i32),
}

pub(crate) fn fork() -> Child {
    match call(number::CLONE, SIGCHLD as usize, 0, 0, 0, 0) {
        0 => Child::Itself,
        pid if pid > 0 => Child::Started(pid as i32),
        _ => Child::Failed,
    }
}

/// Makes the program a job of its own that owns the terminal, if there is one.
pub(crate) fn lead_terminal() {
    const SET_FOREGROUND: usize = 0x5410;
    call(number::SETPGID, 0, 0, 0, 0, 0);
    let own = call(number::GETPID, 0, 0, 0, 0, 0) as i32;
    ignore(SIGTTOU, true);
    call(number::IOCTL, 0, SET_FOREGROUND, &raw const own as usize, 0, 0);
    ignore(SIGTTOU, false);
}

/// Becomes the program, found on `PATH` unless its name has a slash. Returns why not.
pub(crate) fn execute(command: &[Text], environment: *const Text) -> isize {
    let Some(&name) = command.first() else {
        return NO_SUCH_FILE;
    };
    // The arguments end with the kernel's null.
    let arguments = command.as_ptr();
    let name = bytes(name);
    if name.contains(&b'/') {
        return replace(name.as_ptr(), arguments, environment);
    }
    let mut answer = NO_SUCH_FILE;
    for directory in path(environment).split(|&byte| byte == b':') {
        let mut whole = [0_u8; 4096];
        let length = directory.len() + 1 + name.len();
        if !directory.starts_with(b"/") || length >= whole.len() {
            continue;
        }
        let parts = directory.iter().chain(b"/").chain(name);
        for (to, from) in whole.iter_mut().zip(parts) {
            *to = *from;
        }
        let error = replace(whole.as_ptr(), arguments, environment);
        if error == NOT_PERMITTED {
            answer = error;
        } else if error != NO_SUCH_FILE {
            return error;
        }
    }
    answer
}

fn replace(program: Text, arguments: *const Text, environment: *const Text) -> isize {
    call(
        number::EXECVE,
        program as usize,
        arguments as usize,
        environment as usize,
        0,
        0,
    )
}

fn path(environment: *const Text) -> &'static [u8] {
    let mut at = environment;
    loop {
        // SAFETY: the environment ends with a null, which ends this loop.
        let entry = unsafe { *at };
        if entry.is_null() {
            return b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        }
        if let Some(value) = bytes(entry).strip_prefix(b"PATH=") {
            return value;
        }
        // SAFETY: not at the null yet.
        at = unsafe { at.add(1) };
    }
}

/// The bytes of a text, without its end.
fn bytes(text: Text) -> &'static [u8] {
    let mut length = 0;
    // SAFETY: the kernel's texts end with a zero byte and live as long as the process. Volatile, or
    // this becomes a call of C's `strlen`.
    unsafe {
        while text.add(length).read_volatile() != 0 {
            length += 1;
        }
        core::slice::from_raw_parts(text, length)
    }
}

/// Says what went wrong, with the program's name.
pub(crate) fn complain(what: &[u8], command: &[Text]) {
    let print = |part: &[u8]| {
        call(number::WRITE, 2, part.as_ptr() as usize, part.len(), 0, 0);
    };
    print(what);
    if let Some(&name) = command.first() {
        print(bytes(name));
    }
    print(b"\n");
}

/// Collects all children that have ended; the program's exit code when it is among them.
pub(crate) fn reap(program: i32) -> Option<i32> {
    const WITHOUT_WAITING: usize = 1;
    let mut code = None;
    loop {
        let mut status = 0_i32;
        let anyone = usize::MAX;
        let ended = call(
            number::WAIT4,
            anyone,
            &raw mut status as usize,
            WITHOUT_WAITING,
            0,
            0,
        );
        if ended <= 0 {
            return code;
        }
        if ended as i32 == program {
            let signal = status & 0x7f;
            code = Some(if signal == 0 {
                (status >> 8) & 0xff
            } else {
                128 + signal
            });
        }
    }
}

pub(crate) fn send(program: i32, signal: i32) {
    call(number::KILL, program as usize, signal as usize, 0, 0, 0);
}

pub(crate) fn exit(code: i32) -> ! {
    loop {
        call(number::EXIT_GROUP, code as usize, 0, 0, 0, 0);
    }
}

/// What the compiler refers to: memory to fill and copy, and how to unwind, which never happens.
mod compiler {
    #[unsafe(no_mangle)]
    extern "C" fn rust_eh_personality() {}

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
        let mut at = 0;
        while at < length {
            // SAFETY: the caller owns `length` bytes. Volatile, or this becomes a call to itself.
            unsafe { to.add(at).write_volatile(value as u8) };
            at += 1;
        }
        to
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        let mut at = 0;
        while at < length {
            // SAFETY: as above.
            unsafe { to.add(at).write_volatile(*from.add(at)) };
            at += 1;
        }
        to
    }
}
