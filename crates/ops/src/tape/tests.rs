use super::*;
use crate::activation::{gelu, relu};
use crate::conv::{Conv2d, FrozenConv2d, conv2d};
use crate::linear::linear;
use crate::pool::{Pool2d, global_avg_pool2d, max_pool2d};
use crate::sum::{add, sum_all};
use crate::testing::{max_difference, random};
use candle_core::{DType, Device, Var};

fn var(seed: u64, shape: &[usize]) -> Result<Var> {
    Var::from_tensor(&random(seed, shape)?.to_dtype(DType::F32)?)
}

fn bits(x: Option<&Tensor>) -> Result<Vec<u32>> {
    let elements = x.expect("a gradient").flatten_all()?.to_vec1::<f32>()?;
    Ok(elements.into_iter().map(f32::to_bits).collect())
}

/// Both gradients of `f`, with the same bits, of the variables.
fn same(vars: &[&Var], f: impl Fn() -> Result<Tensor>) -> Result<()> {
    let by_candle = f()?.backward()?;
    let (by_tape, ()) = gradients(|| Ok((f()?, ())))?;
    for v in vars {
        assert_eq!(bits(by_candle.get(v))?, bits(by_tape.get(v))?);
    }
    assert_eq!(by_tape.get_ids().count(), vars.len(), "gradients to what is no variable");
    Ok(())
}

/// Residuals, candle's own operations in between, weights and inputs used twice, and results that nothing comes of.
#[test]
fn a_small_network_has_candles_gradients() -> Result<()> {
    let (x, w, v) = (var(1, &[2, 3, 9, 8])?, var(2, &[3, 3, 3, 3])?, var(3, &[5, 3])?);
    let conv = Conv2d::new().padding(1);
    same(&[&x, &w, &v], || {
        let y = conv2d(&x, &w, None, &conv.relu(true))?;
        let _unused = relu(&y)?;
        let y = add(&conv2d(&y, &w, None, &conv)?, &x)?;
        let z = relu(&(y.tanh()? * 1.5)?)?;
        let z = max_pool2d(&z, &Pool2d::new(2, 2))?;
        let z = global_avg_pool2d(&z)?;
        sum_all(&gelu(&linear(&z, &v, None)?)?)
    })?;
    // one of ours takes candle's result and candle itself does, too: added behind it and not before
    let f = || {
        let z = (x.tanh()? * 1.5)?;
        relu(&z)? + (&z * 0.25)?
    };
    let by_candle = f()?.backward()?;
    let (by_tape, ()) = gradients(|| Ok((f()?, ())))?;
    let of_x = |all: &GradStore| all.get(&x).expect("a gradient").clone();
    assert!(max_difference(&of_x(&by_candle), &of_x(&by_tape))? < 1e-6);
    // three times the weight, and one loss that was computed early comes late: added in candle's order, not in that of the passes
    same(&[&x, &w], || {
        let pass = |x: &Tensor| conv2d(x, &w, None, &conv);
        let [first, second, third] = [pass(&x)?, pass(&(x.as_tensor() * 0.3)?)?, pass(&x.sqr()?)?];
        let [first, third, second] = [gelu(&first)?, gelu(&third)?, relu(&second)?];
        ((sum_all(&first)? + sum_all(&third)?)? + sum_all(&second)?)?
            + sum_all(&relu(&(third * 0.7)?)?)?
    })?;
    // a product's gradient, which candle gives a history, has none
    let (found, ()) = gradients(|| Ok((relu(&x.mul(&x)?)?, ())))?;
    assert!(!found.get(&x).expect("a gradient").track_op());
    // reshaped twice, and of three dimensions
    same(&[&v], || {
        let y = reshape(&reshape(&relu(&v)?, (1, 5, 3))?, (3, 5))?;
        linear(&reshape(&y, (3, 1, 5))?, &random(4, &[2, 5])?.to_dtype(DType::F32)?, None)
    })
}

#[test]
fn what_ends_at_a_result_or_a_variable_is_right() -> Result<()> {
    let x = var(1, &[4])?;
    // the root is an operation's result, of more than one element
    same(&[&x], || relu(&x))?;
    // the root is the variable
    let (of_itself, ()) = gradients(|| Ok((x.as_tensor().clone(), ())))?;
    assert_eq!(of_itself.get(&x).expect("ones").to_vec1::<f32>()?, [1.0; 4]);
    // nothing leads to a variable
    let (none, ()) = gradients(|| Ok((relu(&x.detach())?, ())))?;
    assert_eq!(none.get_ids().count(), 0);
    // a zero with a sign is candle's zero
    let down = Tensor::new(&[-0f32, -0.0, 1.0, 1.0], &Device::Cpu)?;
    same(&[&x], || relu(&x)?.mul(&down))
}

