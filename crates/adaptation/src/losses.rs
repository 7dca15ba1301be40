//! Losses of domain adaptation, as pure functions of features or logits.
//!
//! All give a scalar of the input's type, with gradients; of what enters without gradient, the page of each function
//! tells. Sum them with [`sconce_ops::loss::weighted_sum`], which keeps a gradient also where a weight is 0.

mod coral;
mod divergence;
mod mmd;
mod vat;

use candle_core::{Result, Tensor, bail};

pub use coral::coral;
pub use divergence::{conditional_entropy, cross_entropy_with, kl};
pub use mmd::{Estimator, MULTIPLES, mmd};
pub use vat::Vat;

/// Rows of source and of target, and the features that both have: `(n, d)` and `(m, d)` with `n` and `m` at least
/// `least`.
fn domains(
    what: &str,
    source: &Tensor,
    target: &Tensor,
    least: usize,
) -> Result<(usize, usize, usize)> {
    match (source.dims(), target.dims()) {
        (&[n, d], &[m, other]) if d == other && d > 0 && n >= least && m >= least => Ok((n, m, d)),
        (source, target) => bail!(
            "{what} expects features (n, d) and (m, d), n and m at least {least}, got {source:?} and {target:?}"
        ),
    }
}

#[cfg(test)]
mod tests;
