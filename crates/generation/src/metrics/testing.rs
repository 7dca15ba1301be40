//! Numbers for tests that a script in another language makes too.

use super::samples::Samples;

/// Rows of random numbers from the generator of Knuth's MMIX, column `j` in `[shift, shift + 1 + j % 5)`:
///
/// ```python
/// def samples(n, d, seed, shift=0.0):
///     x, out = seed, []
///     for i in range(n * d):
///         x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
///         out.append(shift + (x >> 11) / 2**53 * (1 + i % d % 5))
///     return np.array(out).reshape(n, d)
/// ```
pub(crate) fn samples(count: usize, dimension: usize, seed: u64, shift: f64) -> Samples {
    let mut x = seed;
    let value = |i: usize| {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let scale = (1 + i % dimension % 5) as f64;
        shift + (x >> 11) as f64 / (1u64 << 53) as f64 * scale
    };
    Samples::new((0..count * dimension).map(value).collect(), dimension).unwrap()
}

/// Whether two numbers agree to a relative 1e-9.
#[track_caller]
pub(crate) fn close(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 1e-9 * (1.0 + theirs.abs()), "{ours} {theirs}");
}
