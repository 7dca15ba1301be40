//! Elementary functions that libraries of systems and processors compute differently: one implementation, from plain
//! multiplications and additions, so that every processor gives the same bits.
//!
//! What is not here (`exp`, `ln`, `ln_1p`, `powf`, `sin`, `cos`, …) is the system's. glibc gives the same bits on x86 with FMA and on
//! ARM; `docs/processors.md` lists what was compared.

pub(crate) mod branchless;

/// `√(x² + y²)` without overflow, correctly rounded but for rare cases.
///
/// The root and one step that takes off its error: C. F. Borges, "An improved algorithm for hypot(a, b)", 2019,
/// <https://arxiv.org/abs/1904.09481>.
pub fn hypot(x: f64, y: f64) -> f64 {
    let (x, y) = (x.abs(), y.abs());
    if x.is_infinite() || y.is_infinite() {
        return f64::INFINITY;
    }
    let (large, small) = if x < y { (y, x) } else { (x, y) };
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    // beyond these, squares would overflow or lose bits; powers of two round nothing
    const LARGE: f64 = 3.273_390_607_896_142e150; // 2^500
    const SMALL: f64 = 6.109_476_386_019_91e-151; // about 2^-500
    const UP: f64 = 4.149_515_568_880_993e180; // 2^600
    if small <= large * (f64::EPSILON / 4.0) {
        return large + small;
    }
    if large > LARGE {
        return corrected_root(large / UP, small / UP) * UP;
    }
    if small < SMALL {
        return corrected_root(large * UP, small * UP) / UP;
    }
    corrected_root(large, small)
}

/// Of the larger and the smaller side.
fn corrected_root(a: f64, b: f64) -> f64 {
    let root = (a * a + b * b).sqrt();
    let error = if root <= 2.0 * b {
        let off = root - b;
        a * (2.0 * off - a) + (off - 2.0 * (a - b)) * off
    } else {
        let off = root - a;
        2.0 * off * (a - 2.0 * b) + ((4.0 * off - b) * b + off * off)
    };
    root - error / (2.0 * root)
}

/// Hyperbolic tangent, within two units in the last place.
///
/// From `e = exp(2|x|) − 1` by the method of FDLIBM's `tanh` and `expm1` (Copyright (C) 1993 by Sun Microsystems, Inc. All rights
/// reserved. Developed at SunPro, a Sun Microsystems, Inc. business. Permission to use, copy, modify, and distribute this
/// software is freely granted, provided that this notice is preserved.)
#[inline]
pub fn tanh(x: f32) -> f32 {
    let size = x.abs();
    if size.is_nan() {
        return x;
    }
    // below it, x is its own tangent
    if size < f32::from_bits(0x2400_0000) {
        return x * (1.0 + x);
    }
    let y = if size >= 22.0 {
        1.0
    } else if size >= 1.0 {
        1.0 - 2.0 / (exp_less_one(2.0 * size) + 2.0)
    } else {
        let t = exp_less_one(-2.0 * size);
        -t / (t + 2.0)
    };
    y.copysign(x)
}

