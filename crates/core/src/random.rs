//! Seeded randomness: one independent generator for each purpose.
//!
//! Nothing random comes from a device or the clock. ChaCha8 gives the same numbers on every
//! platform.

pub use rand_chacha::ChaCha8Rng as Generator;
use rand_chacha::rand_core::SeedableRng;

/// The generator of `purpose` under `seed`.
pub fn generator(seed: u64, purpose: &str) -> Generator {
    let mut hasher = blake3::Hasher::new_derive_key("sconce 2026 random generator");
    hasher.update(&seed.to_le_bytes());
    hasher.update(purpose.as_bytes());
    Generator::from_seed(*hasher.finalize().as_bytes())
}

/// The seed of a stage: from the pipeline's seed and the stage's name.
///
/// Cells of one stage share it, so that settings are compared on the same draws, and a new axis
/// does not re-run what is there.
pub fn stage_seed(pipeline_seed: u64, stage: &str) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("sconce 2026 stage seed");
    hasher.update(&pipeline_seed.to_le_bytes());
    hasher.update(stage.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    // 53 bits, so that JSON readers that hold numbers as doubles keep it.
    u64::from_le_bytes(bytes) >> 11
}
