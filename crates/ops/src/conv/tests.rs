use super::*;
use crate::cpu::kernel::tests::at_each_level;
use crate::testing::{check_gradients, gradients, max_difference, random, strided};
use candle_core::{DType, Device, Var};
use proptest::prelude::*;

/// The definition, output by output, in f64.
pub(crate) fn naive(x: &Tensor, w: &Tensor, b: Option<&Tensor>, conv: &Conv2d) -> Result<Tensor> {
    let s = conv.sizes(x.dims(), w.dims())?;
    let flat = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let (xs, ws) = (flat(x)?, flat(w)?);
    let bs = b.map(flat).transpose()?.unwrap_or_else(|| vec![0.0; s.outputs]);
    let mut out = vec![];
    for n in 0..s.batch {
        for m in 0..s.outputs {
            for i in 0..s.output[0] {
                for j in 0..s.output[1] {
                    let mut sum = bs[m];
                    for c in 0..s.channels {
                        for u in 0..s.kernel[0] {
                            for v in 0..s.kernel[1] {
                                let y =
                                    (i * s.stride[0] + u * s.dilation[0]).checked_sub(s.padding[0]);
                                let x =
                                    (j * s.stride[1] + v * s.dilation[1]).checked_sub(s.padding[1]);
                                let (Some(y), Some(x)) = (y, x) else { continue };
                                if y < s.input[0] && x < s.input[1] {
                                    sum += xs
                                        [((n * s.channels + c) * s.input[0] + y) * s.input[1] + x]
                                        * ws[((m * s.channels + c) * s.kernel[0] + u)
                                            * s.kernel[1]
                                            + v];
                                }
                            }
                        }
                    }
                    out.push(if conv.relu { sum.max(0.0) } else { sum });
                }
            }
        }
    }
    Tensor::from_vec(out, (s.batch, s.outputs, s.output[0], s.output[1]), &Device::Cpu)
}

fn f32s(t: &Tensor) -> Tensor {
    t.to_dtype(DType::F32).unwrap()
}

