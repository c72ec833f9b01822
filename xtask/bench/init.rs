//! The empty init that `cargo xtask bench boot` measures against: says one line on the console and
//! turns the machine off. Compiled by rustc alone, without the standard library.
#![no_std]
#![no_main]

use core::arch::asm;

const LINE: &[u8] = b"empty init\n";

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    // SAFETY: write(1, LINE) and reboot(LINUX_REBOOT_CMD_POWER_OFF) touch no memory of ours but LINE.
    unsafe {
        asm!("syscall", in("rax") 1, in("rdi") 1, in("rsi") LINE.as_ptr(), in("rdx") LINE.len(),
             lateout("rax") _, out("rcx") _, out("r11") _);
        asm!("syscall", in("rax") 169, in("rdi") 0xfee1_dead_u64, in("rsi") 672_274_793_u64,
             in("rdx") 0x4321_fedc_u64, in("r10") 0, lateout("rax") _, out("rcx") _, out("r11") _);
    }
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