/// One within the other, as where a step of training looks for its worst disturbance; and a function that fails.
#[test]
fn recordings_nest_and_end() -> Result<()> {
    let (x, w) = (var(1, &[2, 3])?, var(2, &[3, 3])?);
    let step = |taped: bool| -> Result<Tensor> {
        let y = relu(&linear(&x, &w, None)?)?;
        let inner = Var::from_tensor(&y.detach())?;
        let loss = || linear(&relu(&inner)?, &w, None);
        let found = if taped { gradients(|| Ok((loss()?, ())))?.0 } else { loss()?.backward()? };
        y.mul(found.get(&inner).expect("a gradient"))
    };
    let by_candle = step(false)?.backward()?;
    let (by_tape, ()) = gradients(|| Ok((step(true)?, ())))?;
    for v in [&x, &w] {
        assert_eq!(bits(by_candle.get(v))?, bits(by_tape.get(v))?);
    }
    assert!(gradients::<()>(|| relu(&x)?.reshape(5).map(|y| (y, ()))).is_err());
    assert!(TAPES.with_borrow(Vec::is_empty));
    // candle's graph again
    assert!(relu(&x)?.backward()?.get(&x).is_some());
    Ok(())
}

/// A result is dropped when its gradient has passed: an operation in front of it sees that of what lies behind it there is nothing.
#[test]
fn results_are_dropped_on_the_way_back() -> Result<()> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static HELD: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    struct Held;
    impl Drop for Held {
        fn drop(&mut self) {
            HELD.fetch_sub(1, Ordering::SeqCst);
        }
    }
    /// Twice the argument. On the way back it counts the operations that are still there.
    struct Twice(#[allow(dead_code, reason = "counts when it is dropped")] Held);
    impl CustomOp1 for Twice {
        fn name(&self) -> &'static str {
            "twice"
        }
        fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
            let x = crate::cpu::contiguous::<f32>(s, l)?;
            Ok((CpuStorage::F32(x.iter().map(|v| 2.0 * v).collect()), l.shape().clone()))
        }
        fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
            if x.elem_count() == 3 && x.dims() == [3] {
                MOST.store(HELD.load(Ordering::SeqCst), Ordering::SeqCst);
            }
            (g * 2.0).map(Some)
        }
    }
    let x = var(1, &[3])?;
    let (found, ()) = gradients(|| {
        let mut y = x.as_tensor().clone();
        for _ in 0..5 {
            HELD.fetch_add(1, Ordering::SeqCst);
            y = apply1(&y, Twice(Held))?;
        }
        assert_eq!(HELD.load(Ordering::SeqCst), 5);
        Ok((y, ()))
    })?;
    assert_eq!(found.get(&x).expect("a gradient").to_vec1::<f32>()?, [32.0; 3]);
    assert_eq!(MOST.load(Ordering::SeqCst), 1, "the last one sees itself alone");
    assert_eq!(HELD.load(Ordering::SeqCst), 0);
    Ok(())
}

/// As networks whose weights are constants: pooled convolutions and several side by side.
#[test]
fn frozen_convolutions_have_candles_gradients() -> Result<()> {
    let x = var(1, &[2, 3, 12, 12])?;
    let weight = |seed, shape: &[usize]| random(seed, shape)?.to_dtype(DType::F32);
    let conv = Conv2d::new().padding(1).relu(true);
    let first = FrozenConv2d::new(&weight(2, &[4, 3, 3, 3])?, None, conv)?;
    let second = FrozenConv2d::new(&weight(3, &[5, 4, 3, 3])?, Some(&weight(4, &[5])?), conv)?;
    let small = Conv2d::new().relu(true);
    let third = FrozenConv2d::new(&weight(5, &[2, 4, 1, 1])?, None, small)?;
    same(&[&x], || {
        let y = first.forward_max_pool2d(&x, &Pool2d::new(2, 2))?;
        sum_all(&FrozenConv2d::forward_side_by_side(&[&second, &third], &y)?)
    })
}
