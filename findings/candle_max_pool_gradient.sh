#!/usr/bin/env bash
# candle-core 0.11.1: the gradient of `max_pool2d` is wrong by the size of the window. Where a window has one maximum, as nearly always, what comes
# back to it is multiplied by 1/4 for windows of 2 × 2 and by 1/9 for 3 × 3; where all of a window is equal, as on an even background, each
# element gets the whole gradient, so that they sum to 4 times what they should. PyTorch gives all of it to one element. The forward
# pass is right, no error, no warning. So the first convolution of a network with two pools has 1/16 of its gradient, and a saliency map of
# VGG16, which has five, is 1/1024 of what it should be; Adam, which divides by a gradient's size, hides it, and descent without that, weight decay and
# clipping do not. A maximum over two reshaped axes has the right gradient where it is unique.
#
# Seen, gradient of the sum of the maxima, divided by what a difference of 0.01 gives:
#   2 × 2, one maximum: 0.2500
#   3 × 3, one maximum: 0.1111
#   2 × 2, two pools one behind the other: 0.0625
#   2 × 2, maximum over reshaped axes: 1.0000
#   2 × 2, all equal: gradients 1 to 1, sum 16, windows 4
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/program/src"
cat > "$folder/program/Cargo.toml" <<'TOML'
[package]
name = "pool"
version = "0.0.0"
edition = "2021"
[dependencies]
candle-core = "=0.11.1"
TOML
cat > "$folder/program/src/main.rs" <<'RUST'
use candle_core::{Device, Result, Tensor, Var};

/// The gradient at the largest element, by that of a difference. `f` gives a scalar.
fn ratio(n: usize, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<f64> {
    let cpu = &Device::Cpu;
    // all different; the last element is the largest
    let mut values: Vec<f32> = (0..n * n).map(|i| ((i * 7) % 61) as f32).collect();
    values[n * n - 1] = 100.0;
    let x = Var::from_tensor(&Tensor::from_slice(&values, (1, 1, n, n), cpu)?)?;
    let y = f(&x)?;
    let gradient = y.backward()?.get(&x).unwrap().flatten_all()?.get(n * n - 1)?.to_scalar::<f32>()?;
    values[n * n - 1] += 0.01;
    let moved = f(&Tensor::from_slice(&values, (1, 1, n, n), cpu)?)?;
    let difference = (moved.to_scalar::<f32>()? - y.to_scalar::<f32>()?) / 0.01;
    Ok(f64::from(gradient) / f64::from(difference.round()))
}

fn main() -> Result<()> {
    let pool = |k: usize| move |x: &Tensor| x.max_pool2d(k)?.sum_all();
    println!("2 × 2, one maximum: {:.4}", ratio(4, pool(2))?);
    println!("3 × 3, one maximum: {:.4}", ratio(6, pool(3))?);
    println!("2 × 2, two pools one behind the other: {:.4}", ratio(8, |x| x.max_pool2d(2)?.max_pool2d(2)?.sum_all())?);
    let reshaped = |x: &Tensor| x.reshape((2, 2, 2, 2))?.max(3)?.max(1)?.sum_all();
    println!("2 × 2, maximum over reshaped axes: {:.4}", ratio(4, reshaped)?);
    let x = Var::zeros((1, 1, 4, 4), candle_core::DType::F32, &Device::Cpu)?;
    let all = x.max_pool2d(2)?.sum_all()?.backward()?.get(&x).unwrap().flatten_all()?;
    let [least, most] = [all.min(0)?, all.max(0)?].map(|t| t.to_scalar::<f32>().unwrap());
    println!("2 × 2, all equal: gradients {least} to {most}, sum {}, windows 4", all.sum_all()?.to_scalar::<f32>()?);
    Ok(())
}
RUST
cargo run --quiet --manifest-path "$folder/program/Cargo.toml" --target-dir "$folder/target" > "$folder/seen"
cat "$folder/seen"
# what this file says, without its "#   "
sed -n 's/^#   //p' "$0" > "$folder/said"
diff "$folder/said" "$folder/seen" && echo "as described" || { echo "candle has changed"; exit 1; }
