//! Convolutions of the studies' networks; an "item" is one floating-point operation of the definition, so that
//! `Gitem/s` reads as GFLOP/s (Winograd's method does a quarter of them, and so may exceed the processor's peak).
//!
//! `RAYON_NUM_THREADS=1 cargo bench -p sconce-ops -- vgg16`; beside PyTorch: `benches/peer.py`.

mod shapes;

use candle_core::{Device, Result, Tensor, Var};
use divan::Bencher;
use divan::counter::ItemsCount;
use sconce_ops::conv::{Conv2d, ConvTranspose2d, conv_transpose2d, conv2d};
use shapes::{LAYERS, Layer};

fn main() {
    divan::main();
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name)
    }
}

fn apply(layer: &Layer, x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let [_, _, s, p] = layer.filter;
    if layer.transposed {
        conv_transpose2d(x, w, None, &ConvTranspose2d::new(s, p))
    } else {
        conv2d(x, w, None, &Conv2d::new().stride(s).padding(p))
    }
}

fn tensors(layer: &Layer) -> Result<[Tensor; 2]> {
    let x = Tensor::rand(-1f32, 1.0, &layer.input[..], &Device::Cpu)?;
    Ok([x, Tensor::rand(-1f32, 1.0, &layer.weight()[..], &Device::Cpu)?])
}

#[divan::bench(args = LAYERS, sample_count = 20)]
fn forward(bencher: Bencher<'_, '_>, layer: &Layer) {
    let [x, w] = tensors(layer).expect("tensors of the layer's shapes");
    bencher.counter(ItemsCount::new(layer.flops() as u64)).bench(|| apply(layer, &x, &w));
}

/// The forward pass and both gradients: three times the operations.
#[divan::bench(args = LAYERS, sample_count = 20)]
fn step(bencher: Bencher<'_, '_>, layer: &Layer) {
    let [x, w] = tensors(layer)
        .expect("tensors of the layer's shapes")
        .map(|t| Var::from_tensor(&t).expect("a copy"));
    bencher
        .counter(ItemsCount::new(3 * layer.flops() as u64))
        .bench(|| apply(layer, x.as_tensor(), w.as_tensor())?.sum_all()?.backward());
}
