use candle_core::{Result, Tensor};
use sconce_ops::linear::linear;
use sconce_ops::sum::sum_all;

/// Correlation alignment: how far the covariances of two domains lie apart, `‖C_S − C_T‖²_F / 4d²`.
///
/// Sun and Saenko, "Deep CORAL: correlation alignment for deep domain adaptation", 2016, equations 1 to 3, where the
/// covariances are unbiased: `C = (DᵀD − (1ᵀD)ᵀ(1ᵀD) / n) / (n − 1)`. `source` is `(n, d)`, `target` `(m, d)`; gradients
/// flow to both.
///
/// With fewer rows than features no matrix of `d × d` is made: for centred rows divided by `√(n − 1)`,
/// `‖SᵀS − TᵀT‖² = ‖SSᵀ‖² − 2‖STᵀ‖² + ‖TTᵀ‖²`. There the result's error is relative to `‖C_S‖² + ‖C_T‖²`, and of two
/// domains with the same covariance it can fall below 0 by so much.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_adaptation::losses::coral;
///
/// // variances 2 and 8, nothing else: (2 − 8)² / 4
/// let source = Tensor::new(&[[0f64], [2.]], &Device::Cpu)?;
/// let target = Tensor::new(&[[5f64], [9.]], &Device::Cpu)?;
/// assert_eq!(coral(&source, &target)?.to_scalar::<f64>()?, 9.);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// When the shapes do not fit, or a domain has fewer than 2 rows.
pub fn coral(source: &Tensor, target: &Tensor) -> Result<Tensor> {
    let (n, m, d) = super::domains("CORAL", source, target, 2)?;
    let (s, t) = (centred(source, n)?, centred(target, m)?);
    let square = |a: &Tensor, b: &Tensor| sum_all(&linear(a, b, None)?.sqr()?);
    let squared = if n + m < d {
        ((square(&s, &s)? - (square(&s, &t)? * 2.0)?)? + square(&t, &t)?)?
    } else {
        let covariance = |x: &Tensor| linear(&x.t()?, &x.t()?, None);
        sum_all(&(covariance(&s)? - covariance(&t)?)?.sqr()?)?
    };
    squared / (4.0 * (d * d) as f64)
}

/// Rows whose product with themselves is their covariance.
fn centred(x: &Tensor, n: usize) -> Result<Tensor> {
    x.broadcast_sub(&x.mean_keepdim(0)?)? / ((n - 1) as f64).sqrt()
}
