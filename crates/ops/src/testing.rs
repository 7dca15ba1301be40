//! What the tests share: random tensors and finite differences.

use crate::tape;
use candle_core::{DType, Device, Result, Tensor, Var};

/// Numbers in [-1, 1) from a seed, in f64 (splitmix64).
pub(crate) fn random(seed: u64, shape: &[usize]) -> Result<Tensor> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995;
    let data: Vec<f64> = (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect();
    Tensor::from_vec(data, shape, &Device::Cpu)
}

/// Distinct multiples of 0.25 in random order: no ties, no maximum that a small step changes.
pub(crate) fn distinct(seed: u64, shape: &[usize]) -> Result<Tensor> {
    let keys = random(seed, shape)?.flatten_all()?.to_vec1::<f64>()?;
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
    let data = order.iter().map(|&i| 0.25 * i as f64 - 0.125 * keys.len() as f64).collect();
    Tensor::from_vec(data, shape, &Device::Cpu)
}

/// The same values behind other strides: transposed twice and narrowed out of a larger tensor.
pub(crate) fn strided(x: &Tensor) -> Result<Tensor> {
    let last = x.rank() - 1;
    let wide = Tensor::cat(&[&x.zeros_like()?, x, &x.zeros_like()?], last)?;
    let t = wide.transpose(last, last - 1)?.contiguous()?.transpose(last, last - 1)?;
    t.narrow(last, x.dim(last)?, x.dim(last)?)
}

/// Largest absolute difference; the shapes must agree.
pub(crate) fn max_difference(a: &Tensor, b: &Tensor) -> Result<f64> {
    assert_eq!(a.dims(), b.dims());
    if a.elem_count() == 0 {
        return Ok(0.0);
    }
    let a = a.to_dtype(DType::F64)?;
    let b = b.to_dtype(DType::F64)?;
    (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar()
}

/// Gradient of the sum of `f(x)`, by candle's graph and by the tape.
pub(crate) fn gradient_of(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let x = Var::from_tensor(x)?;
    let grads = f(x.as_tensor())?.sum_all()?.backward()?;
    let (taped, ()) = tape::gradients(|| Ok((f(x.as_tensor())?.sum_all()?, ())))?;
    let [a, b] = [&grads, &taped].map(|grads| grads.get(&x).expect("a gradient"));
    assert_eq!(bits(a)?, bits(b)?, "candle's gradient and the tape's");
    Ok(a.clone())
}

/// The gradients of `sum(f(inputs) * r)` for a fixed random `r`, one for each input: the same bits by candle's graph and by the tape.
pub(crate) fn gradients(
    inputs: &[Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    let vars = inputs.iter().map(Var::from_tensor).collect::<Result<Vec<_>>>()?;
    let args: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let grads = projected(&f(&args)?)?.backward()?;
    let (taped, ()) = tape::gradients(|| Ok((projected(&f(&args)?)?, ())))?;
    for v in &vars {
        let [a, b] = [&grads, &taped].map(|grads| grads.get(v).map(bits).transpose());
        assert_eq!(a?, b?, "candle's gradient and the tape's");
    }
    Ok(vars.iter().map(|v| grads.get(v).expect("a gradient for each input").clone()).collect())
}

/// Compares the gradients of a function of f64 tensors with central differences, element by element.
pub(crate) fn check_gradients(
    inputs: &[Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<()> {
    let found = gradients(inputs, &f)?;
    let step = 1e-5;
    for (which, input) in inputs.iter().enumerate() {
        let data = input.flatten_all()?.to_vec1::<f64>()?;
        let got = found[which].flatten_all()?.to_vec1::<f64>()?;
        assert_eq!(found[which].dims(), input.dims());
        for i in 0..data.len() {
            let at = |h: f64| -> Result<f64> {
                let mut data = data.clone();
                data[i] += h;
                let mut args = inputs.to_vec();
                args[which] = Tensor::from_vec(data, input.shape(), &Device::Cpu)?;
                projected(&f(&args)?)?.to_scalar::<f64>()
            };
            let want = (at(step)? - at(-step)?) / (2.0 * step);
            let off = (got[i] - want).abs();
            assert!(
                off <= 1e-6 * (1.0 + want.abs()),
                "gradient of input {which} at {i}: {} but finite differences give {want}",
                got[i]
            );
        }
    }
    Ok(())
}

/// The elements' bits, which are equal for NaN, too.
fn bits(x: &Tensor) -> Result<Vec<u64>> {
    let elements = x.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
    Ok(elements.into_iter().map(f64::to_bits).collect())
}

fn projected(y: &Tensor) -> Result<Tensor> {
    (y * random(77, y.dims())?.to_dtype(y.dtype())?)?.sum_all()
}
