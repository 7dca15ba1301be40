//! Times the forward pass and the gradients of each layer in `shapes.rs`, one JSON line each:
//! `cargo bench -p sconce-ops --bench layers -- [part of the names] [repetitions]`.
//!
//! `benches/layers.py` runs it in turns with PyTorch. Set `RAYON_NUM_THREADS` for the number of threads.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints, and fails aloud"
)]

mod shapes;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, Var};
use rustix::time::{ClockId, clock_gettime};
use sconce_ops::conv::{Conv2d, ConvTranspose2d, conv_transpose2d, conv2d};
use shapes::{LAYERS, Layer};
use std::sync::{Arc, Mutex};

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    // cargo adds a flag of its own
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let part = arguments.first().cloned().unwrap_or_default();
    let count = arguments.get(1).and_then(|n| n.parse().ok()).unwrap_or(7);
    for layer in LAYERS.iter().filter(|l| l.name.contains(&part)) {
        time(layer, count)?;
    }
    Ok(())
}

/// Seconds on the clock, and of processor time: the latter tells more on a busy machine.
fn now() -> [f64; 2] {
    [ClockId::Monotonic, ClockId::ProcessCPUTime].map(|id| {
        let t = clock_gettime(id);
        t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
    })
}

fn since(start: [f64; 2], end: [f64; 2]) -> [f64; 2] {
    [end[0] - start[0], end[1] - start[1]]
}

fn apply(layer: &Layer, x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let [_, _, s, p] = layer.filter;
    if layer.transposed {
        conv_transpose2d(x, w, None, &ConvTranspose2d::new(s, p))
    } else {
        conv2d(x, w, None, &Conv2d::new().stride(s).padding(p))
    }
}

/// The identity, whose gradient notes the time: two of them around an operation time its gradient alone.
struct Mark(Arc<Mutex<[f64; 2]>>);

impl CustomOp1 for Mark {
    fn name(&self) -> &'static str {
        "mark"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((s.try_clone(l)?, l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = now();
        Ok(Some(grad.clone()))
    }
}

fn time(layer: &Layer, count: usize) -> Result<()> {
    let x = Tensor::randn(0f32, 1.0, &layer.input[..], &Device::Cpu)?;
    let w = Tensor::randn(0f32, 0.1, &layer.weight()[..], &Device::Cpu)?;
    let (vx, vw) = (Var::from_tensor(&x)?, Var::from_tensor(&w)?);
    let mut seconds = [vec![], vec![], vec![]];
    for i in 0..count + 2 {
        let start = now();
        let y = apply(layer, &x, &w)?;
        let mut took = [since(start, now()), [0.0; 2], [0.0; 2]];
        drop(y);
        for pass in 0..2 {
            let marks = [(); 2].map(|()| Arc::new(Mutex::new(now())));
            let from = |t: &Tensor| t.apply_op1(Mark(marks[1].clone()));
            let y = if pass == 0 {
                apply(layer, &from(vx.as_tensor())?, &w)?
            } else {
                apply(layer, &x, &from(vw.as_tensor())?)?
            };
            y.apply_op1(Mark(marks[0].clone()))?.sum_all()?.backward()?;
            let [start, end] =
                marks.map(|m| m.lock().map(|at| *at).unwrap_or_else(|e| *e.into_inner()));
            took[1 + pass] = since(start, end);
        }
        if i >= 2 {
            seconds.iter_mut().zip(took).for_each(|(s, t)| s.push(t));
        }
    }
    for (what, s) in ["forward", "input", "weight"].into_iter().zip(seconds) {
        let sorted = |i: usize| {
            let mut v: Vec<f64> = s.iter().map(|s: &[f64; 2]| s[i]).collect();
            v.sort_by(f64::total_cmp);
            v
        };
        let (wall, cpu) = (sorted(0), sorted(1));
        let (seconds, cpu) = (wall[wall.len() / 2], cpu[0]);
        println!(
            "{{\"layer\": \"{}\", \"pass\": \"{what}\", \"seconds\": {seconds:.6}, \"cpu\": {cpu:.6}, \"gflops\": {:.1}}}",
            layer.name,
            layer.flops() / seconds * 1e-9
        );
    }
    Ok(())
}
