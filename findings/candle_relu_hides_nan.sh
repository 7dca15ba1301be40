#!/usr/bin/env bash
# candle-core 0.11.1 on the processor: `relu` turns NaN into 0 (Rust's `f32::max` returns the other number), where PyTorch's keeps it. A
# training that guards itself by "stop when the loss is no number", as is usual, is not stopped: weights of a layer that are all NaN make features
# of 0 behind the next rectifier, a finite loss, and a finite gradient of every layer behind it. `max`, `argmax` and `max_pool2d`
# depend on where the NaN stands: first in the row it wins, later it is passed over. So a check belongs on weights or on logits, not on the loss alone, and an argmax of a row with
# NaN is a class like any other.
#
# Seen:
#   relu [NaN, -1, 2] = [0.0, 0.0, 2.0]
#   max of [NaN, 1] = NaN, of [1, NaN] = 1
#   argmax of [NaN, 1] = 0, of [1, NaN, 2] = 2
#   max_pool2d of [NaN, 1, 1, 1] = NaN, of [1, 1, 1, NaN] = 1
#   first layer all NaN: loss 0.3133, gradient of the last layer's bias -0.2689
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/program/src"
cat > "$folder/program/Cargo.toml" <<'TOML'
[package]
name = "nan"
version = "0.0.0"
edition = "2021"
[dependencies]
candle-core = "=0.11.1"
TOML
cat > "$folder/program/src/main.rs" <<'RUST'
use candle_core::{Device, Result, Tensor, Var, D};

fn main() -> Result<()> {
    let cpu = &Device::Cpu;
    let nan = f32::NAN;
    let row = |values: &[f32]| Tensor::new(values, cpu);
    println!("relu [NaN, -1, 2] = {:?}", row(&[nan, -1., 2.])?.relu()?.to_vec1::<f32>()?);
    let max = |values: &[f32]| row(values)?.max(D::Minus1)?.to_scalar::<f32>();
    println!("max of [NaN, 1] = {}, of [1, NaN] = {}", max(&[nan, 1.])?, max(&[1., nan])?);
    let argmax = |values: &[f32]| row(values)?.argmax(D::Minus1)?.to_scalar::<u32>();
    println!("argmax of [NaN, 1] = {}, of [1, NaN, 2] = {}", argmax(&[nan, 1.])?, argmax(&[1., nan, 2.])?);
    let pool = |values: &[f32]| row(values)?.reshape((1, 1, 2, 2))?.max_pool2d(2)?.flatten_all()?.get(0)?.to_scalar::<f32>();
    println!("max_pool2d of [NaN, 1, 1, 1] = {}, of [1, 1, 1, NaN] = {}", pool(&[nan, 1., 1., 1.])?, pool(&[1., 1., 1., nan])?);

    // two layers; the logistic loss of one example of class 1
    let x = Tensor::new(&[[0.5f32, -0.25]], cpu)?;
    let first = Var::new(&[[nan, nan, nan], [nan, nan, nan]], cpu)?;
    let (last, bias) = (Var::new(&[[0.3f32], [0.2], [-0.1]], cpu)?, Var::new(&[1f32], cpu)?);
    let logit = x.matmul(&first)?.relu()?.matmul(&last)?.broadcast_add(&bias)?;
    let loss = ((logit.neg()?.exp()? + 1.)?).log()?.sum_all()?;
    let gradient = loss.backward()?.get(&bias).unwrap().to_vec1::<f32>()?[0];
    println!("first layer all NaN: loss {:.4}, gradient of the last layer's bias {gradient:.4}", loss.to_scalar::<f32>()?);
    Ok(())
}
RUST
cargo run --quiet --manifest-path "$folder/program/Cargo.toml" --target-dir "$folder/target" > "$folder/seen"
cat "$folder/seen"
# what this file says, without its "#   "
sed -n 's/^#   //p' "$0" > "$folder/said"
diff "$folder/said" "$folder/seen" && echo "as described" || { echo "candle has changed"; exit 1; }
