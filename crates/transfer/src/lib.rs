//! Features, linear SVM, grid search, fine-tuning, PCA.

mod cross_validate;
mod dual;
mod error;
mod folds;
mod gram;
mod rows;
pub mod svm;
#[cfg(test)]
mod synthetic;

pub use cross_validate::{CrossValidation, cross_validate};
pub use error::Error;
pub use folds::stratified_folds;
pub use gram::Gram;
pub use rows::{Rows, l2_normalise};