prop_compose! {
    /// Settings, and shapes of input and weight, both small.
    fn small()(
        v in (1..4usize, 1..4usize, 0..3usize, 1..3usize, 0..5usize),
        h in (1..4usize, 1..4usize, 0..3usize, 1..3usize, 0..5usize),
        (n, c, m) in (1..3usize, 1..4usize, 1..5usize),
        seed in any::<u64>(),
    ) -> (Conv2d, [usize; 4], [usize; 4], u64) {
        let conv = Conv2d {
            stride: [v.1, h.1],
            padding: [v.2, h.2],
            dilation: [v.3, h.3],
            ..Conv2d::default()
        };
        let size = |d: (usize, usize, usize, usize, usize)| (d.3 * (d.0 - 1) + 1 + d.4).saturating_sub(2 * d.2).max(1);
        (conv, [n, c, size(v), size(h)], [m, c, v.0, h.0], seed)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn convolution_equals_its_definition((conv, x, w, seed) in small()) {
        let (x, w) = (random(seed, &x).unwrap(), random(seed ^ 1, &w).unwrap());
        let b = random(seed ^ 2, &[w.dim(0).unwrap()]).unwrap();
        let want = naive(&x, &w, Some(&b), &conv).unwrap();
        let xs = strided(&x).unwrap();
        prop_assert!(max_difference(&conv2d(&xs, &w, Some(&b), &conv).unwrap(), &want).unwrap() < 1e-12);
        let single = conv2d(&f32s(&xs), &f32s(&w), Some(&f32s(&b)), &conv).unwrap();
        prop_assert!(max_difference(&single, &want).unwrap() < 1e-5);
        let relu = conv.relu(true);
        let single = conv2d(&f32s(&xs), &f32s(&w), None, &relu).unwrap();
        prop_assert!(max_difference(&single, &naive(&x, &w, None, &relu).unwrap()).unwrap() < 1e-5);
        let composed = composed::conv2d(&x, &w, Some(&b), &conv).unwrap();
        prop_assert!(max_difference(&composed, &want).unwrap() < 1e-12);
    }

    #[test]
    fn convolution_gradients_equal_finite_differences((conv, x, w, seed) in small()) {
        let b = random(seed ^ 2, &[w[0]]).unwrap();
        let args = [random(seed, &x).unwrap(), random(seed ^ 1, &w).unwrap(), b];
        check_gradients(&args, |a| conv2d(&strided(&a[0])?, &strided(&a[1])?, Some(&a[2]), &conv)).unwrap();
        // single precision and the composition against the double precision just checked
        let want = gradients(&args, |a| conv2d(&a[0], &a[1], Some(&a[2]), &conv)).unwrap();
        let single = gradients(&args.each_ref().map(f32s), |a| conv2d(&a[0], &a[1], Some(&a[2]), &conv)).unwrap();
        let composed = gradients(&args, |a| composed::conv2d(&a[0], &a[1], Some(&a[2]), &conv)).unwrap();
        for i in 0..3 {
            prop_assert!(max_difference(&single[i], &want[i]).unwrap() < 1e-4);
            prop_assert!(max_difference(&composed[i], &want[i]).unwrap() < 1e-11);
        }
    }

    #[test]
    fn transpose_equals_the_gradient_of_the_convolution((conv, x, w, seed) in small(), extra in 0..2usize) {
        let t = ConvTranspose2d {
            stride: conv.stride,
            padding: conv.padding,
            output_padding: conv.stride.map(|s| extra.min(s - 1)),
            dilation: conv.dilation,
            relu: false,
        };
        let Ok(size) = t.output_size([x[2], x[3]], [w[2], w[3]]) else { return Ok(()) };
        // ⟨conv(u), x⟩ = ⟨u, transpose(x)⟩ for all u: its gradient to u is the transpose of x
        let x = random(seed, &x).unwrap();
        let w = random(seed ^ 1, &[w[1], w[0], w[2], w[3]]).unwrap();
        let b = random(seed ^ 2, &[w.dim(1).unwrap()]).unwrap();
        let large = [x.dim(0).unwrap(), w.dim(1).unwrap(), size[0], size[1]];
        let u = Var::from_tensor(&random(seed ^ 3, &large).unwrap()).unwrap();
        let y = conv2d(u.as_tensor(), &w, None, &conv).unwrap();
        let grads = (y * &x).unwrap().sum_all().unwrap().backward().unwrap();
        let want = grads.get(&u).unwrap().broadcast_add(&b.reshape((1, (), 1, 1)).unwrap()).unwrap();
        let got = conv_transpose2d(&strided(&x).unwrap(), &w, Some(&b), &t).unwrap();
        prop_assert!(max_difference(&got, &want).unwrap() < 1e-12);
        let composed = transpose::composed(&x, &w, Some(&b), &t, size).unwrap();
        prop_assert!(max_difference(&composed, &want).unwrap() < 1e-12);
        let args = [x, w, b];
        check_gradients(&args, |a| conv_transpose2d(&a[0], &strided(&a[1])?, Some(&a[2]), &t)).unwrap();
        let want = gradients(&args, |a| conv_transpose2d(&a[0], &a[1], Some(&a[2]), &t)).unwrap();
        let composed = gradients(&args, |a| transpose::composed(&a[0], &a[1], Some(&a[2]), &t, size)).unwrap();
        for i in 0..3 {
            prop_assert!(max_difference(&composed[i], &want[i]).unwrap() < 1e-11);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..Default::default() })]

    /// As many outputs and channels as fill vectors, in single precision: the sums that read the input where it lies, both ways.
    #[test]
    fn wide_convolutions_equal_double_precision((conv, x, w, seed) in small(), c in 12..40usize, m in 12..70usize) {
        let (x, w) = ([x[0], c, x[2], x[3]], [m, c, w[2], w[3]]);
        let args = [random(seed, &x).unwrap(), random(seed ^ 1, &w).unwrap(), random(seed ^ 2, &[m]).unwrap()];
        let single = args.each_ref().map(f32s);
        let f = |a: &[Tensor]| conv2d(&a[0], &a[1], Some(&a[2]), &conv);
        let want = naive(&args[0], &args[1], Some(&args[2]), &conv).unwrap();
        let want_gradients = gradients(&args, f).unwrap();
        at_each_level(|_| {
            prop_assert!(max_difference(&f(&single).unwrap(), &want).unwrap() < 1e-4);
            for (got, want) in gradients(&single, f).unwrap().iter().zip(&want_gradients) {
                prop_assert!(max_difference(got, want).unwrap() < 1e-3);
            }
            Ok(())
        })?;
    }
}

