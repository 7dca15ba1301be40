//! Features, linear SVM, grid search, fine-tuning, PCA.

pub mod classifier;
mod cross_validate;
mod dual;
pub mod extract;
pub mod fine_tune;
mod folds;
mod gram;
pub mod logistic;
mod machine;
pub mod mcnemar;
mod newton;
pub mod stages;
pub mod svm;
#[cfg(test)]
mod synthetic;
mod top5;

pub use classifier::Classifier;
pub use cross_validate::{CrossValidation, cross_validate};
pub use folds::stratified_folds;
pub use gram::Gram;
pub use sconce_ops::rows::{Error, Rows, l2_normalise};
pub use stages::KINDS;
