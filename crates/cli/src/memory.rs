//! The program's allocator, and how long it keeps what was given back.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set_default, mi_option_t};
/// The allocator of the shipped program, mimalloc: training frees and asks for the same large
/// blocks again and again. A program that trains asks for it with
///
/// ```
/// #[global_allocator]
/// static MEMORY: sconce::Allocator = sconce::Allocator;
/// ```
pub use mimalloc::MiMalloc as Allocator;

/// `mi_option_purge_delay`, which the crate has no name for.
const PURGE_DELAY: mi_option_t = 15;
/// Longer than a step of any training.
const MILLISECONDS: c_long = 10_000;

/// Keeps memory that a step gave back until the next one asks for it: the allocator gives pages back to the system after
/// 10 ms otherwise, which clears them when they are asked for again. `MIMALLOC_PURGE_DELAY` wins.
pub(crate) fn keep() {
    // SAFETY: the option is an integer, and may be set at any time.
    unsafe { mi_option_set_default(PURGE_DELAY, MILLISECONDS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number is that of the option: the variable that mimalloc documents sets it.
    #[test]
    fn the_option_is_the_purge_delay() {
        const CHILD: &str = "SCONCE_TEST_PURGE_DELAY";
        // SAFETY: reading an option needs nothing.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        if std::env::var_os(CHILD).is_some() {
            keep();
            assert_eq!(delay(), 77);
            return;
        }
        keep();
        assert_eq!(delay(), MILLISECONDS);
        let name = "memory::tests::the_option_is_the_purge_delay";
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, "1")
            .env("MIMALLOC_PURGE_DELAY", "77")
            .status();
        assert!(status.unwrap().success());
    }
}
