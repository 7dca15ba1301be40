//! The last two dimensions exchanged, in memory, too: maps `(batch, channels, places)` become rows `(batch, places, channels)` and back.

use crate::cpu::{self, has_kernels};
use candle_core::{D, Result, Tensor, bail};

/// `(…, m, n)` as `(…, n, m)`, contiguous: candle's `transpose` and `contiguous`, which copies element by element. The gradient passes.
///
/// # Errors
/// With fewer than two dimensions.
pub fn transposed(x: &Tensor) -> Result<Tensor> {
    if x.rank() < 2 {
        bail!("expected at least two dimensions to exchange, got {:?}", x.dims());
    }
    if has_kernels(x) {
        return cpu::transposed::transposed(&x.contiguous()?);
    }
    x.transpose(D::Minus1, D::Minus2)?.contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::kernel::tests::at_each_level;
    use crate::testing::{check_gradients, random, strided};
    use candle_core::DType;

    #[test]
    fn equals_candle() -> Result<()> {
        for shape in
            [&[3usize, 5][..], &[1, 1], &[2, 3, 17, 40], &[1, 96, 3136], &[4, 0, 3], &[7, 1]]
        {
            let x = random(1, shape)?;
            for x in [strided(&x)?, x.clone()] {
                for x in [x.to_dtype(DType::F32)?, x] {
                    let want = x.transpose(D::Minus1, D::Minus2)?.contiguous()?;
                    at_each_level(|_| {
                        let found = transposed(&x)?;
                        assert_eq!(found.dims(), want.dims());
                        let numbers =
                            |t: &Tensor| t.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>();
                        assert_eq!(numbers(&found)?, numbers(&want)?);
                        Ok::<_, candle_core::Error>(())
                    })?;
                }
            }
        }
        check_gradients(&[random(2, &[2, 3, 4])?], |a| transposed(&a[0]))?;
        assert!(transposed(&random(1, &[3])?).is_err());
        Ok(())
    }
}
