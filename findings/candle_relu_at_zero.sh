#!/usr/bin/env bash
# candle-core 0.11.1: `relu` passes the whole gradient where its input is exactly 0; PyTorch passes none there. Zero is not a rare
# value where it matters: on the black ground of a digit, a convolution whose bias is 0 (left out, or at its start) gives exactly 0 at every place. So of the same
# weights and image the saliency map has a gradient nearly all over the ground, where PyTorch's is 0 wherever only ground is seen, and the gradient of a bias that is
# 0 counts all of the ground, too. Nothing is wrong by the calculus (each number from 0 to 1 is a subgradient), so no test against differences
# tells: it has to be known when maps or first updates are compared with another framework's. `maximum(0.0)` passes half there, `abs` +1, where PyTorch
# has half, too, and 0.
#
# Seen, an image of 12 × 12 with ink in the middle 4 × 4, a convolution 3 × 3 to 4 maps, relu, sum:
#   candle 0.11.1: 131 of 144 pixels have a gradient, gradient of the biases 513
#   torch 2.9.1: 60 of 144 pixels have a gradient, gradient of the biases 68
#   candle 0.11.1 at 0: relu 1, maximum 0.5, abs 1
#   torch 2.9.1 at 0: relu 0, maximum 0.5, abs 0
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/program/src"
cat > "$folder/program/Cargo.toml" <<'TOML'
[package]
name = "zero"
version = "0.0.0"
edition = "2021"
[dependencies]
candle-core = "=0.11.1"
TOML
cat > "$folder/program/src/main.rs" <<'RUST'
use candle_core::{DType, Device, Result, Tensor, Var};

fn main() -> Result<()> {
    let cpu = &Device::Cpu;
    let ink = |i: usize| if (4..8).contains(&(i / 12)) && (4..8).contains(&(i % 12)) { 1f32 } else { 0.0 };
    let image: Vec<f32> = (0..144).map(ink).collect();
    let image = Var::from_tensor(&Tensor::from_vec(image, (1, 1, 12, 12), cpu)?)?;
    let weight: Vec<f32> = (0..36).map(|i| ((i * 7 + 3) % 11) as f32 - 5.0).collect();
    let weight = Tensor::from_vec(weight, (4, 1, 3, 3), cpu)?;
    let bias = Var::zeros((1, 4, 1, 1), DType::F32, cpu)?;
    let maps = image.conv2d(&weight, 1, 1, 1, 1)?.broadcast_add(&bias)?.relu()?;
    let gradients = maps.sum_all()?.backward()?;
    let of_image = gradients.get(&image).unwrap().flatten_all()?.to_vec1::<f32>()?;
    let of_bias = gradients.get(&bias).unwrap().sum_all()?.to_scalar::<f32>()?;
    let some = of_image.iter().filter(|gradient| **gradient != 0.0).count();
    println!("candle 0.11.1: {some} of 144 pixels have a gradient, gradient of the biases {of_bias}");
    let at = |f: fn(&Tensor) -> Result<Tensor>| -> Result<f32> {
        let x = Var::zeros(1, DType::F32, &Device::Cpu)?;
        f(&x)?.sum_all()?.backward()?.get(&x).unwrap().sum_all()?.to_scalar()
    };
    let [relu, maximum, abs] = [at(|x| x.relu())?, at(|x| x.maximum(0f32))?, at(|x| x.abs())?];
    println!("candle 0.11.1 at 0: relu {relu}, maximum {maximum}, abs {abs}");
    Ok(())
}
RUST
cargo run --quiet --manifest-path "$folder/program/Cargo.toml" --target-dir "$folder/target" > "$folder/of_candle"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.9.1
"$folder/venv/bin/python" - > "$folder/of_torch" <<'PYTHON'
import torch

image = torch.zeros(1, 1, 12, 12)
image[..., 4:8, 4:8] = 1
image.requires_grad_()
weight = torch.tensor([(i * 7 + 3) % 11 - 5.0 for i in range(36)]).reshape(4, 1, 3, 3)
bias = torch.zeros(4, requires_grad=True)
torch.conv2d(image, weight, bias, padding=1).relu().sum().backward()
some = int((image.grad != 0).sum())
print(f"torch {torch.__version__.split('+')[0]}: {some} of 144 pixels have a gradient, gradient of the biases {bias.grad.sum():.0f}")

def at(f):
    x = torch.zeros(1, requires_grad=True)
    f(x).sum().backward()
    return f"{x.grad.item():g}"

maximum = at(lambda x: torch.maximum(x, torch.zeros(1)))
print(f"torch {torch.__version__.split('+')[0]} at 0: relu {at(torch.relu)}, maximum {maximum}, abs {at(torch.abs)}")
PYTHON
paste -d '\n' "$folder/of_candle" "$folder/of_torch" > "$folder/seen"
cat "$folder/seen"
# what this file says, without its "#   "
sed -n 's/^#   //p' "$0" > "$folder/said"
diff "$folder/said" "$folder/seen" && echo "as described" || { echo "candle or torch has changed"; exit 1; }
