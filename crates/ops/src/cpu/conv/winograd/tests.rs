use super::*;
use crate::conv::tests::naive;
use crate::conv::{Conv2d, conv2d};
use crate::cpu::kernel::levels;
use crate::testing::{gradients, max_difference, random};
use candle_core::{Device, Result, Tensor};

/// Tiles of both sizes that fill the result and that reach past it, several panels, groups and rounds.
#[test]
fn winograd_equals_the_definition() -> Result<()> {
    fn check<T: Element>(x: [usize; 4], m: usize, p: usize, tolerance: f64) -> Result<()> {
        let w = [m, x[1], 3, 3];
        let conv = Conv2d::new().padding(p);
        let (xs, ws, b) = (random(1, &x)?, random(2, &w)?, random(3, &[m])?);
        let flat = |t: &Tensor| -> Result<Vec<T>> {
            Ok(t.flatten_all()?.to_vec1::<f64>()?.into_iter().map(T::from_f64).collect())
        };
        let sizes = conv.sizes(&x, &w)?;
        let want = naive(&xs, &ws, Some(&b), &conv)?;
        let grads = gradients(std::slice::from_ref(&xs), |a| conv2d(&a[0], &ws, None, &conv))?;
        let g = random(77, want.dims())?;
        let (forward, transposed) =
            (Shape::forward(&sizes).unwrap(), Shape::transposed(&sizes).unwrap());
        let small = [forward, transposed].map(|shape| shape.precise().unwrap());
        for (&level, [forward, transposed]) in
            levels().iter().flat_map(|level| [(level, [forward, transposed]), (level, small)])
        {
            let kernel = T::kernel_at(level);
            let method = forward.method;
            let compare = |y: Vec<T>, want: &Tensor| -> Result<()> {
                let y = Tensor::from_vec(y, want.shape(), &Device::Cpu)?;
                let scale = want.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?;
                let off = max_difference(&y, want)? / scale.max(1.0);
                assert!(off < tolerance, "{level:?} {method:?} {x:?} {m} {p}: {off}");
                Ok(())
            };
            for relu in [false, true] {
                let filters = transform(&forward, &kernel, &flat(&ws)?);
                let mut y = vec![T::from_f64(f64::NAN); want.elem_count()];
                let input = Input { x: &flat(&xs)?, mask: None };
                run(
                    &forward,
                    &kernel,
                    input,
                    &filters,
                    Some(&flat(&b)?),
                    relu,
                    Target::whole(&mut y, x[0]),
                );
                compare(y, &if relu { want.relu()? } else { want.clone() })?;
            }
            let filters = transform(&transposed, &kernel, &flat(&ws)?);
            let mut dx = vec![T::from_f64(f64::NAN); xs.elem_count()];
            let g = flat(&g)?;
            let plain = Input { x: &g, mask: None };
            run(&transposed, &kernel, plain, &filters, None, false, Target::whole(&mut dx, x[0]));
            compare(dx.clone(), &grads[0])?;
            // a mask is as good as zeros
            let mask: Vec<T> = (0..g.len()).map(|i| T::from_f64((i % 3) as f64 - 1.0)).collect();
            let zeros = |(&g, &m): (&T, &T)| if m <= T::zero() { T::zero() } else { g };
            let cut: Vec<T> = g.iter().zip(&mask).map(zeros).collect();
            let masked = Input { x: &g, mask: Some(&mask) };
            run(&transposed, &kernel, masked, &filters, None, false, Target::whole(&mut dx, x[0]));
            let mut want = dx.clone();
            let cut = Input { x: &cut, mask: None };
            run(&transposed, &kernel, cut, &filters, None, false, Target::whole(&mut want, x[0]));
            assert!(dx == want, "{level:?} {method:?} {x:?}");
        }
        Ok(())
    }
    for (x, m, p) in [
        ([1, 1, 3, 3], 1, 0),
        ([1, 2, 4, 4], 3, 1),
        ([2, 3, 9, 7], 5, 1),
        ([3, 5, 14, 14], 33, 1),
        ([2, 4, 6, 75], 20, 2),
        ([1, 130, 31, 30], 17, 1),
        ([5, 600, 10, 10], 4, 1),
    ] {
        check::<f64>(x, m, p, 1e-12)?;
        check::<f32>(x, m, p, 4e-6)?;
    }
    Ok(())
}
