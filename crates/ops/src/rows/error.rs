//! What can go wrong in methods on rows of numbers.

/// An error of a method on rows of numbers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Sizes that do not fit together.
    #[error("{0}")]
    Shape(String),
    /// A feature that is NaN or infinite.
    #[error("the feature in row {row}, column {column} is not a finite number")]
    NotFinite {
        /// Row of the value, from 0.
        row: usize,
        /// Column of the value, from 0.
        column: usize,
    },
    /// A parameter outside its range.
    #[error("{0}")]
    Parameter(String),
    /// Data that the method cannot be applied to.
    #[error("{0}")]
    Data(String),
}
