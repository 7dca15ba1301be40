use super::*;
use crate::testing::{check_gradients, gradients, max_difference, random, strided};
use proptest::prelude::*;

fn shapes() -> impl Strategy<Value = (Vec<usize>, Option<f64>, u64)> {
    let shape = prop_oneof![
        (2..5usize, 1..4usize).prop_map(|(n, c)| vec![n, c]),
        (2..4usize, 1..4usize, 1..20usize).prop_map(|(n, c, l)| vec![n, c, l]),
        (1..4usize, 1..4usize, 2..5usize, 1..6usize).prop_map(|(n, c, h, w)| vec![n, c, h, w]),
    ];
    let slope = prop_oneof![Just(None), Just(Some(0.0)), Just(Some(0.2))];
    (shape, slope, any::<u64>())
}

fn arguments(shape: &[usize], seed: u64) -> Result<[Tensor; 3]> {
    let (w, b) = (random(seed ^ 1, &shape[1..2])?, random(seed ^ 2, &shape[1..2])?);
    Ok([strided(&random(seed, shape)?)?, (w + 1.5)?, b])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..Default::default() })]

    #[test]
    fn training_equals_the_composition((shape, slope, seed) in shapes()) {
        let [x, w, b] = arguments(&shape, seed).unwrap();
        // a large eps keeps finite differences of nearly constant channels meaningful
        let norm = BatchNorm { eps: 0.1, slope };
        let s = Sizes::new(&x, [&w, &b]).unwrap();
        let (y, statistics) = norm.train(&x, &w, &b).unwrap();
        let (want, expected) = norm.train_composed(&x, &w, &b, &s).unwrap();
        prop_assert!(max_difference(&y, &want).unwrap() < 1e-12);
        prop_assert!(max_difference(&statistics.mean, &expected.mean).unwrap() < 1e-14);
        prop_assert!(max_difference(&statistics.var, &expected.var).unwrap() < 1e-14);
        let f = |a: &[Tensor]| Ok(norm.train(&strided(&a[0])?, &a[1], &a[2])?.0);
        let composed = |a: &[Tensor]| Ok(norm.train_composed(&a[0], &a[1], &a[2], &s)?.0);
        let all = [x, w, b];
        for (got, want) in gradients(&all, f).unwrap().iter().zip(gradients(&all, composed).unwrap()) {
            prop_assert!(max_difference(got, &want).unwrap() < 1e-11);
        }
        if slope.is_none() {
            check_gradients(&all, f).unwrap();
        }
    }

    #[test]
    fn evaluation_equals_its_definition((shape, slope, seed) in shapes()) {
        let [x, w, b] = arguments(&shape, seed).unwrap();
        let norm = BatchNorm { eps: 1e-3, slope };
        let statistics = RunningStatistics {
            mean: random(seed ^ 3, &shape[1..2]).unwrap(),
            var: (random(seed ^ 4, &shape[1..2]).unwrap() + 1.2).unwrap(),
        };
        let s = Sizes::new(&x, [&w, &b]).unwrap();
        let composed = |a: &[Tensor]| {
            let centred = a[0].broadcast_sub(&s.column(&statistics.mean)?)?;
            norm.scale_composed(&centred, &statistics.var, &a[1], &a[2], &s)
        };
        let f = |a: &[Tensor]| norm.eval(&strided(&a[0])?, &a[1], &a[2], &statistics);
        let all = [x, w, b];
        prop_assert!(max_difference(&f(&all).unwrap(), &composed(&all).unwrap()).unwrap() < 1e-12);
        for (got, want) in gradients(&all, f).unwrap().iter().zip(gradients(&all, composed).unwrap()) {
            prop_assert!(max_difference(got, &want).unwrap() < 1e-11);
        }
        if slope.is_none() {
            check_gradients(&all, f).unwrap();
        }
    }
}

