//! Every operation, in three places: by this crate's kernels, composed on the CPU, and on each device that this machine has. The
//! kernels are held to definitions and finite differences in the tests beside them; here the others are held to the kernels.

use super::composed;
use crate::activation::{at_most, gelu, guided_relu, leaky_relu, relu, softmax};
use crate::conv::{
    Conv2d, ConvTranspose2d, DepthwiseConv2d, FrozenConv2d, conv_transpose2d, conv2d,
    conv2d_max_pool2d, depthwise_conv2d,
};
use crate::linear::linear;
use crate::loss::{bce_with_logits_each, cross_entropy_each, weighted_sum};
use crate::norm::{BatchNorm, RunningStatistics, layer_norm};
use crate::pool::{Pool2d, avg_pool2d, global_avg_pool2d, max_pool2d};
use crate::reversal::gradient_reversal;
use crate::separable::{gaussian_blur, resize_bilinear, resize_nearest};
use crate::testing::{distinct, random};
use crate::transposed::transposed;
use candle_core::{DType, Device, Result, Tensor, Var};

/// An operation on inputs.
type Run = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

/// An operation with inputs that all get gradients.
struct Case {
    name: &'static str,
    inputs: Vec<Tensor>,
    run: Run,
}

fn cases() -> Result<Vec<Case>> {
    let mut all = Vec::new();
    let mut case = |name, inputs: Vec<Tensor>, run: Run| {
        let inputs = inputs.iter().map(|t| t.to_dtype(DType::F32)).collect::<Result<Vec<_>>>()?;
        all.push(Case { name, inputs, run });
        Ok::<_, candle_core::Error>(())
    };
    let images = || distinct(1, &[2, 6, 13, 11]);
    let small = || images()? * 0.01;
    case("relu", vec![images()?], Box::new(|a| relu(&a[0])))?;
    case("leaky-relu", vec![images()?], Box::new(|a| leaky_relu(&a[0], 0.2)))?;
    case("at-most", vec![images()?], Box::new(|a| at_most(&a[0], 3.1)))?;
    case("transposed", vec![images()?], Box::new(|a| transposed(&a[0])))?;
    case("gelu", vec![small()?], Box::new(|a| gelu(&a[0])))?;
    case("softmax", vec![small()?], Box::new(|a| softmax(&a[0])))?;
    let inputs = vec![images()?, random(2, &[11])?, random(3, &[11])?];
    case("layer-norm", inputs, Box::new(|a| layer_norm(&a[0], &a[1], &a[2], 1e-5)))?;
    case("guided-relu", vec![images()?], Box::new(|a| guided_relu(&a[0])))?;
    let conv = [
        ("convolution 3x3", Conv2d::new().padding(1), 3),
        ("convolution 3x3, rectified", Conv2d::new().padding(1).relu(true), 3),
        ("convolution 4x4 by steps of 2", Conv2d::new().padding(1).stride(2), 4),
        ("convolution 1x1", Conv2d::new(), 1),
        ("convolution 3x3, dilated", Conv2d::new().padding(2).dilation(2), 3),
        (
            "convolution, steps that differ",
            Conv2d { stride: [2, 1], padding: [0, 2], ..Conv2d::new() },
            3,
        ),
    ];
    for (name, conv, kernel) in conv {
        let inputs = vec![small()?, random(2, &[5, 6, kernel, kernel])?, random(3, &[5])?];
        case(name, inputs, Box::new(move |a| conv2d(&a[0], &a[1], Some(&a[2]), &conv)))?;
    }
    let inputs = vec![small()?, random(2, &[5, 6, 3, 3])?, random(3, &[5])?];
    let conv = Conv2d::new().padding(1).relu(true);
    let pool = Pool2d::new(2, 2);
    let run = move |a: &[Tensor]| conv2d_max_pool2d(&a[0], &a[1], Some(&a[2]), &conv, &pool);
    case("convolution and pooling", inputs, Box::new(run))?;
    let weight = random(2, &[5, 6, 3, 3])?.to_dtype(DType::F32)?;
    let run = move |a: &[Tensor]| {
        FrozenConv2d::new(&weight.to_device(a[0].device())?, None, conv)?.forward(&a[0])
    };
    case("frozen convolution", vec![small()?], Box::new(run))?;
    let weights = [random(2, &[5, 6, 3, 3])?, random(3, &[4, 6, 1, 1])?];
    let run = move |a: &[Tensor]| {
        let of = |w: &Tensor, padding| {
            let w = w.to_dtype(DType::F32)?.to_device(a[0].device())?;
            FrozenConv2d::new(&w, None, Conv2d::new().padding(padding).relu(true))
        };
        let (wide, narrow) = (of(&weights[0], 1)?, of(&weights[1], 0)?);
        FrozenConv2d::forward_side_by_side(&[&narrow, &wide], &a[0])
    };
    case("convolutions side by side", vec![small()?], Box::new(run))?;
    for (name, conv, kernel) in [
        ("transposed convolution 4x4 by steps of 2", ConvTranspose2d::new(2, 1), 4),
        ("transposed convolution 3x3", ConvTranspose2d::new(1, 0), 3),
        ("transposed convolution, padded", ConvTranspose2d::new(2, 1).output_padding(1), 3),
    ] {
        let inputs = vec![small()?, random(2, &[6, 5, kernel, kernel])?, random(3, &[5])?];
        let run = move |a: &[Tensor]| conv_transpose2d(&a[0], &a[1], Some(&a[2]), &conv);
        case(name, inputs, Box::new(run))?;
    }
    for (name, stride) in [("depthwise convolution", 1), ("depthwise convolution by steps of 2", 2)]
    {
        let conv = DepthwiseConv2d { stride, padding: [[1, 1], [1, 1]] };
        let inputs = vec![small()?, random(2, &[6, 1, 3, 3])?];
        case(name, inputs, Box::new(move |a| depthwise_conv2d(&a[0], &a[1], &conv)))?;
    }
    for (name, pool) in [
        ("pooling 2x2", Pool2d::new(2, 2)),
        ("pooling 3x3 by steps of 2", Pool2d::new(3, 2).padding(1)),
        ("pooling 3x3 with a last part", Pool2d::new(3, 2).ceil_mode(true)),
    ] {
        case(name, vec![images()?], Box::new(move |a| max_pool2d(&a[0], &pool)))?;
        case("average", vec![small()?], Box::new(move |a| avg_pool2d(&a[0], &pool, false)))?;
    }
    case("global average", vec![small()?], Box::new(|a| global_avg_pool2d(&a[0])))?;
    let inputs =
        || Ok::<_, candle_core::Error>(vec![images()?, random(2, &[6])?, random(3, &[6])?]);
    let norm = BatchNorm::default();
    case(
        "batch norm, training",
        inputs()?,
        Box::new(move |a| Ok(norm.train(&a[0], &a[1], &a[2])?.0)),
    )?;
    let run = move |a: &[Tensor]| {
        let statistics =
            RunningStatistics { mean: a[1].detach(), var: (a[2].detach().abs()? + 0.5)? };
        norm.rectified(0.2).eval(&a[0], &a[1], &a[2], &statistics)
    };
    case("batch norm, rectified", inputs()?, Box::new(run))?;
    let inputs = vec![random(1, &[7, 9])?, random(2, &[4, 9])?, random(3, &[4])?];
    case("linear", inputs, Box::new(|a| linear(&a[0], &a[1], Some(&a[2]))))?;
    let logits = || random(1, &[6, 5])? * 4.0;
    let classes = |d: &Device| Tensor::new(&[0u32, 4, 2, 2, 1, 3], d);
    let run = move |a: &[Tensor]| cross_entropy_each(&a[0], &classes(a[0].device())?);
    case("cross-entropy", vec![logits()?], Box::new(run))?;
    let targets = random(2, &[6, 5])?.abs()?;
    let run = move |a: &[Tensor]| bce_with_logits_each(&a[0], &targets.to_device(a[0].device())?);
    case("binary cross-entropy", vec![logits()?], Box::new(run))?;
    let run = |a: &[Tensor]| weighted_sum(&[(0.5, &a[0]), (0.0, &a[1])]);
    case("weighted sum", vec![logits()?, logits()?], Box::new(run))?;
    case("gradient reversal", vec![logits()?], Box::new(|a| gradient_reversal(&a[0], 0.3)))?;
    case("bilinear", vec![small()?], Box::new(|a| resize_bilinear(&a[0], [9, 20], true)))?;
    case("nearest", vec![small()?], Box::new(|a| resize_nearest(&a[0], [9, 20])))?;
    case("blur", vec![small()?], Box::new(|a| gaussian_blur(&a[0], 5, 1.2)))?;
    Ok(all)
}

