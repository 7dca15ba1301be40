use super::*;
use crate::testing::{check_gradients, gradients, max_difference, random, strided};
use candle_core::{DType, Device};
use proptest::prelude::*;

fn every(x: &Tensor, size: [usize; 2], which: usize) -> Result<Tensor> {
    match which {
        0 => resize_bilinear(x, size, false),
        1 => resize_bilinear(x, size, true),
        2 => resize_nearest(x, size),
        3 => gaussian_blur(x, 3, 0.8),
        _ => gaussian_blur(x, 5, 1.5),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn gradients_are_finite_differences(
        h in 3..8usize, w in 3..8usize, oh in 1..10usize, ow in 1..10usize, which in 0..5usize, seed in any::<u64>(),
    ) {
        let x = strided(&random(seed, &[2, 1, h, w]).unwrap()).unwrap();
        check_gradients(&[x], |a| every(&strided(&a[0])?, [oh, ow], which)).unwrap();
    }
}

#[test]
fn the_composition_for_other_devices_agrees() -> Result<()> {
    let x = random(4, &[2, 3, 9, 7])?;
    for which in 0..5 {
        let low = x.to_dtype(DType::BF16)?;
        let y = every(&x, [5, 11], which)?;
        assert!(max_difference(&every(&low, [5, 11], which)?, &y)? < 0.03);
        let g = gradients(std::slice::from_ref(&x), |a| every(&a[0], [5, 11], which))?;
        let l = gradients(&[low], |a| every(&a[0], [5, 11], which))?;
        assert!(max_difference(&g[0], &l[0])? < 0.1);
    }
    Ok(())
}

/// x = (torch.arange(40.) * .7).sin().reshape(1, 1, 5, 8); f = torch.nn.functional.interpolate
/// f(x, (3, 11), mode="bilinear"), f(x, (3, 5), mode="bilinear", antialias=True), f(x, (7, 3)),
/// torchvision.transforms.functional.gaussian_blur(x, [5, 5], [1.3, 1.3]): each .flatten()[::4]
#[test]
fn numbers_are_pytorchs() -> Result<()> {
    let x = (Tensor::arange(0f32, 40.0, &Device::Cpu)? * 0.7)?.sin()?.reshape((1, 1, 5, 8))?;
    let all = [
        resize_bilinear(&x, [3, 11], false)?,
        resize_bilinear(&x, [3, 5], true)?,
        resize_nearest(&x, [7, 3])?,
        gaussian_blur(&x, 5, 1.3)?,
    ];
    for (got, want) in all.iter().zip(PYTORCH) {
        let got: Vec<f32> = got.flatten_all()?.to_vec1::<f32>()?.into_iter().step_by(4).collect();
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-5, "{got} {want}");
        }
    }
    Ok(())
}

const PYTORCH: [&[f32]; 4] = [
    &[
        -0.2104222, 0.8982941, -0.5200264, -0.7658358, 0.8300886, 0.02281347, -0.8989248,
        0.3906653, 0.6472367,
    ],
    &[-0.006322053, -0.8225152, 0.6588866, 0.006901124],
    &[0.0, 0.9854497, 0.3190989, -0.9791778, -0.6048337, 0.6941644],
    &[
        0.0112717, 0.5162495, -0.1385103, 0.5391299, -0.4451994, 0.5264339, -0.7000103, 0.4523936,
        -0.7809524, 0.3938728,
    ],
];

#[test]
fn bad_sizes_are_refused() -> Result<()> {
    let x = random(1, &[1, 1, 4, 2])?;
    assert!(resize_nearest(&x, [0, 3]).is_err());
    assert!(gaussian_blur(&x, 4, 1.0).is_err());
    assert!(gaussian_blur(&x, 5, 1.0).is_err());
    assert!(gaussian_blur(&x, 3, f64::NAN).is_err());
    Ok(())
}