/// x = torch.arange(24.).reshape(2, 3, 2, 2).sin() * 2 + torch.arange(3.).reshape(3, 1, 1); x.requires_grad_()
/// w = torch.tensor([.5, 1., -2.], requires_grad=True); b = torch.tensor([.1, .2, .3], requires_grad=True)
/// m, v = torch.zeros(3), torch.ones(3)
/// y = torch.nn.functional.leaky_relu(torch.nn.functional.batch_norm(x, m, v, w, b, True, .1, 1e-5), .2)
/// (y * torch.arange(24.).reshape(2, 3, 2, 2).cos()).sum().backward()
/// m, v, y.flatten()[::5], x.grad.flatten()[::5], w.grad, b.grad
#[test]
fn numbers_are_pytorchs() -> Result<()> {
    let i = Tensor::arange(0f32, 24.0, &Device::Cpu)?.reshape((2, 3, 2, 2))?;
    let c = Tensor::arange(0f32, 3.0, &Device::Cpu)?.reshape((1, 3, 1, 1))?;
    let x = candle_core::Var::from_tensor(&(i.sin()? * 2.0)?.broadcast_add(&c)?)?;
    let w = candle_core::Var::new(&[0.5f32, 1.0, -2.0], &Device::Cpu)?;
    let b = candle_core::Var::new(&[0.1f32, 0.2, 0.3], &Device::Cpu)?;
    let (y, batch) = BatchNorm::default().rectified(0.2).train(&x, &w, &b)?;
    let running = RunningStatistics::new(3, DType::F32, &Device::Cpu)?.updated(&batch, 0.1)?;
    let grads = (&y * i.cos()?)?.sum_all()?.backward()?;
    let every_fifth = |t: &Tensor| -> Result<Vec<f32>> {
        Ok(t.flatten_all()?.to_vec1::<f32>()?.into_iter().step_by(5).collect())
    };
    for (got, want) in [
        (running.mean.to_vec1::<f32>()?, PYTORCH[0]),
        (running.var.to_vec1::<f32>()?, PYTORCH[1]),
        (every_fifth(&y)?, PYTORCH[2]),
        (every_fifth(grads.get(&x).unwrap())?, PYTORCH[3]),
        (grads.get(&w).unwrap().to_vec1::<f32>()?, PYTORCH[4]),
        (grads.get(&b).unwrap().to_vec1::<f32>()?, PYTORCH[5]),
    ] {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 2e-5, "{got} {want}");
        }
    }
    Ok(())
}

const PYTORCH: [&[f32]; 6] = [
    &[0.08540945, 0.02028584, 0.2187999],
    &[1.012256, 1.032842, 1.164203],
    &[-0.06617761, -0.1678969, 1.978498, 0.3252485, -0.370895],
    &[0.03508075, 0.1508486, 0.4870946, -0.4044943, -0.2946354],
    &[-0.5387563, 2.496791, 1.362472],
    &[0.579424, 1.748152, -2.606695],
];

#[test]
fn large_means_lose_no_digits() -> Result<()> {
    let x = (random(3, &[64, 2, 9, 9])?.to_dtype(DType::F32)? + 1000.0)?;
    let s = Sizes::of(x.dims())?;
    let exact = cpu::norm::moments::<f64>(&x.to_dtype(DType::F64)?, &s)?;
    for ((mean, var), (m, v)) in exact.iter().zip(cpu::norm::moments::<f32>(&x, &s)?) {
        assert!((mean - m).abs() < 1e-4 && (var - v).abs() < 1e-6 * var, "{mean} {m} {var} {v}");
    }
    Ok(())
}

#[test]
fn constants_get_no_gradient_and_wrong_shapes_are_refused() -> Result<()> {
    let [x, w, b] = arguments(&[3, 2, 4], 1)?;
    let v = candle_core::Var::from_tensor(&w)?;
    let grads = BatchNorm::default().train(&x, &v, &b)?.0.sum_all()?.backward()?;
    assert!(grads.get(&v).is_some() && grads.get(&x).is_none() && grads.get(&b).is_none());
    let norm = BatchNorm::default();
    assert!(norm.train(&random(1, &[1, 2])?, &w, &b).is_err());
    assert!(norm.train(&random(1, &[4, 3])?, &w, &b).is_err());
    assert!(norm.train(&random(1, &[4])?, &w, &b).is_err());
    Ok(())
}

