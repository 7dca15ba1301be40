//! The threads of candle's own operations, beside rayon's.

/// Lets them sleep when they have nothing to do, unless the environment says otherwise.
///
/// candle adds gradients on threads of its own, which then spin for a millisecond and take the processors from what comes
/// next (10 % of a step of DCGAN on two cores). They read the setting when the first of them starts.
///
/// # Safety
/// Sets a variable of the environment: no other thread may run yet. Call it first in `main`.
#[expect(
    clippy::disallowed_methods,
    reason = "no other thread runs yet; candle has no other way to be told"
)]
pub unsafe fn let_candle_sleep() {
    const LIMIT: &str = "CANDLE_BARRIER_POOL_SPIN_LIMIT";
    if std::env::var_os(LIMIT).is_none() {
        // SAFETY: the caller's.
        unsafe { std::env::set_var(LIMIT, "1") };
    }
}