/// Shapes large enough for several blocks, groups of channels, tasks and images in a copy.
const LARGE: [([usize; 4], [usize; 4], usize, usize); 8] = [
    ([2, 40, 30, 29], [50, 40, 3, 3], 1, 1),
    ([1, 70, 21, 19], [45, 70, 3, 3], 1, 1),
    ([3, 20, 14, 14], [33, 20, 5, 5], 1, 2),
    ([2, 130, 9, 13], [31, 130, 1, 1], 1, 0),
    ([5, 16, 17, 16], [20, 16, 4, 4], 2, 1),
    ([1, 3, 61, 60], [20, 3, 7, 7], 2, 0),
    ([2, 90, 4, 4], [40, 90, 4, 4], 1, 0),
    ([3, 12, 23, 40], [9, 12, 3, 3], 3, 1),
];

#[test]
fn large_shapes_equal_double_precision() -> Result<()> {
    for (x, w, stride, padding) in LARGE {
        let conv = Conv2d::new().stride(stride).padding(padding).relu(true);
        let args = [random(1, &x)?, random(2, &w)?, random(3, &w[..1])?];
        let single = args.each_ref().map(f32s);
        let f = |a: &[Tensor]| conv2d(&a[0], &a[1], Some(&a[2]), &conv);
        let want = f(&args)?;
        assert!(max_difference(&naive(&args[0], &args[1], Some(&args[2]), &conv)?, &want)? < 1e-11);
        // gradients without the rectifier, whose mask may differ near zero
        let plain = conv.relu(false);
        let g = |a: &[Tensor]| conv2d(&a[0], &a[1], Some(&a[2]), &plain);
        let want_gradients = gradients(&args, g)?;
        at_each_level(|level| {
            assert!(
                max_difference(&f(&single)?, &want)? < 1e-5 * largest(&want)?,
                "{level:?} {x:?}"
            );
            for (got, want) in gradients(&single, g)?.iter().zip(&want_gradients) {
                assert!(max_difference(got, want)? < 1e-5 * largest(want)?, "{level:?} {x:?}");
            }
            Ok::<_, candle_core::Error>(())
        })?;
    }
    Ok(())
}

fn largest(t: &Tensor) -> Result<f64> {
    t.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()
}

/// A layer of VGG16's shape and statistics: rectified inputs, weights of deviation √(2 / fan-in).
/// What [`Algorithm::Fastest`] promises of Winograd's method, and what the direct sum gives.
#[test]
fn errors_of_both_algorithms_are_as_documented() -> Result<()> {
    let (x, w) = (random(1, &[1, 256, 28, 28])?.relu()?, random(2, &[32, 256, 3, 3])?);
    let w = (w * (6.0f64 / (256.0 * 9.0)).sqrt())?;
    let conv = Conv2d::new().padding(1);
    let want = naive(&x, &w, None, &conv)?;
    let error = |algorithm| -> Result<f64> {
        let y = conv2d(&f32s(&x), &f32s(&w), None, &conv.algorithm(algorithm))?;
        Ok(max_difference(&y, &want)? / largest(&want)?)
    };
    let (fast, direct) = (error(Algorithm::Fastest)?, error(Algorithm::Direct)?);
    println!("largest error relative to the largest value: fastest {fast:e}, direct {direct:e}");
    assert!(fast < 2e-6 && direct < 2e-6, "{fast} {direct}");
    assert!(fast != direct, "was Winograd's method used?");
    Ok(())
}

#[test]
fn threads_do_not_change_a_bit() -> Result<()> {
    let run = |threads: usize| -> Result<Vec<Vec<f32>>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut out = vec![];
            for (x, w, stride, padding) in LARGE {
                let conv = Conv2d::new().stride(stride).padding(padding).relu(true);
                let args = [random(1, &x)?, random(2, &w)?, random(3, &w[..1])?].map(|t| f32s(&t));
                let f = |a: &[Tensor]| conv2d(&a[0], &a[1], Some(&a[2]), &conv);
                out.push(f(&args)?.flatten_all()?.to_vec1()?);
                for g in gradients(&args, f)? {
                    out.push(g.flatten_all()?.to_vec1()?);
                }
            }
            Ok(out)
        })
    };
    let one = run(1)?;
    for threads in [2, 3, 7] {
        assert!(run(threads)? == one, "{threads} threads");
    }
    Ok(())
}

