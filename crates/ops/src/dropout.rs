//! Dropout whose mask comes from a generator of the caller's.

use candle_core::{DType, Result, Tensor, bail};
use rand::Rng;

/// Sets each element to 0 with probability `p` and multiplies the others by `1 / (1 − p)`.
///
/// Any shape. The mask is drawn from `rng`, one `u32` an element in row-major order, on every device alike. In eval mode
/// there is nothing to call. Srivastava et al., "Dropout", 2014.
pub fn dropout(x: &Tensor, p: f64, rng: &mut impl Rng) -> Result<Tensor> {
    x * mask(x, x.dims(), p, rng)?
}

/// The same with whole maps: one draw for each channel of each image of `(batch, channels, height, width)`. Tompson et al.,
/// "Efficient object localization using convolutional networks", 2015.
pub fn dropout2d(x: &Tensor, p: f64, rng: &mut impl Rng) -> Result<Tensor> {
    let (batch, channels, _, _) = x.dims4()?;
    x.broadcast_mul(&mask(x, &[batch, channels, 1, 1], p, rng)?)
}

/// Zeros and `1 / (1 − p)`, in the type and on the device of `x`.
fn mask(x: &Tensor, shape: &[usize], p: f64, rng: &mut impl Rng) -> Result<Tensor> {
    if !(0.0..1.0).contains(&p) {
        bail!("dropout expects a probability of at least 0 and below 1, got {p}");
    }
    let drop_below = (p * 2f64.powi(32)) as u64;
    let kept = (1.0 - p).recip() as f32;
    let draw = |_| if u64::from(rng.next_u32()) < drop_below { 0.0 } else { kept };
    let mask: Vec<f32> = (0..shape.iter().product()).map(draw).collect();
    let mask = Tensor::from_vec(mask, shape, x.device())?;
    if x.dtype() == DType::F32 { Ok(mask) } else { mask.to_dtype(x.dtype()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gradient_of, max_difference, random, strided};
    use candle_core::Device;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn the_generator_decides_and_the_mean_stays() -> Result<()> {
        let x = Tensor::ones((100, 200), DType::F64, &Device::Cpu)?;
        let run = |seed| dropout(&x, 0.3, &mut ChaCha8Rng::seed_from_u64(seed));
        let y = run(1)?;
        assert_eq!(max_difference(&y, &run(1)?)?, 0.0);
        assert!(max_difference(&y, &run(2)?)? > 1.0);
        let zeros = y.eq(0.0)?.to_dtype(DType::F64)?.mean_all()?.to_scalar::<f64>()?;
        assert!((zeros - 0.3).abs() < 0.01, "{zeros}");
        assert!((y.mean_all()?.to_scalar::<f64>()? - 1.0).abs() < 0.02);
        Ok(())
    }

    #[test]
    fn the_gradient_has_the_same_mask() -> Result<()> {
        let x = strided(&random(1, &[7, 9])?)?;
        let run = |x: &Tensor| dropout(x, 0.5, &mut ChaCha8Rng::seed_from_u64(3));
        let mask = run(&x.ones_like()?)?;
        assert_eq!(max_difference(&run(&x)?, &(&x * &mask)?)?, 0.0);
        assert_eq!(max_difference(&gradient_of(&x, run)?, &mask)?, 0.0);
        assert_eq!(max_difference(&dropout(&x, 0.0, &mut ChaCha8Rng::seed_from_u64(3))?, &x)?, 0.0);
        assert!(dropout(&x, 1.0, &mut ChaCha8Rng::seed_from_u64(3)).is_err());
        Ok(())
    }

    #[test]
    fn whole_maps_are_dropped() -> Result<()> {
        let x = random(1, &[40, 50, 3, 2])?.abs()?.affine(1.0, 0.1)?;
        let run = |x: &Tensor| dropout2d(x, 0.3, &mut ChaCha8Rng::seed_from_u64(5));
        let mask = run(&x.ones_like()?)?;
        let of_maps = mask.flatten_from(2)?;
        assert_eq!(max_difference(&of_maps.max(2)?, &of_maps.min(2)?)?, 0.0);
        let zeros = mask.eq(0.0)?.to_dtype(DType::F64)?.mean_all()?.to_scalar::<f64>()?;
        assert!((zeros - 0.3).abs() < 0.03, "{zeros}");
        assert_eq!(max_difference(&run(&x)?, &(&x * &mask)?)?, 0.0);
        assert_eq!(max_difference(&gradient_of(&x, run)?, &mask)?, 0.0);
        Ok(())
    }
}
