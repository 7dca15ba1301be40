use super::*;
use crate::testing::{check_gradients, distinct, gradients, max_difference, random, strided};
use candle_core::{DType, Device, Var};
use proptest::prelude::*;

fn pools() -> impl Strategy<Value = (Pool2d, [usize; 4], u64)> {
    let one = || (1..4usize, 1..4usize, 0..2usize, 0..6usize);
    (one(), one(), any::<bool>(), 1..3usize, 1..3usize, any::<u64>()).prop_map(
        |(v, h, ceil_mode, n, c, seed)| {
            let (pv, ph) = (v.2.min(v.0 / 2), h.2.min(h.0 / 2));
            let pool =
                Pool2d { kernel: [v.0, h.0], stride: [v.1, h.1], padding: [pv, ph], ceil_mode };
            (pool, [n, c, v.0 + v.3, h.0 + h.3], seed)
        },
    )
}

/// Each element of the result from the definition; `f` gets the values of a window and the divisor.
fn naive(
    x: &Tensor,
    pool: &Pool2d,
    include: bool,
    f: impl Fn(&[f64], f64) -> f64,
) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let [oh, ow] = pool.output_size([h, w])?;
    let x = x.flatten_all()?.to_vec1::<f64>()?;
    let mut out = vec![];
    for plane in 0..n * c {
        for oy in 0..oh {
            for ox in 0..ow {
                let (mut inside, mut padded) = (vec![], 0.0);
                for ky in 0..pool.kernel[0] {
                    for kx in 0..pool.kernel[1] {
                        let y = (oy * pool.stride[0] + ky) as isize - pool.padding[0] as isize;
                        let x_ = (ox * pool.stride[1] + kx) as isize - pool.padding[1] as isize;
                        if y < (h + pool.padding[0]) as isize && x_ < (w + pool.padding[1]) as isize
                        {
                            padded += 1.0;
                        }
                        if (0..h as isize).contains(&y) && (0..w as isize).contains(&x_) {
                            inside.push(x[plane * h * w + y as usize * w + x_ as usize]);
                        }
                    }
                }
                let divisor = if include { padded } else { inside.len() as f64 };
                out.push(f(&inside, divisor));
            }
        }
    }
    Tensor::from_vec(out, (n, c, oh, ow), &Device::Cpu)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..Default::default() })]

    #[test]
    fn maximum_equals_its_definition((pool, shape, seed) in pools()) {
        let x = strided(&distinct(seed, &shape).unwrap()).unwrap();
        let y = max_pool2d(&x, &pool).unwrap();
        let want = naive(&x, &pool, true, |v, _| v.iter().copied().fold(f64::NEG_INFINITY, f64::max)).unwrap();
        prop_assert_eq!(max_difference(&y, &want).unwrap(), 0.0);
        prop_assert_eq!(max_difference(&max_composed(&x, &pool).unwrap(), &want).unwrap(), 0.0);
        check_gradients(&[x.contiguous().unwrap()], |a| max_pool2d(&strided(&a[0])?, &pool)).unwrap();
        check_gradients(&[x], |a| max_composed(&a[0], &pool)).unwrap();
    }

    #[test]
    fn average_equals_its_definition((pool, shape, seed) in pools(), include in any::<bool>()) {
        let x = strided(&random(seed, &shape).unwrap()).unwrap();
        let want = naive(&x, &pool, include, |v, divisor| v.iter().sum::<f64>() / divisor).unwrap();
        let composed = average_composed(&x, &pool, include).unwrap();
        prop_assert!(max_difference(&avg_pool2d(&x, &pool, include).unwrap(), &want).unwrap() < 1e-12);
        prop_assert!(max_difference(&composed, &want).unwrap() < 1e-12);
        check_gradients(&[x.contiguous().unwrap()], |a| avg_pool2d(&strided(&a[0])?, &pool, include)).unwrap();
        check_gradients(&[x], |a| average_composed(&a[0], &pool, include)).unwrap();
    }
}

#[test]
fn sizes_are_pytorchs() {
    // torch.nn.functional.max_pool2d(torch.zeros(1, 1, n, n), k, s, p, ceil_mode=c).shape[-1]
    for (n, k, s, p, ceil, want) in [
        (111, 3, 2, 0, true, 55),
        (112, 3, 2, 0, true, 56),
        (112, 3, 2, 0, false, 55),
        (5, 2, 3, 1, true, 2),
        (4, 2, 3, 1, true, 2),
        (3, 2, 4, 1, true, 1),
        (1, 1, 5, 0, true, 1),
    ] {
        let pool = Pool2d::new(k, s).padding(p).ceil_mode(ceil);
        assert_eq!(pool.output_size([n, n]).unwrap(), [want; 2], "{n} {k} {s} {p} {ceil}");
    }
    assert!(Pool2d::new(2, 2).padding(2).output_size([4, 4]).is_err());
    assert!(Pool2d::new(5, 1).output_size([4, 4]).is_err());
    assert!(Pool2d::new(0, 1).output_size([4, 4]).is_err());
    assert!(Pool2d::new(1, 0).output_size([4, 4]).is_err());
}

