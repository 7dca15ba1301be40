//! Which output of a cell an edge takes.

use std::borrow::Cow;

use super::SlotEdge;
use crate::plan::Cell;
use crate::text::diagnostic::Diagnostic;
use crate::{Anything, Artifact, Output};

/// The output of `upstream` that `edge` takes, by name or by type.
pub(super) fn output(
    edge: &SlotEdge,
    upstream: &Cell,
    errors: &mut Vec<Diagnostic>,
) -> Option<Cow<'static, str>> {
    let wanted = edge.slot.artifact.as_str();
    let fits = |output: &&Output| wanted == Anything::TYPE || output.artifact == wanted;
    let kind = upstream.kind.name;
    let stage = &edge.edge.stage;
    let found = match &edge.edge.output {
        Some(name) => match upstream.outputs.iter().find(|output| output.name == *name) {
            None => {
                let message = format!(
                    "`{}`: stage `{stage}` (kind `{kind}`) has no output `{name}`",
                    edge.path
                );
                errors.push(Diagnostic::new(message, edge.span.clone()).did_you_mean(
                    name,
                    upstream.outputs.iter().map(|output| &*output.name),
                    "outputs",
                ));
                return None;
            }
            Some(output) if fits(&output) => return Some(output.name.clone()),
            Some(output) => {
                format!("output `{name}` of stage `{stage}` is {}", a(&output.artifact))
            }
        },
        None => {
            let fitting: Vec<_> = upstream.outputs.iter().filter(fits).collect();
            match fitting.as_slice() {
                [output] => return Some(output.name.clone()),
                [] => {
                    let all: Vec<_> = upstream
                        .outputs
                        .iter()
                        .map(|output| format!("`{}` ({})", output.name, output.artifact))
                        .collect();
                    match upstream.outputs.as_slice() {
                        [only] => format!(
                            "output `{}` of stage `{stage}` is {}",
                            only.name,
                            a(&only.artifact)
                        ),
                        _ => format!("stage `{stage}` yields {}", all.join(", ")),
                    }
                }
                several => {
                    let names: Vec<_> = several
                        .iter()
                        .map(|output| format!("\"{stage}.{}\"", output.name))
                        .collect();
                    let message =
                        format!("`{}`: stage `{stage}` has several outputs that fit", edge.path);
                    errors.push(
                        Diagnostic::new(message, edge.span.clone())
                            .help(format!("name one: {}", names.join(" or "))),
                    );
                    return None;
                }
            }
        }
    };
    let message = format!("`{}` wants {}, but {found}", edge.path, a(wanted));
    errors.push(
        Diagnostic::new(message, edge.span.clone())
            .label(format!("expected {}", a(wanted)))
            .note(format!("stage `{stage}` is of kind `{kind}`"), None),
    );
    None
}

/// The type with its article, where it has one.
fn a(artifact: &str) -> String {
    let plural = artifact.ends_with('s') || artifact == Anything::TYPE;
    let article = if plural {
        ""
    } else if artifact.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an "
    } else {
        "a "
    };
    format!("{article}{artifact}")
}
