//! Seeded artificial data for the tests of this crate.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `samples` rows of `columns` values around `classes` random centres, and their classes in turn.
pub(crate) fn clusters(
    samples: usize,
    columns: usize,
    classes: usize,
    seed: u64,
) -> (Vec<f32>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let centres: Vec<f32> = (0..classes * columns).map(|_| rng.random_range(-1.0..1.0)).collect();
    let labels: Vec<usize> = (0..samples).map(|i| i % classes).collect();
    let mut values = Vec::with_capacity(samples * columns);
    for &label in &labels {
        for centre in &centres[label * columns..(label + 1) * columns] {
            values.push(0.6 * centre + rng.random_range(-1.0f32..1.0));
        }
    }
    (values, labels)
}
