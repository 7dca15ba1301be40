//! t-SNE: points of a plane whose near neighbours are those of the rows. Van der Maaten and Hinton, "Visualizing data using
//! t-SNE", JMLR 9, 2008; similarities to the near neighbours alone, as in van der Maaten, "Accelerating t-SNE using tree-based
//! algorithms", JMLR 15, 2014, section 4.1.
//!
//! With `pⱼ|ᵢ ∝ exp(−βᵢ ‖xᵢ − xⱼ‖²)` over the `3 · perplexity + 1` nearest rows, `βᵢ` such that the entropy is `ln perplexity`,
//! `pᵢⱼ = (pⱼ|ᵢ + pᵢ|ⱼ) / 2n` and `qᵢⱼ = wᵢⱼ / Z`, `wᵢⱼ = 1 / (1 + ‖yᵢ − yⱼ‖²)`, `Z = Σ k≠l wₖₗ`, the points go down the gradient
//! `4 Σⱼ (pᵢⱼ − qᵢⱼ) wᵢⱼ (yᵢ − yⱼ)` of `KL(P ‖ Q)`. The forces between all pairs are summed exactly: for the some thousands of
//! points that a picture can show, n² simple steps are cheap, and no tree's approximation depends on anything.
//!
//! Settings are scikit-learn's: early exaggeration 12, momentum .5 and then .8, gains, learning rate n / 48 and at least 50. Sums are
//! made point by point in a fixed order, so that results do not depend on the number of threads.

use rayon::prelude::*;
use sconce_core::{Error, Result};

/// A place in the plane.
pub type Place = [f64; 2];

/// How an embedding is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// About how many neighbours each point has.
    pub perplexity: f64,
    /// Steps down the gradient; in the first quarter, and in at most 250, similarities are exaggerated.
    pub steps: usize,
}

/// Points, and how far their similarities are from the rows'.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// A place for each row.
    pub places: Vec<Place>,
    /// `KL(P ‖ Q)` in nats.
    pub divergence: f64,
}

const EXAGGERATION: f64 = 12.0;
const EXAGGERATED: usize = 250;
/// Points of one task.
const TASK: usize = 16;

