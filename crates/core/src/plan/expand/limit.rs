//! How many cells a pipeline may have: a slip in a matrix must not fill the memory.

use crate::text::diagnostic::{Diagnostic, thousands};
use crate::text::pipeline::StageTable;
use crate::text::source::Span;

/// So many cells a pipeline may have that says nothing of it.
pub(crate) const MAX_CELLS: usize = 100_000;

/// So many axes of a product are named.
const NAMED: usize = 8;

/// The most cells that a pipeline may have.
pub(crate) struct Limit {
    pub(crate) cells: usize,
}

impl Limit {
    /// Refuses a matrix whose product alone is too large, before anything of it is made. Whether it
    /// is small enough.
    pub(super) fn allows(&self, table: &StageTable<'_>, errors: &mut Vec<Diagnostic>) -> bool {
        let lengths = || table.axes.iter().map(|axis| axis.values.len());
        let product =
            lengths().try_fold(1_u128, |product, length| product.checked_mul(length as u128));
        if product.is_some_and(|product| product <= self.cells as u128) {
            return true;
        }
        let named =
            |axis: &crate::text::axes::Axis<'_>| format!("{} `{}`", axis.values.len(), axis.name);
        let mut parts: Vec<String> = table.axes.iter().take(NAMED).map(named).collect();
        if table.axes.len() > NAMED {
            parts.push(format!("… ({} axes)", table.axes.len()));
        }
        let product = product.map_or("more than 10^38".to_owned(), thousands);
        let message = format!(
            "stage `{}` has {product} cells ({}), and a pipeline at most {}",
            table.name,
            parts.join(" × "),
            thousands(self.cells as u128)
        );
        let span =
            table.axes.first().map_or_else(|| table.header.clone(), |axis| axis.span.clone());
        errors.push(Diagnostic::new(message, span).help(HELP));
        false
    }

    /// Says that with this stage the pipeline has too many cells.
    pub(super) fn refuse(&self, stage: &str, span: &Span, errors: &mut Vec<Diagnostic>) {
        let most = thousands(self.cells as u128);
        let message = format!("with stage `{stage}` the pipeline has more than {most} cells");
        errors.push(Diagnostic::new(message, span.clone()).help(HELP));
    }
}

const HELP: &str = "set `max_cells` at the top of the file if so many are meant";