/// `exp(x) − 1` for |x| < 44.
#[inline]
fn exp_less_one(x: f32) -> f32 {
    const LN_2_HIGH: f32 = f32::from_bits(0x3f31_7180);
    const LN_2_LOW: f32 = f32::from_bits(0x3717_f7d1);
    const PER_LN_2: f32 = f32::from_bits(0x3fb8_aa3b);
    const Q: [u32; 5] = [0xbd08_8889, 0x3ad0_0d01, 0xb8a6_70cd, 0x3686_7e54, 0xb457_edbb];
    let size = x.to_bits() & 0x7fff_ffff;
    // 27 ln 2
    if size >= 0x4195_b844 && x < 0.0 {
        return -1.0;
    }
    // x = k ln 2 + r, where r is `x` below and `c` what its rounding took off
    let (k, x, c) = if size > 0x3eb1_7218 {
        let (k, high, low) = if size < 0x3f85_1592 {
            if x > 0.0 { (1, x - LN_2_HIGH, LN_2_LOW) } else { (-1, x + LN_2_HIGH, -LN_2_LOW) }
        } else {
            let k = (PER_LN_2 * x + if x > 0.0 { 0.5 } else { -0.5 }) as i32;
            let t = k as f32;
            (k, x - t * LN_2_HIGH, t * LN_2_LOW)
        };
        let r = high - low;
        (k, r, (high - r) - low)
    } else if size < 0x3300_0000 {
        return x;
    } else {
        (0, x, 0.0)
    };
    let half = 0.5 * x;
    let square = x * half;
    let [q1, q2, q3, q4, q5] = Q.map(f32::from_bits);
    let r = 1.0 + square * (q1 + square * (q2 + square * (q3 + square * (q4 + square * q5))));
    let t = 3.0 - r * half;
    let e = square * ((r - t) / (6.0 - x * t));
    if k == 0 {
        return x - (x * e - square);
    }
    let e = (x * (e - c) - c) - square;
    let power = |k: i32| f32::from_bits(((127 + k) as u32) << 23);
    match k {
        -1 => 0.5 * (x - e) - 0.5,
        1 if x < -0.25 => -2.0 * (e - (x + 0.5)),
        1 => 1.0 + 2.0 * (x - e),
        ..=-2 | 57.. => (1.0 - (e - x)) * power(k) - 1.0,
        2..23 => ((1.0 - power(-k)) - (e - x)) * power(k),
        _ => ((x - (e + power(-k))) + 1.0) * power(k),
    }
}

/// Inverse hyperbolic tangent: `ln(1 + 2x / (1 − x)) / 2`.
pub fn atanh(x: f32) -> f32 {
    0.5 * ln_1p((2.0 * x) / (1.0 - x))
}

