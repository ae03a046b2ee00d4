//! Gives memory that was freed back to the system, which the C library does by itself only at the end of its heap.

/// Gives back what the C library keeps of the memory that was freed; does nothing where it is not glibc.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time, by any thread, and touches no memory that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