/// `torch.nn.functional.layer_norm(x, (4,), w, b, .1)` in f64, `(y * r).sum().backward()` with `r = [[1., -2, .5, 3], [2, 0, -1, 1]]`.
#[test]
fn layer_norm_is_pytorchs() -> Result<()> {
    let cpu = &Device::Cpu;
    let x = Tensor::new(&[[1f64, 2., 4., -1.], [0.5, 0.25, -2., 8.]], cpu)?;
    let (w, b) =
        (Tensor::new(&[1f64, 0.5, -1., 2.], cpu)?, Tensor::new(&[0f64, 0.1, 0.2, 0.3], cpu)?);
    let r = Tensor::new(&[[1f64, -2., 0.5, 3.], [2., 0., -1., 1.]], cpu)?;
    let all = [x, w, b];
    let y = layer_norm(&all[0], &all[1], &all[2], 0.1)?;
    let want = Tensor::new(&LAYER_NORM[0], cpu)?;
    assert!(max_difference(&y, &want)? < 1e-14, "{y}");
    let weighted = |a: &[Tensor]| layer_norm(&a[0], &a[1], &a[2], 0.1)?.mul(&r)?.sum_all();
    let vars = all.iter().map(candle_core::Var::from_tensor).collect::<Result<Vec<_>>>()?;
    let args: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let found = weighted(&args)?.backward()?;
    let want = [
        Tensor::new(&LAYER_NORM[1], cpu)?,
        Tensor::new(&LAYER_NORM[2][0], cpu)?,
        Tensor::new(&[3f64, -2., -0.5, 4.], cpu)?,
    ];
    for (var, want) in vars.iter().zip(&want) {
        assert!(max_difference(found.get(var).unwrap(), want)? < 1e-14);
    }
    Ok(())
}

const LAYER_NORM: [[[f64; 4]; 2]; 3] = [
    [
        [-0.2731791823540765, 0.23658959117703826, -1.1658959117703827, -2.4317918235407654],
        [-0.31369198334579307, -0.08986620044613791, 1.1740961588106207, 3.6350410860973787],
    ],
    [
        [-0.5565516177810663, -0.9459338851663545, 0.7339142212497578, 0.7685712816976629],
        [0.23403430748468435, -0.2867283897618648, 0.045479068551881885, 0.007215013725298536],
    ],
    [
        [-0.9005631490456626, -0.5463583647081531, 1.657044114695812, -2.4301671922624584],
        [0.0, 0.0, 0.0, 0.0],
    ],
];

/// Of both types, of narrow and wide rows, many and few, whatever their strides.
#[test]
fn layer_norm_equals_its_composition() -> Result<()> {
    let f = |a: &[Tensor]| layer_norm(&strided(&a[0])?, &a[1], &a[2], 1e-3);
    check_gradients(&[random(1, &[2, 3, 7])?, random(2, &[7])?, random(3, &[7])?], f)?;
    for shape in [&[5usize, 384][..], &[1, 1], &[2, 300, 96], &[70_000, 3]] {
        let width = shape.last().copied().unwrap_or(1);
        let all = [random(1, shape)?, random(2, &[width])?, random(3, &[width])?];
        let composed =
            |a: &[Tensor]| crate::device::composed(|| layer_norm(&a[0], &a[1], &a[2], 1e-3));
        let f = |a: &[Tensor]| layer_norm(&a[0], &a[1], &a[2], 1e-3);
        let single = all.iter().map(|t| t.to_dtype(DType::F32)).collect::<Result<Vec<_>>>()?;
        let want = composed(&all)?;
        assert!(max_difference(&f(&all)?, &want)? < 1e-12);
        assert!(max_difference(&f(&single)?, &want)? < 1e-5);
        let gradients = [gradients(&all, composed)?, gradients(&all, f)?, gradients(&single, f)?];
        let [want, double, single] = gradients;
        for ((want, double), single) in want.iter().zip(&double).zip(&single) {
            let scale = 1.0 + max_difference(want, &want.zeros_like()?)?;
            assert!(max_difference(double, want)? <= 1e-11 * scale);
            assert!(max_difference(single, want)? <= 2e-5 * scale);
        }
    }
    let (x, w) = (random(1, &[2, 4])?, random(2, &[4])?);
    assert!(layer_norm(&x, &w, &random(2, &[3])?, 0.1).is_err());
    assert!(layer_norm(&random(1, &[2, 0])?, &random(1, &[0])?, &random(1, &[0])?, 0.1).is_err());
    Ok(())
}
