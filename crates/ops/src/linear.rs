//! The fully connected layer.

use crate::cpu::{self, has_kernels};
use crate::tape::reshape;
use candle_core::{Result, Tensor, bail};

/// `y = x · weightᵀ + bias`.
///
/// `x` is `(…, in_features)`, `weight` `(out_features, in_features)`, `bias` `(out_features)`; the result is
/// `(…, out_features)`. Numbers and gradients as in PyTorch's `linear`; a gradient is computed only for what leads to a
/// variable. On the processor a row's bits, and those of its gradient, do not depend on the other rows where no gradient is asked
/// of the weight.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_ops::linear::linear;
///
/// let x = Tensor::new(&[[1f32, 2.]], &Device::Cpu)?;
/// let weight = Tensor::new(&[[1f32, 0.], [0., 1.], [1., 1.]], &Device::Cpu)?;
/// let bias = Tensor::new(&[0f32, 0., 10.], &Device::Cpu)?;
/// assert_eq!(linear(&x, &weight, Some(&bias))?.to_vec2::<f32>()?, [[1., 2., 13.]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (out, inside) = weight.dims2()?;
    let Some((&last, outer)) = x.dims().split_last() else {
        bail!("linear expects at least one dimension, got a scalar");
    };
    if last != inside {
        bail!("linear expects {inside} features (weight {:?}), got {:?}", weight.dims(), x.dims());
    }
    if let Some(bias) = bias.filter(|bias| bias.dims() != [out]) {
        bail!("linear expects {out} numbers as its bias, got {:?}", bias.dims());
    }
    let mut shape = outer.to_vec();
    shape.push(out);
    let rows = reshape(x, (outer.iter().product::<usize>(), inside))?;
    let y = if has_kernels(x) && x.dtype() == weight.dtype() {
        cpu::linear::linear(&rows, weight, bias)?
    } else {
        let y = rows.matmul(&weight.t()?)?;
        match bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        }
    };
    reshape(&y, shape)
}

/// The matrix products `a · b` of `(…, m, k)` and `(…, k, n)`, whose outer dimensions are the same: `(…, m, n)`.
///
/// PyTorch's `matmul` without broadcasting. On the processor the same bits on every one, where candle's follow the size of the
/// cache and the width of vectors.
///
/// # Errors
/// When dimensions do not match.
pub fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (ad, bd) = (a.dims(), b.dims());
    let outer = |dims: &[usize]| dims.len().checked_sub(2).map(|outer| dims[..outer].to_vec());
    let matches =
        outer(ad).is_some() && outer(ad) == outer(bd) && ad[ad.len() - 1] == bd[bd.len() - 2];
    if !matches {
        bail!("matmul expects (…, m, k) and (…, k, n), got {ad:?} and {bd:?}");
    }
    if has_kernels(a) && a.dtype() == b.dtype() { cpu::matmul::matmul(a, b) } else { a.matmul(b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_gradients, max_difference, random, strided};
    use candle_core::{D, DType, Var};
    use proptest::prelude::*;

    /// Values and gradients, of matrices and of their transposes, one and several.
    #[test]
    fn matmul_equals_candle() -> Result<()> {
        for outer in [&[][..], &[3], &[2, 3]] {
            let shape = |m: usize, n: usize| [outer, &[m, n]].concat();
            let a = random(1, &shape(4, 6))?;
            let b = random(2, &shape(6, 5))?;
            let t = |x: &Tensor| x.transpose(D::Minus1, D::Minus2);
            let (at, bt) = (t(&a)?.contiguous()?, t(&b)?.contiguous()?);
            let want = a.matmul(&b)?;
            for got in [matmul(&a, &b)?, matmul(&t(&at)?, &b)?, matmul(&a, &t(&bt)?)?] {
                assert_eq!(got.dims(), want.dims());
                assert!(max_difference(&got, &want)? < 1e-14);
            }
            check_gradients(&[a.clone(), b], |v| matmul(&v[0], &v[1]))?;
            check_gradients(&[at, bt], |v| matmul(&t(&v[0])?, &t(&v[1])?))?;
            assert!(matmul(&a, &a).is_err());
        }
        Ok(())
    }

    fn composed(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
        let y = x.contiguous()?.broadcast_matmul(&w.t()?)?;
        b.map_or(Ok(y.clone()), |b| y.broadcast_add(b))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..Default::default() })]

        #[test]
        fn equals_the_matrix_product(
            n in 1..5usize, m in 1..4usize, inside in 1..6usize, out in 1..6usize, seed in any::<u64>(),
        ) {
            let x = strided(&random(seed, &[n, m, inside]).unwrap()).unwrap();
            let w = strided(&random(seed ^ 1, &[out, inside]).unwrap()).unwrap();
            let b = random(seed ^ 2, &[out]).unwrap();
            for b in [None, Some(&b)] {
                let want = composed(&x, &w, b).unwrap();
                prop_assert!(max_difference(&linear(&x, &w, b).unwrap(), &want).unwrap() < 1e-13);
            }
            check_gradients(&[x, w, b], |a| linear(&strided(&a[0])?, &strided(&a[1])?, Some(&a[2]))).unwrap();
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() -> Result<()> {
        let run = |threads: usize| -> Result<Vec<Vec<f32>>> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut all = vec![];
            for [n, inside, out] in [[128, 2352, 100], [128, 100, 1], [1, 900, 700], [77, 513, 67]]
            {
                let of = |seed, shape: &[usize]| {
                    Var::from_tensor(&random(seed, shape)?.to_dtype(DType::F32)?)
                };
                let (x, w, b) = (of(1, &[n, inside])?, of(2, &[out, inside])?, of(3, &[out])?);
                let (y, grads) = pool.install(|| {
                    let y = linear(&x, &w, Some(&b))?;
                    Ok::<_, candle_core::Error>((y.clone(), y.sqr()?.sum_all()?.backward()?))
                })?;
                for t in
                    [&y, grads.get(&x).unwrap(), grads.get(&w).unwrap(), grads.get(&b).unwrap()]
                {
                    all.push(t.flatten_all()?.to_vec1()?);
                }
            }
            Ok(all)
        };
        let one = run(1)?;
        assert!(one == run(2)? && one == run(3)?);
        Ok(())
    }

    #[test]
    fn frozen_weights_get_no_gradient_and_wrong_shapes_are_refused() -> Result<()> {
        let (x, w, b) = (random(1, &[2, 3])?, random(2, &[4, 3])?, random(3, &[4])?);
        let v = Var::from_tensor(&x)?;
        let grads = linear(&v, &w, Some(&b))?.sum_all()?.backward()?;
        assert!(grads.get(&v).is_some() && grads.get(&w).is_none() && grads.get(&b).is_none());
        assert!(linear(&x, &w.t()?, None).is_err());
        assert!(linear(&x, &w, Some(&random(1, &[3])?)).is_err());
        Ok(())
    }
}