#[test]
fn first_of_equal_maxima_takes_the_gradient() -> Result<()> {
    let x = Tensor::ones((1, 1, 4, 6), DType::F32, &Device::Cpu)?;
    for pool in [Pool2d::new(2, 2), Pool2d::new(3, 3).padding(1), Pool2d::new(3, 2)] {
        for f in [max_pool2d, max_composed] {
            let y = Var::from_tensor(&x)?;
            let g = f(y.as_tensor(), &pool)?.sum_all()?.backward()?.get(&y).unwrap().clone();
            let g = g.flatten_all()?.to_vec1::<f32>()?;
            let [oh, ow] = pool.output_size([4, 6])?;
            let mut want = vec![0.0; 24];
            for i in 0..oh * ow {
                let first =
                    |d: usize, i: usize| (i * pool.stride[d]).saturating_sub(pool.padding[d]);
                want[first(0, i / ow) * 6 + first(1, i % ow)] += 1.0;
            }
            assert_eq!(g, want, "{pool:?}");
        }
    }
    Ok(())
}

/// Bit for bit, with many equal elements and some that are no numbers: the first largest of each window, windows in order.
#[test]
fn gradients_of_overlapping_windows_equal_their_definition() -> Result<()> {
    for (h, w, ceil) in
        [(7, 17, false), (8, 40, true), (9, 41, false), (36, 19, true), (3, 34, true)]
    {
        let pool = Pool2d::new(3, 2).ceil_mode(ceil);
        let x: Vec<f32> = (0..h * w)
            .map(|i| if i % 37 == 11 { f32::NAN } else { (i * 7919 % 5) as f32 })
            .collect();
        let [oh, ow] = pool.output_size([h, w])?;
        let weight: Vec<f32> = (0..oh * ow).map(|i| (i as f32 * 0.7).sin()).collect();
        let var = Var::from_tensor(&Tensor::from_slice(&x, (1, 1, h, w), &Device::Cpu)?)?;
        let factors = Tensor::from_slice(&weight, (1, 1, oh, ow), &Device::Cpu)?;
        let grads = (max_pool2d(var.as_tensor(), &pool)? * factors)?.sum_all()?.backward()?;
        let got = grads.get(&var).unwrap().flatten_all()?.to_vec1::<f32>()?;
        let mut want = vec![0f32; h * w];
        for (i, weight) in weight.iter().enumerate() {
            let of = |d: usize, at: usize, end: usize| 2 * at..(2 * at + pool.kernel[d]).min(end);
            let rows = of(0, i / ow, h);
            let places = rows.flat_map(|y| of(1, i % ow, w).map(move |x| y * w + x));
            let places: Vec<usize> = places.collect();
            let first = places.iter().copied().find(|&at| x[at].is_nan());
            let largest = places.iter().map(|&at| x[at]).fold(f32::MIN, f32::max);
            let found = match first {
                Some(nan) => nan,
                None => places.iter().copied().find(|&at| x[at] == largest).unwrap(),
            };
            want[found] += weight;
        }
        assert_eq!(got, want, "{h}x{w}");
    }
    Ok(())
}

#[test]
fn large_planes_equal_the_composition() -> Result<()> {
    for (pool, h, w) in
        [(Pool2d::new(3, 2).ceil_mode(true), 111, 111), (Pool2d::new(2, 2), 112, 113)]
    {
        let x = distinct(3, &[2, 3, h, w])?.to_dtype(DType::F32)?;
        let a = gradients(std::slice::from_ref(&x), |a| max_pool2d(&a[0], &pool))?;
        let b = gradients(&[x], |a| max_composed(&a[0], &pool))?;
        // overlapping windows are added in another order
        assert!(max_difference(&a[0], &b[0])? < 1e-6);
    }
    Ok(())
}

#[test]
fn global_average_is_the_mean() -> Result<()> {
    let x = random(5, &[2, 3, 4, 5])?;
    let want = x.mean((2, 3))?;
    assert!(max_difference(&global_avg_pool2d(&x)?, &want)? < 1e-15);
    check_gradients(&[x], |a| global_avg_pool2d(&a[0]))?;
    assert!(global_avg_pool2d(&Tensor::zeros((1, 2, 0, 3), DType::F32, &Device::Cpu)?).is_err());
    Ok(())
}
