//! Explanation maps of SqueezeNet, one call at a time, for `maps.py`, which runs PyTorch and Captum beside it.
//!
//! `--serve`: reads `METHOD IMAGES` lines (`saliency 1`) and answers each with the seconds of one call.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints, and fails aloud"
)]

use std::io::{BufRead as _, Write as _};
use std::time::Instant;

use candle_core::{Device, Tensor};
use sconce_core::random::generator;
use sconce_data::{Weights, WeightsInfo};
use sconce_interpretation::Model;
use sconce_interpretation::maps::{IntegratedGradients, Method, Occlusion, SmoothGrad};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    // SAFETY: no other thread runs yet.
    unsafe { sconce_ops::threads::let_candle_sleep() };
    if !std::env::args().any(|argument| argument == "--serve") {
        eprintln!("run crates/interpretation/benches/maps.py, which runs PyTorch beside this");
        return Ok(());
    }
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../data/assets/squeezenet1_1.safetensors").as_ref();
    let preprocessing = serde_json::from_value(serde_json::json!({
        "channels": "rgb", "scale": 255, "mean": [123, 117, 104], "std": [1, 1, 1], "size": 224
    }))?;
    let info =
        WeightsInfo { architecture: "squeezenet1_1".into(), preprocessing, classes: Vec::new() };
    let model = Model::load(&Weights::open(path, info)?, None, Device::Cpu)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (name, images) = line.split_once(' ').ok_or("expected METHOD IMAGES")?;
        let images: usize = images.parse()?;
        let method = match name {
            "saliency" => Method::Saliency,
            "smoothgrad" => Method::SmoothGrad(SmoothGrad { samples: 16, ..Default::default() }),
            "integrated-gradients" => {
                Method::IntegratedGradients(IntegratedGradients { steps: 16, ..Default::default() })
            }
            "guided-backpropagation" => Method::GuidedBackpropagation,
            "grad-cam" => Method::GradCam("fire9".into()),
            "occlusion" => {
                Method::Occlusion(Occlusion { patch: 56, stride: 28, ..Default::default() })
            }
            other => return Err(format!("unknown method {other}").into()),
        };
        let values: Vec<f32> = (0..images * 3 * 224 * 224)
            .map(|i| ((i * 2_654_435_761) % 256) as f32 - 115.0)
            .collect();
        let x = Tensor::from_vec(values, (images, 3, 224, 224), &Device::Cpu)?;
        let classes = vec![285; images];
        let mut generators: Vec<_> = (0..images).map(|i| generator(i as u64, "bench")).collect();
        let start = Instant::now();
        let found = method.explain(&model, &x, &classes, &mut generators, 8)?;
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(found.len(), images);
        println!("{seconds}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
