//! `[labels]`: what figures show for names and values, once for a file.

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostic::Diagnostic;
use super::document::Table;
use super::entries::take_table;
use super::overlay;
use super::source::Span;
use crate::stage::kinds::Shape;

/// The labels of a file.
pub(crate) struct Labels<'a> {
    span: Span,
    texts: Table<'a>,
}

impl<'a> Labels<'a> {
    /// Takes `[labels]` out of the whole file.
    pub(super) fn take(root: &mut Table<'a>, errors: &mut Vec<Diagnostic>) -> Self {
        let span = root.get("labels").map_or(0..0, Spanned::span);
        let mut texts = take_table(root, "labels", errors).unwrap_or_default();
        let mut wrong = Vec::new();
        for (key, text) in &texts {
            if text.get_ref().as_str().is_none() {
                let name = key.get_ref();
                let found = text.get_ref().type_str();
                let message = format!("`labels.{name}`: expected a string, found {found}");
                errors.push(Diagnostic::new(message, text.span()).label("expected a string"));
                wrong.push(name.to_string());
            }
        }
        for name in wrong {
            texts.remove(name.as_str());
        }
        Self { span, texts }
    }

    /// Puts the labels under those of a stage.
    pub(super) fn under(&self, shape: &Shape, stage: &mut Table<'a>) {
        if self.texts.is_empty() {
            return;
        }
        for parameter in &shape.labels {
            match stage.get_mut(parameter.as_str()).map(Spanned::get_mut) {
                None => {
                    let table = DeValue::Table(self.texts.clone());
                    let span = self.span.clone();
                    stage.insert(
                        Spanned::new(span.clone(), parameter.clone().into()),
                        Spanned::new(span, table),
                    );
                }
                Some(DeValue::Table(own)) => {
                    let mut table = self.texts.clone();
                    overlay::tables(&mut table, std::mem::take(own), None);
                    *own = table;
                }
                // The kind says what is wrong with it.
                Some(_) => {}
            }
        }
    }
}
