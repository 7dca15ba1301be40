use candle_core::{DType, Device, Result, Tensor, Var};

use super::*;

/// `f(arange(rows · columns) · step)` in f64.
fn wave(f: impl Fn(f64) -> f64, step: f64, rows: usize, columns: usize) -> Result<Tensor> {
    let values = (0..rows * columns).map(|i| f(i as f64 * step)).collect::<Vec<_>>();
    Tensor::from_vec(values, (rows, columns), &Device::Cpu)
}

/// torch.sin(torch.arange(20.) * 1.3).reshape(5, 4), torch.cos(torch.arange(12.) * .7).reshape(3, 4) * 1.5 + .2
fn features() -> Result<[Tensor; 2]> {
    Ok([wave(|x| x.sin(), 1.3, 5, 4)?, wave(|x| x.cos() * 1.5 + 0.2, 0.7, 3, 4)?])
}

/// The loss and its gradients to both.
fn at(
    inputs: &[Tensor; 2],
    loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<(f64, [Vec<f64>; 2])> {
    let [a, b] = [Var::from_tensor(&inputs[0])?, Var::from_tensor(&inputs[1])?];
    let value = loss(&a, &b)?;
    let gradients = value.backward()?;
    let of = |var: &Var| match gradients.get(var) {
        Some(gradient) => gradient.to_dtype(DType::F64)?.flatten_all()?.to_vec1(),
        None => Ok(Vec::new()),
    };
    Ok((value.to_dtype(DType::F64)?.to_scalar()?, [of(&a)?, of(&b)?]))
}

/// The first of the numbers that were found are these, to a part of `tolerance` (of 1 where they are smaller).
fn same(found: &[f64], want: &[f64], tolerance: f64) {
    assert!(found.len() >= want.len(), "{found:?}, expected {want:?}");
    for (found, want) in found.iter().zip(want) {
        let off = (found - want).abs();
        assert!(off <= tolerance * want.abs().max(1.0), "{found}, expected {want}");
    }
}

/// Central differences of the loss in each element of both, against the gradients.
fn check_gradients(inputs: &[Tensor; 2], loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) {
    let (_, gradients) = at(inputs, &loss).unwrap();
    for (which, found) in gradients.iter().enumerate() {
        assert_eq!(found.len(), inputs[which].elem_count());
        let values = inputs[which].flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for (i, found) in found.iter().enumerate() {
            let moved = |by: f64| {
                let mut values = values.clone();
                values[i] += by;
                let mut inputs = inputs.clone();
                inputs[which] =
                    Tensor::from_vec(values, inputs[which].shape(), &Device::Cpu).unwrap();
                loss(&inputs[0], &inputs[1]).unwrap().to_scalar::<f64>().unwrap()
            };
            let want = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - want).abs() < 1e-8, "input {which} at {i}: {found}, expected {want}");
        }
    }
}

/// The same in single precision.
fn single(inputs: &[Tensor; 2]) -> Result<[Tensor; 2]> {
    Ok([inputs[0].to_dtype(DType::F32)?, inputs[1].to_dtype(DType::F32)?])
}

/// With `features()` as s and t, and torch.sin(torch.arange(36.) * .9).reshape(3, 12),
/// torch.cos(torch.arange(48.) * .4).reshape(4, 12): ((torch.cov(s.T) - torch.cov(t.T))**2).sum() / (4 * d * d), its gradients s.grad[:1], t.grad[:1]
#[test]
fn coral_is_pytorchs() -> Result<()> {
    let narrow = features()?;
    // fewer rows than features
    let wide = [wave(|x| x.sin(), 0.9, 3, 12)?, wave(|x| x.cos(), 0.4, 4, 12)?];
    let of_narrow = (
        0.44281804132232083,
        [-0.06116340771866632, -0.04505549237076067, -0.02551465307489208, -0.0010628101532837862],
        [0.1299972497221787, 0.12686394130431536, 0.08835664276633036, -0.0047825592355146595],
    );
    let of_wide = (
        0.12317909246027454,
        [-0.0008740884945433898, 0.013759772576155469, 0.01733478856770667, 0.007674114258275581],
        [0.01036730619879609, 0.009161183691875522, 0.007354455205560178, 0.005367798916137845],
    );
    for (inputs, (loss, source, target)) in [(narrow, of_narrow), (wide, of_wide)] {
        for (inputs, tolerance) in [(single(&inputs)?, 1e-6), (inputs, 1e-14)] {
            let (found, gradients) = at(&inputs, coral)?;
            same(&[found], &[loss], tolerance);
            same(&gradients[0], &source, tolerance);
            same(&gradients[1], &target, tolerance);
        }
    }
    Ok(())
}