/// Values, and the gradients of their sum by fixed weights, all on the CPU.
fn results(case: &Case, device: &Device) -> Result<Vec<Tensor>> {
    let inputs = case.inputs.iter().map(|t| Var::from_tensor(&t.to_device(device)?));
    let vars = inputs.collect::<Result<Vec<_>>>()?;
    let y = (case.run)(&vars.iter().map(|v| v.as_tensor().clone()).collect::<Vec<_>>())?;
    let weights = random(9, y.dims())?.to_dtype(DType::F32)?.to_device(device)?;
    let gradients = (&y * weights)?.sum_all()?.backward()?;
    let mut all = vec![y.detach()];
    for var in &vars {
        all.push(gradients.get(var).expect("a gradient for each input").clone());
    }
    all.iter().map(|t| t.to_device(&Device::Cpu)?.contiguous()).collect()
}

/// Largest difference as a share of the largest value.
fn apart(a: &Tensor, b: &Tensor) -> Result<f64> {
    assert_eq!(a.dims(), b.dims());
    let largest = |t: &Tensor| -> Result<f64> {
        t.to_dtype(DType::F64)?.abs()?.flatten_all()?.max(0)?.to_scalar()
    };
    let difference = largest(&(a.to_dtype(DType::F64)? - b.to_dtype(DType::F64)?)?)?;
    Ok(difference / largest(a)?.max(1e-30))
}