#[test]
fn what_needs_no_gradient_gets_none() -> Result<()> {
    let x = Var::from_tensor(&random(1, &[1, 2, 5, 5])?)?;
    let w = random(2, &[3, 2, 3, 3])?;
    let y = conv2d(x.as_tensor(), &w, None, &Conv2d::new())?;
    let grads = y.sum_all()?.backward()?;
    assert!(grads.get(&x).is_some());
    assert!(grads.get(&w).is_none());
    assert!(!conv2d(&w, &w, None, &Conv2d::new().padding(2))?.track_op());
    Ok(())
}

#[test]
fn frozen_convolutions_equal_plain_ones() -> Result<()> {
    for (x, w, stride, padding) in LARGE {
        let conv = Conv2d::new().stride(stride).padding(padding);
        let (x, w, b) = (random(1, &x)?, random(2, &w)?, random(3, &w[..1])?);
        let frozen = FrozenConv2d::new(&f32s(&w), Some(&f32s(&b)), conv)?;
        for _ in 0..2 {
            let y = frozen.forward(&f32s(&x))?;
            assert!(max_difference(&y, &conv2d(&x, &w, Some(&b), &conv)?)? < 1e-3);
            let got = gradients(&[f32s(&x)], |a| frozen.forward(&a[0]))?;
            let want = gradients(std::slice::from_ref(&x), |a| conv2d(&a[0], &w, Some(&b), &conv))?;
            assert!(max_difference(&got[0], &want[0])? < 1e-3);
        }
        // a fused rectifier is one behind the convolution
        let rectified = frozen.relu(true);
        let x = [f32s(&x)];
        assert_eq!(
            max_difference(&rectified.forward(&x[0])?, &frozen.forward(&x[0])?.relu()?)?,
            0.0
        );
        let got = gradients(&x, |a| rectified.forward(&a[0]))?;
        let want = gradients(&x, |a| crate::activation::relu(&frozen.forward(&a[0])?))?;
        assert_eq!(max_difference(&got[0], &want[0])?, 0.0);
    }
    assert!(FrozenConv2d::new(&random(1, &[2, 3])?, None, Conv2d::new()).is_err());
    Ok(())
}

/// The method is chosen for one image: at 7 × 7 Winograd's is thought to pay for twenty of them and not for one.
#[test]
fn an_image_does_not_depend_on_its_batch() -> Result<()> {
    type Way<'a> = &'a dyn Fn(&Tensor) -> Result<Tensor>;
    /// The results of some images, and then their gradients.
    fn run(f: Way<'_>, x: &Tensor, first: usize, count: usize) -> Result<[Tensor; 3]> {
        let x = x.narrow(0, first, count)?.copy()?;
        let plain = f(&x)?;
        let x = Var::from_tensor(&x)?;
        let y = f(&x)?;
        let gradient = y.sqr()?.sum_all()?.backward()?.remove(&x).unwrap();
        Ok([plain, y.detach(), gradient])
    }
    let numbers = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
    for (channels, outputs, side, size) in
        [(64, 64, 7, 3), (32, 48, 14, 3), (16, 64, 30, 3), (64, 32, 7, 1), (8, 24, 9, 5)]
    {
        let w = f32s(&random(1, &[outputs, channels, size, size])?);
        let conv = FrozenConv2d::new(&w, None, Conv2d::new().padding(size / 2).relu(true))?;
        let back = f32s(&random(3, &[channels, outputs, size, size])?);
        let transposed = ConvTranspose2d::new(1, size / 2);
        let ways: [Way<'_>; 5] = [
            &|x| conv_transpose2d(x, &back, None, &transposed),
            &|x| conv.forward(x),
            &|x| conv.forward_max_pool2d(x, &Pool2d::new(2, 2)),
            &|x| FrozenConv2d::forward_side_by_side(&[&conv, &conv], x),
            &|x| conv2d(x, &w, None, &Conv2d::new().padding(size / 2)),
        ];
        let x = f32s(&random(2, &[20, channels, side, side])?);
        for (way, f) in ways.into_iter().enumerate() {
            let all = run(f, &x, 0, 20)?;
            for (part, one) in run(f, &x, 7, 1)?.iter().enumerate() {
                assert!(
                    numbers(&all[part].narrow(0, 7, 1)?)? == numbers(one)?,
                    "way {way}, {channels} to {outputs} at {side}, size {size}, part {part}"
                );
            }
        }
    }
    Ok(())
}