/// z = torch.cat([s, t]); d = ((z[None] - z[:, None])**2).sum(-1); b = d.detach().sum() / (8 * 7)
/// k = sum(torch.exp(-d / (b * 2.**i)) for i in range(-2, 3)); ss, tt, st = k[:5, :5], k[5:, 5:], k[:5, 5:]
/// biased: ss.mean() + tt.mean() - 2 * st.mean()
/// unbiased: (ss.sum() - ss.trace()) / (5 * 4) + (tt.sum() - tt.trace()) / (3 * 2) - 2 * st.mean()
#[test]
fn mmd_is_that_of_common_implementations() -> Result<()> {
    let inputs = features()?;
    for (estimator, loss, source, target) in [
        (
            Estimator::Biased,
            1.7193286085898531,
            [-0.28820986958309913, -0.23427685385300018, -0.0901256415082153, 0.03282551179494465],
            [0.26880208513033815, 0.3155671754589936, 0.2980195178772609, 0.176236536360452],
        ),
        (
            Estimator::Unbiased,
            0.14033814985877235,
            [-0.2990805252755818, -0.28764646314970554, -0.10780760175777371, 0.0767353137825632],
            [0.19191004791997965, 0.32769531720248946, 0.39346378400520254, 0.3101079971550718],
        ),
    ] {
        for (inputs, tolerance) in [(single(&inputs)?, 1e-6), (inputs.clone(), 1e-14)] {
            let (found, gradients) = at(&inputs, |s, t| mmd(s, t, &MULTIPLES, estimator))?;
            same(&[found], &[loss], tolerance);
            same(&gradients[0], &source, tolerance);
            same(&gradients[1], &target, tolerance);
        }
    }
    Ok(())
}

/// A large mean that both domains share changes neither: the differences alone count.
#[test]
fn what_both_domains_share_does_not_count() -> Result<()> {
    let inputs = features()?;
    let moved = single(&[(&inputs[0] + 1000.0)?, (&inputs[1] + 1000.0)?])?;
    let biased = |s: &Tensor, t: &Tensor| mmd(s, t, &MULTIPLES, Estimator::Biased);
    // a number near 1000 is known to 3e-5 in single precision
    same(&[at(&moved, coral)?.0], &[0.44281804132232083], 2e-4);
    same(&[at(&moved, biased)?.0], &[1.7193286085898531], 2e-4);
    Ok(())
}

#[test]
fn the_same_samples_are_no_way_apart() -> Result<()> {
    let [s, _] = features()?;
    let same_rows = [s.clone(), s.flip(&[0])?];
    let one_row = Tensor::full(3f64, (2, 4), &Device::Cpu)?;
    for inputs in [same_rows, [one_row.clone(), one_row]] {
        let biased = |s: &Tensor, t: &Tensor| mmd(s, t, &MULTIPLES, Estimator::Biased);
        for (found, gradients) in [at(&inputs, coral)?, at(&inputs, biased)?] {
            same(&[found], &[0.0], 1e-14);
            same(&gradients.concat(), &vec![0.0; gradients.concat().len()], 1e-14);
        }
    }
    Ok(())
}

/// a = torch.tensor([[1., 2., -.5], [100., -100., 0.], [-3., -3., 4.]])
/// b = torch.tensor([[.3, -1., 2.], [-100., 100., 50.], [0., 1., 2.]])
fn logits() -> Result<[Tensor; 2]> {
    let a = [[1f64, 2.0, -0.5], [100.0, -100.0, 0.0], [-3.0, -3.0, 4.0]];
    let b = [[0.3f64, -1.0, 2.0], [-100.0, 100.0, 50.0], [0.0, 1.0, 2.0]];
    Ok([Tensor::new(&a, &Device::Cpu)?, Tensor::new(&b, &Device::Cpu)?])
}

