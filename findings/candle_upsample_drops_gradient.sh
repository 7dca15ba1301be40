#!/usr/bin/env bash
# candle-core 0.11.1: what is enlarged by `upsample_nearest2d` (or `upsample_nearest1d`) and used somewhere else, too, may lose the other gradient: the
# backward pass writes the enlargement's over what has been collected, where every other operation adds. Skip connections of a U-Net, the top-down path of a
# feature pyramid and images that a generator grows by doubling and adding are built like this. It depends on the order in which a sum is written: `up + x` loses the
# gradient of `x`, `x + up` has both, when the enlargement stands alone; with one more operation behind it, both orders lose it. The loss is right and falls,
# for what is left is a gradient, too; no error, no warning. `x.affine(1.0, 0.0)` in front of the enlargement gives it a
# tensor of its own to write over, and the sum is right. (Known upstream as pull request 3507, open since May 2026.)
#
# Seen, derivative of a sum with respect to each number of x, and what it should be:
#   the enlargement alone: 4, should be 4
#   10 x + enlargement: 14, should be 14
#   enlargement + 10 x: 4, should be 14
#   pyramid, pooled enlargement + x: 1, should be 2
#   pyramid, x + pooled enlargement: 1, should be 2
#   pyramid, enlargement of a copy: 2, should be 2
#   one dimension, enlargement + 10 x: 2, should be 12
#   difference quotient of the pyramid: 2
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/program/src"
cat > "$folder/program/Cargo.toml" <<'TOML'
[package]
name = "upsample"
version = "0.0.0"
edition = "2021"
[dependencies]
candle-core = "=0.11.1"
TOML
cat > "$folder/program/src/main.rs" <<'RUST'
use candle_core::{Device, Result, Tensor, Var};

/// The gradient of the sum of all of `y`, which is the same for each number of `x`.
fn gradient(y: &Tensor, x: &Var) -> Result<f32> {
    let all = y.sum_all()?.backward()?.get(x).unwrap().flatten_all()?.to_vec1::<f32>()?;
    assert!(all.iter().all(|one| *one == all[0]));
    Ok(all[0])
}

fn main() -> Result<()> {
    let numbers = Tensor::arange(1f32, 5.0, &Device::Cpu)?;
    let x = Var::from_tensor(&numbers.reshape((1, 1, 2, 2))?)?;
    let say = |what: &str, found: f32, expected: u32| println!("{what}: {found}, should be {expected}");
    let sum = |t: Tensor| t.sum_all();
    let up = || sum(x.upsample_nearest2d(4, 4)?);
    let ten = || sum((x.as_tensor() * 10.0)?);
    say("the enlargement alone", gradient(&up()?, &x)?, 4);
    say("10 x + enlargement", gradient(&(ten()? + up()?)?, &x)?, 14);
    say("enlargement + 10 x", gradient(&(up()? + ten()?)?, &x)?, 14);
    // a level of a pyramid: a coarse map is enlarged, and goes on by itself, too
    let pooled = |h: &Tensor| h.upsample_nearest2d(4, 4)?.avg_pool2d(2);
    let h = x.sqr()?.sqrt()?;
    say("pyramid, pooled enlargement + x", gradient(&(pooled(&h)? + &h)?, &x)?, 2);
    say("pyramid, x + pooled enlargement", gradient(&(&h + pooled(&h)?)?, &x)?, 2);
    let copied = (&h + pooled(&h.affine(1.0, 0.0)?)?)?;
    say("pyramid, enlargement of a copy", gradient(&copied, &x)?, 2);
    let line = Var::from_tensor(&numbers.reshape((1, 1, 4))?)?;
    let along = (sum(line.upsample_nearest1d(8)?)? + sum((line.as_tensor() * 10.0)?)?)?;
    say("one dimension, enlargement + 10 x", gradient(&along, &line)?, 12);
    let pyramid = |by: f64| -> Result<f32> {
        let h = (numbers.reshape((1, 1, 2, 2))? + by)?;
        (pooled(&h)? + &h)?.sum_all()?.to_scalar()
    };
    // four numbers move
    println!("difference quotient of the pyramid: {}", (pyramid(0.5)? - pyramid(0.0)?) / 0.5 / 4.0);
    Ok(())
}
RUST
cargo run --quiet --manifest-path "$folder/program/Cargo.toml" --target-dir "$folder/target" > "$folder/seen"
cat "$folder/seen"
# what this file says, without its "#   "
sed -n 's/^#   //p' "$0" > "$folder/said"
diff "$folder/said" "$folder/seen" && echo "as described" || { echo "candle has changed"; exit 1; }
