//! Holds the other processors while the kernel changes its code: each runs a loop of ours at a
//! real-time priority and hardly anything of the kernel's.
#![expect(
    unsafe_code,
    reason = "there is no safe call for the scheduling policy"
)]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Does `work` while the other processors are held; those that can't be are left.
pub(super) fn alone<T>(work: impl FnOnce() -> T) -> T {
    let Ok(all) = sched_getaffinity(None) else {
        return work();
    };
    let own = sched_getcpu();
    if stay_on(own).is_err() {
        return work();
    }
    let others: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| *cpu != own && all.is_set(*cpu))
        .collect();
    let (ready, done) = (&AtomicUsize::new(0), &AtomicBool::new(false));
    let result = thread::scope(|scope| {
        for &cpu in &others {
            let hold = move || {
                let held = stay_on(cpu).is_ok() && keep_others_off().is_ok();
                ready.fetch_add(1, Ordering::Release);
                while held && !done.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
            };
            if thread::Builder::new().spawn_scoped(scope, hold).is_err() {
                ready.fetch_add(1, Ordering::Release);
            }
        }
        while ready.load(Ordering::Acquire) < others.len() {
            thread::yield_now();
        }
        let result = work();
        done.store(true, Ordering::Release);
        result
    });
    // We may run anywhere again.
    let _ = sched_setaffinity(None, &all);
    result
}

/// Binds this thread to a processor.
fn stay_on(cpu: usize) -> rustix::io::Result<()> {
    let mut one = CpuSet::new();
    one.set(cpu);
    sched_setaffinity(None, &one)
}

/// Nothing of usual priority runs beside this thread.
fn keep_others_off() -> io::Result<()> {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameters live until the call returns; 0 is this thread.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const lowest) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_work_is_done_once_and_the_thread_is_free_again() {
        let before = sched_getaffinity(None).unwrap();
        assert_eq!(alone(|| 7), 7);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