/// -(a.softmax(1) * a.log_softmax(1)).sum(1).mean()
/// F.kl_div(b.log_softmax(1), a.detach().log_softmax(1), log_target=True, reduction="batchmean")
/// F.cross_entropy(b, a.detach().softmax(1)), whose gradient is the same
#[test]
fn entropies_are_pytorchs() -> Result<()> {
    let inputs = logits()?;
    let of_entropy = [
        0.05114533315402536,
        -0.09086326565176348,
        0.03971793249773812,
        0.0,
        0.0,
        0.0,
        0.002119984831241354,
        0.002119984831241354,
        -0.004239969662482671,
    ];
    let of_kl = [
        -0.03516357291693436,
        -0.21642531165045667,
        0.2515888845673911,
        -0.3333333333333333,
        0.3333333333333333,
        6.429166159879725e-23,
        0.029706783744920473,
        0.08127274970639288,
        -0.11097953345131341,
    ];
    for (inputs, tolerance) in [(single(&inputs)?, 3e-7), (inputs, 1e-14)] {
        let (found, gradients) = at(&inputs, |a, _| conditional_entropy(a))?;
        same(&[found], &[0.260449918026826], tolerance);
        same(&gradients[0], &of_entropy, tolerance);
        for (found, value) in [
            (at(&inputs, kl)?, 67.44611380328963),
            (at(&inputs, cross_entropy_with)?, 67.70656372131646),
        ] {
            same(&[found.0], &[value], tolerance);
            assert!(found.1[0].is_empty(), "no gradient flows to the teacher");
            same(&found.1[1], &of_kl, tolerance);
        }
    }
    Ok(())
}

#[test]
fn gradients_are_finite_differences() -> Result<()> {
    let a = wave(|x| x.sin() * 3.0, 1.1, 4, 5)?;
    let b = wave(|x| x.cos() * 2.0, 0.8, 4, 5)?;
    check_gradients(&[a.clone(), b.clone()], coral);
    // fewer rows than features
    check_gradients(&[wave(|x| x.sin(), 0.9, 2, 6)?, wave(|x| x.cos(), 0.4, 3, 6)?], coral);
    let entropies = |a: &Tensor, b: &Tensor| conditional_entropy(a)? + conditional_entropy(b)?;
    check_gradients(&[a.clone(), b.clone()], entropies);
    // the teacher has none, so it is left out
    let student = |loss: fn(&Tensor, &Tensor) -> Result<Tensor>| {
        let (a, b) = (a.clone(), b.clone());
        move |x: &Tensor, y: &Tensor| loss(&a, x)? + loss(&b, y)?
    };
    check_gradients(&[b.clone(), a.clone()], student(kl));
    check_gradients(&[b.clone(), a.clone()], student(cross_entropy_with));
    Ok(())
}

#[test]
fn logits_of_any_size_give_finite_numbers() -> Result<()> {
    let far = Tensor::new(&[[1e4f32, -1e4, 0.0], [-3e38, 0.0, -1e30]], &Device::Cpu)?;
    let inputs = [far.clone(), far.flip(&[1])?];
    let entropy = |a: &Tensor, b: &Tensor| conditional_entropy(a)? + conditional_entropy(b)?;
    let (found, gradients) = at(&inputs, entropy)?;
    assert_eq!(found, 0.0);
    assert!(gradients.concat().iter().all(|gradient| *gradient == 0.0));
    let inputs = [(&far / 1e30)?, inputs[1].clamp(-1e4, 1e4)?];
    let (found, gradients) = at(&inputs, kl)?;
    assert!(found.is_finite() && gradients[1].iter().all(|gradient| gradient.is_finite()));
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let [s, t] = features()?;
    let none = s.narrow(0, 0, 0)?;
    let one = s.narrow(0, 0, 1)?;
    let slim = s.narrow(1, 0, 3)?;
    let biased = |s: &Tensor, t: &Tensor| mmd(s, t, &MULTIPLES, Estimator::Biased);
    let unbiased = |s: &Tensor, t: &Tensor| mmd(s, t, &MULTIPLES, Estimator::Unbiased);
    for (a, b) in [(&s, &slim), (&none, &t), (&s, &none), (&s.flatten_all()?, &t)] {
        assert!(coral(a, b).is_err() && biased(a, b).is_err() && unbiased(a, b).is_err());
    }
    assert!(coral(&one, &t).is_err() && unbiased(&s, &one).is_err());
    assert!(biased(&one, &one).is_ok());
    for multiples in [&[][..], &[1.0, 0.0], &[f64::NAN]] {
        assert!(mmd(&s, &t, multiples, Estimator::Biased).is_err());
    }
    assert!(conditional_entropy(&none).is_err() && conditional_entropy(&s.flatten_all()?).is_err());
    assert!(
        kl(&s, &t).is_err() && kl(&none, &none).is_err() && cross_entropy_with(&s, &t).is_err()
    );
    Ok(())
}
