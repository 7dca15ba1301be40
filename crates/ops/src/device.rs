//! Which code an operation runs: this crate's kernels, or what it is composed of on other devices.

use std::cell::Cell;

thread_local! {
    static COMPOSED: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f`, in which this thread composes all operations from candle's own, as on another device than the CPU: so that what runs
/// there can be tested, and compared, on a machine without one.
pub fn composed<R>(f: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            COMPOSED.set(self.0);
        }
    }
    let _before = Before(COMPOSED.replace(true));
    f()
}

/// Whether this thread composes all operations.
pub(crate) fn is_composed() -> bool {
    COMPOSED.get()
}

#[cfg(test)]
mod tests;
