//! Times VGG16's and SqueezeNet 1.1's convolutional parts with random frozen weights, forwards and for the gradient of
//! the image: `network_times [vgg16|squeezenet] [batch] [repetitions]`, one JSON line each.
//!
//! `benches/peer_networks.py` runs it in turns with PyTorch. Set `RAYON_NUM_THREADS` for the number of threads.

use candle_core::{Device, Result, Tensor, Var};
use rustix::time::{ClockId, clock_gettime};
use sconce_ops::conv::{Conv2d, FrozenConv2d};
use sconce_ops::pool::{Pool2d, global_avg_pool2d, max_pool2d};

enum Layer {
    Conv(FrozenConv2d),
    Pool(Pool2d),
    /// Squeeze, 1×1 expand, 3×3 expand.
    Fire([FrozenConv2d; 3]),
}

fn conv(
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Result<FrozenConv2d> {
    let scale = (2.0 / (inputs * kernel * kernel) as f32).sqrt();
    let w = Tensor::randn(0f32, scale, (outputs, inputs, kernel, kernel), &Device::Cpu)?;
    let b = Tensor::randn(0f32, 0.1, outputs, &Device::Cpu)?;
    FrozenConv2d::new(&w, Some(&b), Conv2d::new().stride(stride).padding(padding).relu(true))
}

fn vgg16() -> Result<Vec<Layer>> {
    let mut layers = vec![];
    let mut inputs = 3;
    for (outputs, count) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)] {
        for _ in 0..count {
            layers.push(Layer::Conv(conv(inputs, outputs, 3, 1, 1)?));
            inputs = outputs;
        }
        layers.push(Layer::Pool(Pool2d::new(2, 2)));
    }
    Ok(layers)
}

fn squeezenet() -> Result<Vec<Layer>> {
    let pool = || Layer::Pool(Pool2d::new(3, 2).ceil_mode(true));
    let mut layers = vec![Layer::Conv(conv(3, 64, 3, 2, 0)?), pool()];
    let mut inputs = 64;
    for (i, squeezed) in [16, 16, 32, 32, 48, 48, 64, 64].into_iter().enumerate() {
        let expanded = 4 * squeezed;
        layers.push(Layer::Fire([
            conv(inputs, squeezed, 1, 1, 0)?,
            conv(squeezed, expanded, 1, 1, 0)?,
            conv(squeezed, expanded, 3, 1, 1)?,
        ]));
        inputs = 2 * expanded;
        if i == 1 || i == 3 {
            layers.push(pool());
        }
    }
    layers.push(Layer::Conv(conv(inputs, 1000, 1, 1, 0)?));
    Ok(layers)
}

fn forward(layers: &[Layer], x: &Tensor) -> Result<Tensor> {
    let y = layers.iter().try_fold(x.clone(), |x, layer| match layer {
        Layer::Conv(conv) => conv.forward(&x),
        Layer::Pool(pool) => max_pool2d(&x, pool),
        Layer::Fire([squeeze, one, three]) => {
            let x = squeeze.forward(&x)?;
            Tensor::cat(&[one.forward(&x)?, three.forward(&x)?], 1)
        }
    })?;
    global_avg_pool2d(&y)
}

/// Seconds on the clock, and of processor time.
fn now() -> [f64; 2] {
    [ClockId::Monotonic, ClockId::ProcessCPUTime].map(|id| {
        let t = clock_gettime(id);
        t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
    })
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "vgg16".into());
    let batch = args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let count: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or(5);
    let layers = if name == "squeezenet" { squeezenet()? } else { vgg16()? };
    let x = Tensor::randn(0f32, 1.0, (batch, 3, 224, 224), &Device::Cpu)?;
    let image = Var::from_tensor(&x)?;
    let mut took = [vec![], vec![]];
    for i in 0..count + 1 {
        for (pass, took) in took.iter_mut().enumerate() {
            let start = now();
            if pass == 0 {
                forward(&layers, &x)?;
            } else {
                forward(&layers, image.as_tensor())?.sum_all()?.backward()?;
            }
            let end = now();
            if i > 0 {
                took.push([end[0] - start[0], end[1] - start[1]]);
            }
        }
    }
    for (pass, took) in ["forward", "image gradient"].into_iter().zip(took) {
        let [seconds, cpu] = [0, 1].map(|i| {
            let mut v: Vec<f64> = took.iter().map(|t: &[f64; 2]| t[i]).collect();
            v.sort_by(f64::total_cmp);
            v[v.len() / 2]
        });
        println!(
            "{{\"network\": \"{name}\", \"batch\": {batch}, \"pass\": \"{pass}\", \"seconds\": {seconds:.6}, \"cpu\": {cpu:.6}}}"
        );
    }
    Ok(())
}