fn hold(place: &str, tolerance: f64, run: impl Fn(&Case) -> Result<Vec<Tensor>>) -> Result<()> {
    for case in cases()? {
        let want = results(&case, &Device::Cpu)?;
        let got = run(&case)?;
        for (which, (want, got)) in want.iter().zip(&got).enumerate() {
            let apart = apart(want, got)?;
            // not `>`: that would pass over what is no number
            assert!(apart <= tolerance, "{} on {place}, result {which}: {apart:.2e}", case.name);
        }
    }
    Ok(())
}

#[test]
fn composed_operations_equal_the_kernels() -> Result<()> {
    hold("the CPU, composed", 2e-6, |case| composed(|| results(case, &Device::Cpu)))
}

#[test]
fn the_switch_ends_with_its_call_also_by_a_panic() {
    let panics = std::panic::catch_unwind(|| composed(|| panic!("within")));
    assert!(panics.is_err() && !super::is_composed());
}

/// On a machine with a device: `cargo test --features cuda` (or `cudnn`, `metal`).
#[test]
fn devices_equal_the_kernels() -> Result<()> {
    let mut seen = false;
    for (name, device) in [("cuda", Device::new_cuda(0)), ("metal", Device::new_metal(0))] {
        let Ok(device) = device else { continue };
        seen = true;
        // of docs/devices.md
        hold(name, 1e-4, |case| results(case, &device))?;
    }
    if !seen {
        println!("skipped: no device");
    }
    Ok(())
}
