//! Results side by side: rows from plans and from recorded runs, columns of what differs.
//!
//! [`side`] finds the rows, [`frame`] makes columns of them, [`expression`] filters, [`write`] and
//! [`page`] write. Nothing here runs anything.

pub(crate) mod expression;
pub(crate) mod figures;
pub(crate) mod frame;
pub(crate) mod number;
pub(crate) mod page;
pub(crate) mod side;
pub(crate) mod write;

#[cfg(test)]
mod tests;
