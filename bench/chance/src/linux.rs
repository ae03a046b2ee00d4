//! The two functions of the C library that this crate stands in for.

use std::ffi::{c_int, c_long, c_uint, c_void};

/// `getrandom(2)`: of the thread's seed, else of the system.
///
/// # Safety
///
/// `buffer` must have room for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    let mut filled = 0;
    while filled < length {
        let Some(word) = super::next() else { break };
        let word = word.to_ne_bytes();
        let part = word.len().min(length - filled);
        // SAFETY: `filled + part <= length`, for which the caller has given room, and a word is nowhere near it.
        unsafe { std::ptr::copy_nonoverlapping(word.as_ptr(), buffer.cast::<u8>().add(filled), part) };
        filled += part;
    }
    if filled == length && length > 0 {
        return length.cast_signed();
    }
    // SAFETY: the caller's promise is the one that the system call asks for.
    let got = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
    got as isize
}

/// `clock_gettime(2)`: the thread's wall clock, else the system's clock.
///
/// # Safety
///
/// `time` must point to a `timespec`.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    if clock == libc::CLOCK_REALTIME
        && let Some(now) = super::clock()
    {
        let now = libc::timespec {
            tv_sec: now.as_secs().cast_signed(),
            tv_nsec: c_long::from(now.subsec_nanos().cast_signed()),
        };
        // SAFETY: the caller has promised that it may be written to.
        unsafe { time.write(now) };
        return 0;
    }
    // SAFETY: the caller's promise is the one that the system call asks for.
    let done = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    done as c_int
}