/// Bit for bit, forwards and backwards: 1×1 and 3×3 filters by every method, one image and several, with and without rectifier.
#[test]
fn convolutions_side_by_side_are_a_concatenation() -> Result<()> {
    for (x, outputs) in
        [([3, 16, 13, 13], [64, 64]), ([1, 5, 7, 9], [3, 20]), ([2, 32, 27, 27], [48, 128])]
    {
        let x = f32s(&random(1, &x)?);
        let channels = x.dim(1)?;
        for relu in [false, true] {
            let part = |seed, outputs, size: usize| {
                let w = f32s(&random(seed, &[outputs, channels, size, size])?);
                let b = f32s(&random(seed + 1, &[outputs])?);
                FrozenConv2d::new(&w, Some(&b), Conv2d::new().padding(size / 2).relu(relu))
            };
            let (a, b, c) = (part(2, outputs[0], 1)?, part(4, outputs[1], 3)?, part(6, 2, 5)?);
            let all = [&a, &b, &c];
            let apart = |x: &Tensor| Tensor::cat(&[a.forward(x)?, b.forward(x)?, c.forward(x)?], 1);
            let joined = |x: &Tensor| FrozenConv2d::forward_side_by_side(&all, x);
            assert_eq!(max_difference(&joined(&x)?, &apart(&x)?)?, 0.0);
            // values that a gradient depends on are rounded otherwise
            let variable = Var::from_tensor(&x)?;
            let values = [joined(variable.as_tensor())?, apart(variable.as_tensor())?];
            assert_eq!(max_difference(&values[0], &values[1])?, 0.0);
            let of = [0, 1].map(|at| {
                gradients(std::slice::from_ref(&x), |x| {
                    if at == 0 { joined(&x[0]) } else { apart(&x[0]) }
                })
            });
            let [got, want] = of;
            let (got, want) = (got?, want?);
            // three are added, here in their order, by candle in another
            assert!(max_difference(&got[0], &want[0])? < 1e-5);
        }
    }
    let conv =
        |size: usize| FrozenConv2d::new(&random(1, &[2, 3, size, size])?, None, Conv2d::new());
    let (one, three) = (conv(1)?, conv(3)?);
    let joined =
        |all: &[&FrozenConv2d]| FrozenConv2d::forward_side_by_side(all, &random(2, &[1, 3, 5, 5])?);
    let error = joined(&[&one, &three]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("one height and width, got [5, 5] and [3, 3]"), "{error}");
    assert!(joined(&[]).is_err());
    Ok(())
}

