//! What of a machine decides the bits of floating-point results.

use crate::system;

/// The processor and the system's mathematical functions in words: on two machines with the same description a key gives the
/// same bits. `docs/processors.md` says why neither the width of vectors nor the size of a cache is in it where products and sums
/// can be fused and the C library is glibc.
///
/// ```
/// let here = sconce_core::processor::describe();
/// assert!(here.starts_with(std::env::consts::ARCH), "{here}");
/// ```
pub fn describe() -> String {
    let how = if fuses() { "with" } else { "without" };
    format!("{} {how} FMA, {}", std::env::consts::ARCH, system::c_library())
}

/// Whether it has fused multiply-adds of vectors.
#[cfg(target_arch = "x86_64")]
fn fuses() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn fuses() -> bool {
    cfg!(target_arch = "aarch64")
}
