//! Functions of f32 without branches, so that the compiler makes vectors of loops over them: plain multiplications, additions and
//! divisions alone, with the same bits on every processor.

/// The exponential of `x` ≤ 88, within two units in the last place; 0 where it is below every normal number.
///
/// `2ᵏ · exp(r)` with `|r| ≤ ½ ln 2`, the second by Taylor's series.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // ln 2 in two parts, the first with zeros at its end, so that its products with small whole numbers are exact
    const LN_2_HIGH: f32 = f32::from_bits(0x3f31_7200);
    const LN_2_LOW: f32 = 1.428_606_8e-6;
    // what is added to it is rounded to a whole number, which stands in the last bits of the sum
    const ROUND: f32 = 12_582_912.0;
    const LOWEST: f32 = -87.3;
    const SERIES: [f32; 7] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    // written so that NaN passes through
    let within = if x < LOWEST { LOWEST } else { x };
    let rounded = within * std::f32::consts::LOG2_E + ROUND;
    let k = rounded - ROUND;
    let r = (within - k * LN_2_HIGH) - k * LN_2_LOW;
    let mut power = 1.0 / 5040.0;
    for coefficient in SERIES {
        power = power * r + coefficient;
    }
    let scaled = f32::from_bits(power.to_bits().wrapping_add(rounded.to_bits() << 23));
    let result = if x < LOWEST { 0.0 } else { scaled };
    if x.is_nan() { x } else { result }
}

/// The error function `2/√π ∫₀ˣ exp(−t²) dt`, within four units in the last place.
///
/// `x P(x²) / Q(x²)` up to 3.92, beyond which it is 1 in f32. P and Q are the least squares of relative errors, reweighted
/// towards the largest (1.9 · 10⁻⁸ before coefficients are rounded).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    const END: f32 = 3.92;
    const P: [f32; 6] = [
        2.050_036_5e-6,
        2.848_718_4e-4,
        3.765_411_2e-3,
        5.274_807_7e-2,
        1.904_025_2e-1,
        std::f32::consts::FRAC_2_SQRT_PI,
    ];
    const Q: [f32; 6] =
        [3.809_062e-5, 1.162_473_7e-3, 1.496_881_3e-2, 1.141_073_6e-1, 5.020_726e-1, 1.0];
    // written so that NaN passes through
    let x = if x > END { END } else { x };
    let x = if x < -END { -END } else { x };
    let t = x * x;
    let polynomial = |coefficients: [f32; 6]| {
        let [first, rest @ ..] = coefficients;
        let mut sum = first;
        for coefficient in rest {
            sum = sum * t + coefficient;
        }
        sum
    };
    let y = x * polynomial(P) / polynomial(Q);
    let y = if y > 1.0 { 1.0 } else { y };
    if y < -1.0 { -1.0 } else { y }
}

/// The part of a standard normal distribution below `x`.
#[inline(always)]
fn below(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// `x Φ(x)`: see [`crate::activation::gelu`].
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    x * below(x)
}

/// The derivative of [`gelu`]: `Φ(x) + x φ(x)`.
#[inline(always)]
pub(crate) fn gelu_slope(x: f32) -> f32 {
    // 1 / √(2π)
    const HEIGHT: f32 = 0.398_942_3;
    below(x) + x * (HEIGHT * exp(-0.5 * x * x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of both signs, from tiny to far out.
    fn arguments() -> impl Iterator<Item = f32> {
        (-60_000..60_000).map(|i| (i as f32 * 1e-4).powi(3) / 2.0)
    }

    #[test]
    fn exponentials_are_the_systems() {
        let mut most: f64 = 0.0;
        for x in arguments().filter(|x| *x <= 88.0) {
            let want = f64::from(x).exp();
            if want < f64::from(f32::MIN_POSITIVE) * 1.1 {
                assert!(exp(x) <= f32::MIN_POSITIVE * 1.2, "{x}");
            } else {
                most = most.max((f64::from(exp(x)) / want - 1.0).abs());
            }
        }
        assert!(most < 2.4e-7, "{most}");
        assert_eq!([exp(0.0), exp(-0.0), exp(-1e4), exp(f32::NEG_INFINITY)], [1.0, 1.0, 0.0, 0.0]);
        assert!(exp(f32::NAN).is_nan());
    }

    /// Against Simpson's rule in f64.
    #[test]
    fn error_functions_are_integrals() {
        let integral = |x: f64| {
            let steps = 2 * (200.0 * x.abs()).ceil().max(8.0) as usize;
            let width = x / steps as f64;
            let sum: f64 = (0..=steps)
                .map(|i| {
                    let weight = match i {
                        0 => 1.0,
                        i if i == steps => 1.0,
                        i if i % 2 == 1 => 4.0,
                        _ => 2.0,
                    };
                    weight * (-(i as f64 * width).powi(2)).exp()
                })
                .sum();
            sum * width / 3.0 * 2.0 / std::f64::consts::PI.sqrt()
        };
        for i in -900..=900 {
            let x = i as f32 * 5e-3 + 1e-3;
            let want = integral(f64::from(x));
            assert!((f64::from(erf(x)) / want - 1.0).abs() < 4.8e-7, "{x}: {} {want}", erf(x));
        }
        assert_eq!([erf(0.0), erf(50.0), erf(f32::NEG_INFINITY)], [0.0, 1.0, -1.0]);
        assert!(erf(f32::NAN).is_nan());
    }

    #[test]
    fn slopes_of_gelu_are_differences() {
        for i in -700..=700 {
            let x = i as f32 * 0.01;
            let smooth = |x: f64| x * 0.5 * (1.0 + f64::from(erf((x * 0.5f64.sqrt()) as f32)));
            let want = (smooth(f64::from(x) + 0.01) - smooth(f64::from(x) - 0.01)) / 0.02;
            assert!((f64::from(gelu_slope(x)) - want).abs() < 2e-4, "{x}");
        }
        assert_eq!([gelu_slope(40.0), gelu_slope(-40.0)], [1.0, 0.0]);
    }
}
