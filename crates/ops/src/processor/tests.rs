//! Every operation gives the same bits with every instruction set, values and gradients: those of this processor are compared
//! with each other, and with a number that is the same for all.

use crate::activation::{gelu, leaky_relu, softmax, tanh};
use crate::conv::{
    Conv2d, ConvTranspose2d, DepthwiseConv2d, FrozenConv2d, conv_transpose2d, conv2d,
    conv2d_max_pool2d, depthwise_conv2d,
};
use crate::cpu::kernel::tests::at_each_level;
use crate::linear::{linear, matmul};
use crate::norm::{BatchNorm, layer_norm};
use crate::pool::{Pool2d, avg_pool2d, max_pool2d};
use crate::separable::resize_bilinear;
use crate::sum::{mean_keepdim, spread, sum_all};
use crate::testing::{gradients, random};
use candle_core::{D, DType, Result, Tensor};

/// FNV-1a of the bits of numbers.
struct Digest(u64);

impl Digest {
    fn add(&mut self, x: &Tensor) -> Result<()> {
        for value in x.flatten_all()?.to_vec1::<f32>()? {
            for byte in value.to_bits().to_le_bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        Ok(())
    }
}

type Operation<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// The digest of an operation's value and gradients at random arguments of these shapes.
fn digest_of(shapes: &[&[usize]], f: Operation<'_>) -> Result<u64> {
    let mut digest = Digest(0xcbf2_9ce4_8422_2325);
    let arguments: Vec<Tensor> = (1..)
        .zip(shapes)
        .map(|(seed, shape)| random(seed, shape)?.to_dtype(DType::F32))
        .collect::<Result<_>>()?;
    digest.add(&f(&arguments)?)?;
    for gradient in gradients(&arguments, f)? {
        digest.add(&gradient)?;
    }
    Ok(digest.0)
}

/// Operations by name, with the shapes of their arguments.
fn with_operations(
    mut each: impl FnMut(&str, &[&[usize]], Operation<'_>) -> Result<()>,
) -> Result<()> {
    // inputs, filters, stride, padding: each method, forwards and backwards
    let convolutions: [(&[usize], &[usize], usize, usize); 9] = [
        (&[2, 3, 12, 11], &[16, 3, 5, 5], 1, 0),
        (&[2, 3, 9, 9], &[5, 3, 3, 3], 2, 1),
        (&[1, 16, 16, 16], &[32, 16, 3, 3], 1, 1),
        (&[2, 24, 7, 9], &[40, 24, 3, 3], 1, 1),
        (&[2, 20, 5, 6], &[33, 20, 1, 1], 1, 0),
        (&[3, 4, 8, 8], &[12, 4, 4, 4], 2, 1),
        (&[2, 1, 14, 14], &[6, 1, 5, 5], 1, 2),
        (&[2, 600, 3, 3], &[7, 600, 3, 3], 1, 1),
        (&[1, 2, 30, 30], &[64, 2, 7, 7], 3, 2),
    ];
    for (x, w, stride, padding) in convolutions {
        for relu in [false, true] {
            let conv = Conv2d::new().stride(stride).padding(padding).relu(relu);
            let f = |a: &[Tensor]| conv2d(&a[0], &a[1], Some(&a[2]), &conv);
            each("conv2d", &[x, w, &w[..1]], &f)?;
        }
    }
    for channels in [1, 3, 4, 7, 8, 16, 20] {
        let f = |a: &[Tensor]| conv_transpose2d(&a[0], &a[1], None, &ConvTranspose2d::new(2, 1));
        each("conv-transpose2d", &[&[2, 12, 4, 5], &[12, channels, 4, 4]], &f)?;
        let f = |a: &[Tensor]| conv_transpose2d(&a[0], &a[1], None, &ConvTranspose2d::new(1, 0));
        each("conv-transpose2d", &[&[3, 300, 1, 1], &[300, channels, 4, 4]], &f)?;
    }
    let f = |a: &[Tensor]| {
        conv2d_max_pool2d(&a[0], &a[1], Some(&a[2]), &Conv2d::new().relu(true), &Pool2d::new(2, 2))
    };
    each("conv2d-max-pool2d", &[&[2, 3, 12, 12], &[16, 3, 5, 5], &[16]], &f)?;
    let f = |a: &[Tensor]| {
        let of = |outputs, size: usize| {
            let w = random(7, &[outputs, 12, size, size])?.to_dtype(DType::F32)?;
            FrozenConv2d::new(&w, None, Conv2d::new().padding(size / 2).relu(true))
        };
        let (narrow, wide, large) = (of(20, 1)?, of(40, 3)?, of(3, 5)?);
        FrozenConv2d::forward_side_by_side(&[&narrow, &wide, &large], &a[0])
    };
    each("side-by-side", &[&[2, 12, 11, 13]], &f)?;
    for stride in [1, 2] {
        let conv = DepthwiseConv2d { stride, padding: [[1, 1], [1, 1]] };
        let f = |a: &[Tensor]| depthwise_conv2d(&a[0], &a[1], &conv);
        each("depthwise-conv2d", &[&[2, 5, 9, 10], &[5, 1, 3, 3]], &f)?;
    }
    for rows in [1, 3, 16, 70, 300] {
        for out in [1, 10, 70] {
            for inside in [2, 100, 1100] {
                let f = |a: &[Tensor]| linear(&a[0], &a[1], Some(&a[2]));
                each("linear", &[&[rows, inside], &[out, inside], &[out]], &f)?;
            }
        }
    }
    let f = |a: &[Tensor]| matmul(&a[0], &a[1].transpose(D::Minus1, D::Minus2)?);
    each("matmul", &[&[2, 3, 20, 33], &[2, 3, 70, 33]], &f)?;
    for norm in [BatchNorm { eps: 1e-5, slope: None }, BatchNorm { eps: 1e-5, slope: Some(0.2) }] {
        let f = |a: &[Tensor]| Ok(norm.train(&a[0], &a[1], &a[2])?.0);
        each("batch-norm", &[&[3, 5, 7, 9], &[5], &[5]], &f)?;
    }
    let image: &[usize] = &[2, 3, 13, 17];
    each("max-pool2d", &[image], &|a| max_pool2d(&a[0], &Pool2d::new(3, 2)))?;
    each("avg-pool2d", &[image], &|a| avg_pool2d(&a[0], &Pool2d::new(3, 2), true))?;
    each("resize", &[image], &|a| resize_bilinear(&a[0], [8, 21], true))?;
    each("leaky-relu", &[image], &|a| leaky_relu(&a[0], 0.2))?;
    each("tanh", &[image], &|a| tanh(&(&a[0] * 4.0)?))?;
    each("gelu", &[image], &|a| gelu(&(&a[0] * 4.0)?))?;
    each("softmax", &[image], &|a| softmax(&(&a[0] * 4.0)?))?;
    each("layer-norm", &[image, &[17], &[17]], &|a| layer_norm(&a[0], &a[1], &a[2], 1e-6))?;
    each("spread", &[&[2, 3, 1, 1], image], &|a| spread(&a[0], image)?.mul(&a[1]))?;
    each("sum", &[image], &|a| sum_all(&a[0]))?;
    each("mean", &[image], &|a| mean_keepdim(&a[0], (2, 3)))
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    // of this one thread, which each level is forced on
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let mut all = 0u64;
        with_operations(|name, shapes, f| {
            let first = std::cell::OnceCell::new();
            at_each_level(|level| {
                let digest = digest_of(shapes, f)?;
                assert!(
                    digest == *first.get_or_init(|| digest),
                    "{name} {shapes:?} with {level:?}"
                );
                Ok::<_, candle_core::Error>(())
            })?;
            all = all.rotate_left(5) ^ first.get().copied().unwrap_or_default();
            Ok(())
        })
        .unwrap();
        assert_eq!(format!("{all:016x}"), "7bac5a5a1d8f029a");
    });
}