/// `ln(1 + x)`, within a unit in the last place; after FDLIBM's `log1p`, with the notice at [`tanh`].
pub fn ln_1p(x: f32) -> f32 {
    const LN_2_HIGH: f32 = f32::from_bits(0x3f31_7180);
    const LN_2_LOW: f32 = f32::from_bits(0x3717_f7d1);
    const P: [u32; 7] =
        [0x3f2a_aaab, 0x3ecc_cccd, 0x3e92_4925, 0x3e63_8e29, 0x3e3a_3325, 0x3e1c_d04f, 0x3e17_8897];
    if x.is_nan() || x == f32::INFINITY {
        return x;
    }
    if x <= -1.0 {
        return if x == -1.0 { f32::NEG_INFINITY } else { f32::NAN };
    }
    let size = x.abs();
    if size < f32::from_bits(0x3100_0000) {
        return if size < f32::from_bits(0x2480_0000) { x } else { x - x * x * 0.5 };
    }
    // 1 + x = 2^k (1 + f), and what its rounding took off; √½ − 1 < f < √2 − 1
    let (k, f, c, mantissa) = if x > f32::from_bits(0xbe95_f61f) && x < f32::from_bits(0x3ed4_13d7)
    {
        (0, x, 0.0, 1)
    } else {
        let large = x.to_bits() >= 0x5a00_0000 && x > 0.0;
        let u = if large { x } else { 1.0 + x };
        let k = (u.to_bits() >> 23) as i32 - 127;
        let c = match (large, k > 0) {
            (true, _) => 0.0,
            (false, true) => (1.0 - (u - x)) / u,
            (false, false) => (x - (u - 1.0)) / u,
        };
        let mantissa = u.to_bits() & 0x007f_ffff;
        if mantissa < 0x0035_04f7 {
            (k, f32::from_bits(mantissa | 0x3f80_0000) - 1.0, c, mantissa)
        } else {
            let u = f32::from_bits(mantissa | 0x3f00_0000);
            (k + 1, u - 1.0, c, (0x0080_0000 - mantissa) >> 2)
        }
    };
    let (power, half) = (k as f32, 0.5 * f * f);
    if mantissa == 0 {
        if f == 0.0 {
            return if k == 0 { 0.0 } else { power * LN_2_HIGH + (c + power * LN_2_LOW) };
        }
        let r = half * (1.0 - 0.666_666_7 * f);
        return match k {
            0 => f - r,
            _ => power * LN_2_HIGH - ((r - (power * LN_2_LOW + c)) - f),
        };
    }
    let s = f / (2.0 + f);
    let z = s * s;
    let r = z * P.iter().rev().fold(0.0, |sum, &p| f32::from_bits(p) + z * sum);
    match k {
        0 => f - (half - s * (half + r)),
        _ => power * LN_2_HIGH - ((half - (s * (half + r) + (power * LN_2_LOW + c))) - f),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypot_is_the_root_of_the_squares() {
        assert_eq!(hypot(3.0, -4.0), 5.0);
        assert_eq!(hypot(0.0, -0.0), 0.0);
        assert!((hypot(3e200, 4e200) / 5e200 - 1.0).abs() <= f64::EPSILON);
        assert_eq!(hypot(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert!(hypot(f64::NAN, 1.0).is_nan());
        let mut most: f64 = 0.0;
        for i in 0..100_000 {
            let (x, y) = ((f64::from(i) * 0.7).sin() * 3.0, (f64::from(i) * 1.3).cos() * 2.0);
            for scale in [1.0, 1e160, 1e-160] {
                let (ours, theirs) = (hypot(x * scale, y * scale), (x * scale).hypot(y * scale));
                most = most.max(((ours - theirs) / theirs).abs());
            }
        }
        assert!(most <= f64::EPSILON, "{most}");
    }

    #[test]
    fn tanh_is_close_to_that_of_f64_everywhere() {
        let mut bits = 0u32;
        loop {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let (got, want) = (tanh(x), f64::from(x).tanh());
                let off = (f64::from(got) - want).abs();
                let unit = f64::from(f32::EPSILON) * want.abs();
                assert!(off <= 1.5 * unit || off < 1e-44, "{x:e} {got:e} {want:e}");
            }
            bits += 40_013;
            if bits >= f32::INFINITY.to_bits() {
                break;
            }
        }
        assert_eq!(tanh(f32::INFINITY), 1.0);
        assert_eq!(tanh(f32::NEG_INFINITY), -1.0);
        assert!(tanh(f32::NAN).is_nan());
        assert!(tanh(-0.0).is_sign_negative());
    }

    #[test]
    fn ln_1p_is_close_to_that_of_f64() {
        for i in -999_999..3_000_000 {
            let x = i as f32 / 1e6;
            let (got, want) = (ln_1p(x), f64::from(x).ln_1p());
            assert!((f64::from(got) - want).abs() <= f64::from(f32::EPSILON) * want.abs(), "{x:e}");
        }
        assert_eq!(ln_1p(-1.0), f32::NEG_INFINITY);
        assert!(ln_1p(-1.5).is_nan() && ln_1p(f32::NAN).is_nan());
        assert_eq!(ln_1p(f32::INFINITY), f32::INFINITY);
        assert_eq!(atanh(0.0), 0.0);
    }

    /// Debian 12's glibc (2.36) on x86 has these bits.
    #[test]
    #[ignore = "the system's library has other bits elsewhere"]
    fn same_bits_as_glibc_2_36_on_x86() {
        for bits in (0..f32::INFINITY.to_bits()).step_by(127) {
            let x = f32::from_bits(bits);
            for x in [x, -x] {
                assert_eq!(tanh(x).to_bits(), x.tanh().to_bits(), "{x:e}");
                if x > -1.0 {
                    assert_eq!(ln_1p(x).to_bits(), x.ln_1p().to_bits(), "{x:e}");
                }
            }
        }
        for i in -99_999..100_000 {
            let x = i as f32 / 1e5;
            assert_eq!(atanh(x).to_bits(), x.atanh().to_bits(), "{x:e}");
        }
        for i in 0..3_000_000 {
            let (x, y) = ((f64::from(i) * 0.7).sin() * 3.0, (f64::from(i) * 1.3).cos() * 2.0);
            let y = y * 2f64.powi(i % 70 - 35);
            assert_eq!(hypot(x, y).to_bits(), x.hypot(y).to_bits(), "{x:e} {y:e}");
        }
    }
}