/// Embeds rows of which `distances` has the squares of all pairs' distances (rows × rows), from the places `start`.
///
/// `progress` gets the number of steps done and the divergence in nats, from time to time.
///
/// # Errors
/// Names the parameter `perplexity` when there are not more neighbours than that; `progress`'s own.
pub fn embed(
    distances: &[f64],
    start: Vec<Place>,
    options: Options,
    mut progress: impl FnMut(usize, f64) -> Result<()>,
) -> Result<Embedded> {
    let count = start.len();
    let similarities = similarities(distances, count, options.perplexity)?;
    let rate = (count as f64 / EXAGGERATION / 4.0).max(50.0);
    let exaggerated = EXAGGERATED.min(options.steps / 4);
    let (mut x, mut y): (Vec<f64>, Vec<f64>) = start.iter().map(|&[x, y]| (x, y)).unzip();
    let mut moved = vec![[0.0; 2]; count];
    let mut gains = vec![[1.0f64; 2]; count];
    for step in 0..options.steps {
        let (exaggeration, momentum) =
            if step < exaggerated { (EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        let forces = forces(&similarities, &x, &y);
        let z: f64 = forces.iter().map(|force| force.weights).sum();
        if step % 25 == 0 {
            progress(step, divergence(&similarities, z, &x, &y))?;
        }
        for (i, force) in forces.iter().enumerate() {
            for axis in 0..2 {
                let gradient =
                    4.0 * (exaggeration * force.attraction[axis] - force.repulsion[axis] / z);
                let (moved, gain) = (&mut moved[i][axis], &mut gains[i][axis]);
                let turned = *moved * gradient < 0.0;
                *gain = if turned { *gain + 0.2 } else { *gain * 0.8 }.max(0.01);
                *moved = momentum * *moved - rate * *gain * gradient;
            }
            x[i] += moved[i][0];
            y[i] += moved[i][1];
        }
    }
    let divergence = divergence(&similarities, normaliser(&x, &y), &x, &y);
    Ok(Embedded { places: x.into_iter().zip(y).map(|(x, y)| [x, y]).collect(), divergence })
}

/// `pᵢⱼ` of each row with those that it is a near neighbour of, or that are its: (row, similarity), rows in order.
fn similarities(
    distances: &[f64],
    count: usize,
    perplexity: f64,
) -> Result<Vec<Vec<(usize, f64)>>> {
    let neighbours = ((3.0 * perplexity + 1.0) as usize).min(count.saturating_sub(1));
    if perplexity >= neighbours as f64 {
        return Err(Error::parameter(
            "perplexity",
            format!(
                "expected less than the {neighbours} neighbours of each of {count} points, found {perplexity}"
            ),
        ));
    }
    let conditional: Vec<Vec<(usize, f64)>> = distances
        .par_chunks_exact(count)
        .enumerate()
        .map(|(i, row)| {
            let mut near: Vec<usize> = (0..count).filter(|&j| j != i).collect();
            near.select_nth_unstable_by(neighbours - 1, |&a, &b| {
                row[a].total_cmp(&row[b]).then(a.cmp(&b))
            });
            near.truncate(neighbours);
            near.sort_unstable();
            let near_by: Vec<f64> = near.iter().map(|&j| row[j]).collect();
            near.into_iter().zip(conditional(&near_by, perplexity)).collect()
        })
        .collect();
    let mut joint: Vec<Vec<(usize, f64)>> = conditional.clone();
    for (i, row) in conditional.iter().enumerate() {
        for &(j, p) in row {
            joint[j].push((i, p));
        }
    }
    let scale = 1.0 / (2.0 * count as f64);
    for row in &mut joint {
        row.sort_by_key(|(j, _)| *j);
        row.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        row.iter_mut().for_each(|(_, p)| *p *= scale);
    }
    Ok(joint)
}

/// `exp(−β d) / Σ exp(−β d)` with `β` found by bisection, so that the entropy is `ln perplexity`.
fn conditional(distances: &[f64], perplexity: f64) -> Vec<f64> {
    let nearest = distances.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = distances.iter().map(|d| d - nearest).sum::<f64>() / distances.len() as f64;
    let even = 1.0 / distances.len() as f64;
    if mean <= 0.0 {
        return vec![even; distances.len()];
    }
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut beta = 1.0 / mean;
    let mut shares = Vec::new();
    for _ in 0..200 {
        shares = distances.iter().map(|d| (-beta * (d - nearest)).exp()).collect();
        let sum: f64 = shares.iter().sum();
        let along: f64 = shares.iter().zip(distances).map(|(s, d)| s * (d - nearest)).sum();
        shares.iter_mut().for_each(|share| *share /= sum);
        let entropy = sum.ln() + beta * along / sum;
        let off = entropy - perplexity.ln();
        if off.abs() < 1e-10 {
            break;
        }
        if off > 0.0 {
            low = beta;
            beta = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * beta };
        } else {
            high = beta;
            beta = f64::midpoint(low, high);
        }
    }
    shares
}

/// What pulls and pushes a point.
struct Force {
    /// `Σⱼ pᵢⱼ wᵢⱼ (yᵢ − yⱼ)`.
    attraction: Place,
    /// `Σⱼ wᵢⱼ² (yᵢ − yⱼ)`.
    repulsion: Place,
    /// `Σ j≠i wᵢⱼ`.
    weights: f64,
}

fn forces(similarities: &[Vec<(usize, f64)>], x: &[f64], y: &[f64]) -> Vec<Force> {
    let arch = pulp::Arch::new();
    let force = |(i, near): (usize, &Vec<(usize, f64)>)| {
        let (weights, repulsion) = repulsion(arch, (x[i], y[i]), x, y);
        let mut attraction = [0.0; 2];
        for &(j, p) in near {
            let (dx, dy) = (x[i] - x[j], y[i] - y[j]);
            let pull = p / (1.0 + dx * dx + dy * dy);
            attraction[0] += pull * dx;
            attraction[1] += pull * dy;
        }
        // The point itself is 1 of the weights, and no force.
        Force { attraction, repulsion, weights: weights - 1.0 }
    };
    similarities.par_iter().enumerate().with_min_len(TASK).map(force).collect()
}

/// `Σⱼ wᵢⱼ` and `Σⱼ wᵢⱼ² (yᵢ − yⱼ)` over all points, over eight interleaved sums each.
fn repulsion(arch: pulp::Arch, (xi, yi): (f64, f64), x: &[f64], y: &[f64]) -> (f64, Place) {
    const LANES: usize = 8;
    arch.dispatch(
        #[inline(always)]
        || {
            let (mut weights, mut along, mut across) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
            let (x, x_rest) = x.as_chunks::<LANES>();
            let (y, y_rest) = y.as_chunks::<LANES>();
            for (x, y) in x.iter().zip(y) {
                for lane in 0..LANES {
                    let (dx, dy) = (xi - x[lane], yi - y[lane]);
                    let weight = 1.0 / (1.0 + dx * dx + dy * dy);
                    let push = weight * weight;
                    weights[lane] += weight;
                    along[lane] += push * dx;
                    across[lane] += push * dy;
                }
            }
            for (lane, (x, y)) in x_rest.iter().zip(y_rest).enumerate() {
                let (dx, dy) = (xi - x, yi - y);
                let weight = 1.0 / (1.0 + dx * dx + dy * dy);
                let push = weight * weight;
                weights[lane] += weight;
                along[lane] += push * dx;
                across[lane] += push * dy;
            }
            let sum = |lanes: [f64; LANES]| lanes.iter().sum::<f64>();
            (sum(weights), [sum(along), sum(across)])
        },
    )
}

/// `Z`, the sum of all weights.
fn normaliser(x: &[f64], y: &[f64]) -> f64 {
    let arch = pulp::Arch::new();
    (0..x.len()).map(|i| repulsion(arch, (x[i], y[i]), x, y).0 - 1.0).sum()
}

/// `KL(P ‖ Q) = Σ pᵢⱼ ln (pᵢⱼ / qᵢⱼ)`, with `z` the sum of all weights.
fn divergence(similarities: &[Vec<(usize, f64)>], z: f64, x: &[f64], y: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (i, near) in similarities.iter().enumerate() {
        for &(j, p) in near.iter().filter(|(_, p)| *p > 0.0) {
            let weight = 1.0 / (1.0 + (x[i] - x[j]).powi(2) + (y[i] - y[j]).powi(2));
            sum += p * (p * z / weight).ln();
        }
    }
    sum
}

#[cfg(test)]
mod tests;