/// Odd and even sizes, narrow and wide rows, several parts of a batch, frozen and not, and what cannot be one operation.
#[test]
fn pooled_convolutions_equal_pooling_behind_convolutions() -> Result<()> {
    for (x, w, padding, pool) in [
        ([3, 2, 9, 7], [5, 2, 3, 3], 1, Pool2d::new(2, 2)),
        ([2, 3, 28, 28], [32, 3, 5, 5], 2, Pool2d::new(2, 2)),
        ([40, 8, 30, 33], [20, 8, 3, 3], 1, Pool2d::new(2, 2)),
        ([1, 130, 30, 30], [70, 130, 3, 3], 1, Pool2d::new(2, 2)),
        ([2, 3, 11, 11], [4, 3, 3, 3], 0, Pool2d::new(3, 2)),
        ([2, 3, 11, 11], [4, 3, 3, 3], 0, Pool2d::new(2, 2).ceil_mode(true)),
    ] {
        let args = [random(1, &x)?, random(2, &w)?, random(3, &w[..1])?].map(|t| f32s(&t));
        for relu in [false, true] {
            let conv = Conv2d::new().padding(padding).relu(relu);
            let one = |a: &[Tensor]| conv2d_max_pool2d(&a[0], &a[1], Some(&a[2]), &conv, &pool);
            let two = |a: &[Tensor]| max_pool2d(&conv2d(&a[0], &a[1], Some(&a[2]), &conv)?, &pool);
            assert_eq!(max_difference(&one(&args)?, &two(&args)?)?, 0.0, "{x:?}");
            for (got, want) in gradients(&args, one)?.iter().zip(&gradients(&args, two)?) {
                assert_eq!(max_difference(got, want)?, 0.0, "{x:?}");
            }
            let frozen = FrozenConv2d::new(&args[1], Some(&args[2]), conv)?;
            let image = std::slice::from_ref(&args[0]);
            let one = |a: &[Tensor]| frozen.forward_max_pool2d(&a[0], &pool);
            let two = |a: &[Tensor]| max_pool2d(&frozen.forward(&a[0])?, &pool);
            assert_eq!(max_difference(&one(image)?, &two(image)?)?, 0.0, "{x:?}");
            let (got, want) = (gradients(image, one)?, gradients(image, two)?);
            assert_eq!(max_difference(&got[0], &want[0])?, 0.0, "{x:?}");
        }
    }
    // of equal elements the first takes the gradient
    let (x, w) = (Tensor::ones((1, 1, 4, 5), DType::F64, &Device::Cpu)?, random(1, &[2, 1, 1, 1])?);
    let f = |a: &[Tensor]| conv2d_max_pool2d(&a[0], &w, None, &Conv2d::new(), &Pool2d::new(2, 2));
    let got = gradients(std::slice::from_ref(&x), f)?;
    let want = gradients(&[x], |a| {
        max_pool2d(&conv2d(&a[0], &w, None, &Conv2d::new())?, &Pool2d::new(2, 2))
    })?;
    assert_eq!(max_difference(&got[0], &want[0])?, 0.0);
    // as does the first of infinitely small ones
    let bias = Tensor::new(&[f64::NEG_INFINITY, 0.0], &Device::Cpu)?;
    let args = [random(1, &[1, 3, 6, 6])?, random(2, &[2, 3, 3, 3])?];
    let (conv, pool) = (Conv2d::new().padding(1), Pool2d::new(2, 2));
    let got = gradients(&args, |a| conv2d_max_pool2d(&a[0], &a[1], Some(&bias), &conv, &pool))?;
    let want = gradients(&args, |a| max_pool2d(&conv2d(&a[0], &a[1], Some(&bias), &conv)?, &pool))?;
    for (got, want) in got.iter().zip(&want) {
        assert_eq!(max_difference(got, want)?, 0.0);
    }
    assert_ne!(got[1].get(0)?.abs()?.sum_all()?.to_scalar::<f64>()?, 0.0);
    let small = random(1, &[1, 2, 3, 3])?;
    let refused = conv2d_max_pool2d(
        &small,
        &random(2, &[3, 2, 3, 3])?,
        None,
        &Conv2d::new(),
        &Pool2d::new(2, 2),
    );
    assert!(refused.is_err());
    Ok(())
}

#[test]
fn wrong_shapes_are_refused() -> Result<()> {
    let t = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu);
    let conv = Conv2d::new();
    for (x, w, b) in [
        (t(&[1, 2, 5, 5])?, t(&[3, 4, 3, 3])?, None),
        (t(&[1, 2, 5])?, t(&[3, 2, 3, 3])?, None),
        (t(&[1, 2, 2, 5])?, t(&[3, 2, 3, 3])?, None),
        (t(&[1, 2, 5, 5])?, t(&[3, 2, 3, 3])?, Some(t(&[2])?)),
    ] {
        assert!(conv2d(&x, &w, b.as_ref(), &conv).is_err());
    }
    assert!(conv2d(&t(&[1, 2, 5, 5])?, &t(&[3, 2, 3, 3])?, None, &conv.stride(0)).is_err());
    let empty = conv2d(&t(&[0, 2, 5, 5])?, &t(&[3, 2, 3, 3])?, None, &conv)?;
    assert_eq!(empty.dims(), [0, 3, 3, 3]);
    Ok(())
}
