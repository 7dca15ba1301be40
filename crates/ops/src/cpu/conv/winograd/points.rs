//! The transforms of Winograd's method along one dimension: products of polynomials by their values at points.
//!
//! `P` points make tiles of `P − 2` results. With 6 they are 0, ±3/4, ±3/2 and ∞ in place of the usual
//! 0, ±1, ±2 and ∞, and with 4 they are 0, ±1 and ∞. On points see Barabasz, Anderson, Soodhalter and Gregg, "Error
//! analysis and improving the accuracy of Winograd convolution for deep neural networks", 2020.

use super::FILTER;
use crate::cpu::kernel::Element;

/// The points but 0 and ∞ where there are six, each with both signs.
const NEAR: f64 = 0.75;
const FAR: f64 = 1.5;
/// Their squares.
const NEAR2: f64 = NEAR * NEAR;
const FAR2: f64 = FAR * FAR;

/// `G` times a filter: its values, each over the product of the point's distances from the others.
#[inline(always)]
pub(super) fn values<T: Element, const P: usize>(w: [T; FILTER]) -> [T; P] {
    let mut out = [T::zero(); P];
    // the even and the odd part at a point
    let parts = |point: f64, scale: f64| {
        let (square, scale) = (T::from_f64(point * point), T::from_f64(scale));
        (scale * (w[0] + square * w[2]), scale * (T::from_f64(point) * w[1]))
    };
    if P == 4 {
        let (a, b) = parts(1.0, 0.5);
        (out[0], out[1], out[2]) = (T::zero() - w[0], a + b, a - b);
    } else {
        let (a, b) = parts(NEAR, 1.0 / (2.0 * NEAR2 * (NEAR2 - FAR2)));
        let (c, d) = parts(FAR, 1.0 / (2.0 * FAR2 * (FAR2 - NEAR2)));
        out[0] = T::from_f64(1.0 / (NEAR2 * FAR2)) * w[0];
        (out[1], out[2], out[3], out[4]) = (a + b, a - b, c + d, c - d);
    }
    out[P - 1] = w[FILTER - 1];
    out
}

/// `Bᵀ` times `P` inputs.
#[inline(always)]
pub(super) fn spread<T: Element, const P: usize>(d: [T; P]) -> [T; P] {
    let mut out = [T::zero(); P];
    if P == 4 {
        (out[0], out[1], out[2]) = (d[2] - d[0], d[2] + d[1], d[2] - d[1]);
        out[3] = d[3] - d[1];
        return out;
    }
    let [near, far, near2, far2] = [NEAR, FAR, NEAR2, FAR2].map(T::from_f64);
    let (product, sum) = (T::from_f64(NEAR2 * FAR2), T::from_f64(NEAR2 + FAR2));
    let (a, b) = (d[4] - far2 * d[2], near * (d[3] - far2 * d[1]));
    let (e, f) = (d[4] - near2 * d[2], far * (d[3] - near2 * d[1]));
    out[0] = product * d[0] - sum * d[2] + d[4];
    (out[1], out[2], out[3], out[4]) = (a + b, a - b, e + f, e - f);
    out[5] = product * d[1] - sum * d[3] + d[5];
    out
}

/// `Aᵀ` times `P` products: `M` results.
#[inline(always)]
pub(super) fn collect<T: Element, const P: usize, const M: usize>(m: [T; P]) -> [T; M] {
    let mut out = [T::zero(); M];
    if P == 4 {
        (out[0], out[1]) = (m[0] + (m[1] + m[2]), (m[1] - m[2]) + m[3]);
        return out;
    }
    let [near, far, near2, far2] = [NEAR, FAR, NEAR2, FAR2].map(T::from_f64);
    let (near3, far3) = (T::from_f64(NEAR2 * NEAR), T::from_f64(FAR2 * FAR));
    let (a, b, c, d) = (m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]);
    out[0] = m[0] + a + c;
    out[1] = near * b + far * d;
    (out[2], out[3]) = (near2 * a + far2 * c, near3 * b + far3 * d);
    out[M - 1] += m[5];
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results of one tile equal the definition's.
    fn check<const P: usize, const M: usize>() {
        let x: [f64; P] = std::array::from_fn(|i| (i as f64 * 1.3).sin());
        let w: [f64; FILTER] = std::array::from_fn(|i| (i as f64 * 0.7).cos());
        let (a, b) = (values::<f64, P>(w), spread(x));
        let got: [f64; M] = collect(std::array::from_fn::<f64, P, _>(|i| a[i] * b[i]));
        for (i, got) in got.iter().enumerate() {
            let want: f64 = (0..FILTER).map(|k| w[k] * x[i + k]).sum();
            assert!((got - want).abs() < 1e-13, "F({M}): {got} {want}");
        }
    }

    #[test]
    fn tiles_equal_the_definition() {
        check::<6, 4>();
        check::<4, 2>();
    }
}
