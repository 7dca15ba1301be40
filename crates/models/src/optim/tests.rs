use candle_core::{DType, Device};
use sconce_core::Result;
use sconce_ops::loss::weighted_sum;

use super::*;
use crate::init::Init;

/// Four steps on `(p − t)² · k` from PyTorch:
/// p = torch.tensor([1., -2., .5], requires_grad=True); t = torch.tensor([0., 1., 2.]); k = torch.tensor([.5, 1., 3.])
/// for _ in range(4): o.zero_grad(); ((p - t)**2 * k).sum().backward(); o.step()
fn run(method: Method, dtype: DType, restart_at: Option<usize>) -> Result<Vec<f32>> {
    let mut variables = Variables::new(0, &Device::Cpu);
    let start = Tensor::new(&[1f32, -2.0, 0.5], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    let p = variables.insert("p", &start, true)?;
    variables.parameter("idle", &[2], Init::Constant(1.0))?;
    let mut optimiser = Optimiser::new(method, &variables)?;
    for step in 0..4 {
        if restart_at == Some(step) {
            let mut saved = Tensors::default();
            optimiser.save("o.", &mut saved)?;
            optimiser = Optimiser::new(method, &variables)?;
            optimiser.restore("o.", &saved)?;
        }
        let loss = || {
            let t = Tensor::new(&[0f32, 1.0, 2.0], &Device::Cpu)?.to_dtype(dtype)?;
            let k = Tensor::new(&[0.5f32, 1.0, 3.0], &Device::Cpu)?.to_dtype(dtype)?;
            ((p.as_tensor() - t)?.sqr()? * k)?.sum_all()
        };
        let gradients = loss().and_then(|loss| loss.backward()).map_err(Error::other)?;
        optimiser.step(&gradients, 0.1).map_err(Error::other)?;
    }
    p.to_dtype(DType::F32).and_then(|p| p.to_vec1()).map_err(Error::other)
}

fn check(method: Method, want: [f32; 3]) {
    for dtype in [DType::F32, DType::F64] {
        for (got, want) in run(method, dtype, None).unwrap().iter().zip(want) {
            assert!((got - want).abs() < 2e-6, "{method:?} {dtype:?}: {got} {want}");
        }
    }
    let straight = run(method, DType::F32, None).unwrap();
    for restart in 0..4 {
        assert_eq!(run(method, DType::F32, Some(restart)).unwrap(), straight);
    }
}

#[test]
fn updates_are_pytorchs() {
    let sgd = Sgd { momentum: 0.0, weight_decay: 0.0, nesterov: false };
    // torch.optim.SGD with these numbers, lr .1
    check(Method::Sgd(sgd), [0.65609998, -0.22879994, 1.9616001]);
    check(Method::Sgd(Sgd { weight_decay: 0.3, ..sgd }), [0.57289761, -0.13917419, 1.8784344]);
    check(
        Method::Sgd(Sgd { momentum: 0.9, weight_decay: 0.3, ..sgd }),
        [0.042922683, 2.0988395, 2.9295752],
    );
    check(
        Method::Sgd(Sgd { momentum: 0.9, weight_decay: 0.3, nesterov: true }),
        [-0.074547417, 1.9648104, 1.9467517],
    );
    // torch.optim.Adam with these numbers, lr .1
    check(Method::Adam(Adam::default()), [0.60393912, -1.6009135, 0.8978011]);
    check(
        Method::Adam(Adam { betas: [0.5, 0.9], eps: 0.01, weight_decay: 0.2 }),
        [0.6174612, -1.6048275, 0.89034349],
    );
}

/// From PyTorch, with these optimisers at a rate of .1:
/// p = torch.tensor([1., -2., .5], requires_grad=True); q = torch.tensor([2., -1.], requires_grad=True)
/// t = torch.tensor([0., 1., 2.]); o = optimiser([p, q])
/// for w in [.5, 0, 0, .5]: o.zero_grad(); (((p - t)**2).sum() + w * ((q * p[0])**2).sum()).backward(); o.step()
#[test]
fn a_weight_of_zero_is_an_update_as_in_pytorch() {
    let sgd = Method::Sgd(Sgd { momentum: 0.9, weight_decay: 0.3, nesterov: false });
    let adam = Method::Adam(Adam { betas: [0.5, 0.9], eps: 1e-8, weight_decay: 0.2 });
    for (method, p_after, q_after) in [
        (sgd, [-1.0892154, 2.0988395, 2.2699533], [0.73330134, -0.36665067]),
        (adam, [0.68110847, -1.6041996, 0.88983577], [1.7105551, -0.71738291]),
    ] {
        let mut variables = Variables::new(0, &Device::Cpu);
        let device = &Device::Cpu;
        let start = Tensor::new(&[1f32, -2.0, 0.5], device).unwrap();
        let p = variables.insert("p", &start, true).unwrap();
        let q = Tensor::new(&[2f32, -1.0], device).unwrap();
        let q = variables.insert("q", &q, true).unwrap();
        let mut optimiser = Optimiser::new(method, &variables).unwrap();
        for weight in [0.5, 0.0, 0.0, 0.5] {
            let gradients = || {
                let first = (p.as_tensor() - Tensor::new(&[0f32, 1.0, 2.0], device)?)?;
                let second = q.broadcast_mul(&p.narrow(0, 0, 1)?)?;
                let losses = [first.sqr()?.sum_all()?, second.sqr()?.sum_all()?];
                weighted_sum(&[(1.0, &losses[0]), (weight, &losses[1])])?.backward()
            };
            optimiser.step(&gradients().unwrap(), 0.1).unwrap();
        }
        for (var, want) in [(p, p_after.to_vec()), (q, q_after.to_vec())] {
            for (got, want) in var.to_vec1::<f32>().unwrap().into_iter().zip(want) {
                assert!((got - want).abs() < 1e-6, "{method:?}: {got} {want}");
            }
        }
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    let variables = Variables::new(0, &Device::Cpu);
    for method in [
        Method::Sgd(Sgd { momentum: 1.0, ..Sgd::default() }),
        Method::Sgd(Sgd { weight_decay: f64::NAN, ..Sgd::default() }),
        Method::Adam(Adam { betas: [0.9, -0.1], ..Adam::default() }),
    ] {
        assert!(Optimiser::new(method, &variables).is_err());
    }
}

#[test]
fn rates_are_of_single_parameters() {
    let mut variables = Variables::new(0, &Device::Cpu);
    let slow = variables.parameter("slow", &[1], Init::Constant(1.0)).unwrap();
    let fast = variables.parameter("fast", &[1], Init::Constant(1.0)).unwrap();
    let sgd = Sgd { momentum: 0.0, weight_decay: 0.0, nesterov: false };
    let mut optimiser = Optimiser::new(Method::Sgd(sgd), &variables).unwrap();
    optimiser.set_rates(|name| if name == "slow" { 0.5 } else { 1.0 });
    let loss = (slow.as_tensor() + fast.as_tensor()).and_then(|sum| sum.sum_all()).unwrap();
    optimiser.step(&loss.backward().unwrap(), 0.25).unwrap();
    assert_eq!(slow.to_vec1::<f32>().unwrap(), [0.875]);
    assert_eq!(fast.to_vec1::<f32>().unwrap(), [0.75]);
}
