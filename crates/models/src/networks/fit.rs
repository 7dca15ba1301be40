//! Tensors of a file as the parameters of a network: names, shapes and numbers are checked here, all at once.

use std::borrow::Cow;
use std::collections::BTreeSet;

use candle_core::{CpuStorage, DType, Storage, Tensor};
use sconce_core::{Error, Result};
use sconce_data::finite::NotFinite;

use super::architecture::{Architecture, Parameter};
use crate::Tensors;

/// Parameters of a network with their tensors, under the parameters' own names.
#[derive(Debug)]
pub struct Fitted {
    /// The parameters that are there, in the sizes that the tensors have.
    pub parameters: Vec<Parameter>,
    /// Their tensors.
    pub tensors: Tensors,
}

/// What of the last layer is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLayer {
    /// As the weights have it, with their number of classes, or none where the network also works without.
    Kept,
    /// None, since it is to be replaced; all others are needed.
    Replaced,
}

/// Takes the tensors of a network's parameters out of `tensors`, which may go by other libraries' names, have another
/// number of classes, or a first convolution whose input channels were summed.
///
/// # Errors
/// When tensors are missing, have another shape, hold numbers that are not finite, or show that the weights are of another
/// network. The message counts them all at once and names the first ones of each fault.
pub fn fit(
    architecture: &dyn Architecture,
    tensors: &Tensors,
    last_layer: LastLayer,
) -> Result<Fitted> {
    let tensors = &*behind_prefix(architecture, tensors)?;
    let parameters = expected(architecture, tensors, last_layer);
    let mut wrong = Wrong::default();
    let mut fitted = Tensors::default();
    let mut used = BTreeSet::new();
    for parameter in &parameters {
        let Some((name, tensor)) = parameter.find(tensors) else {
            let of_type = tensors.of_other_type(&parameter.name);
            let of_type = of_type.map(|dtype| format!(", which is there as {dtype}"));
            let (name, shape) = (&parameter.name, &parameter.shape);
            wrong.missing.push(format!("`{name}` {shape:?}{}", of_type.unwrap_or_default()));
            continue;
        };
        used.insert(name);
        match shaped(tensor, &parameter.shape)? {
            Some(tensor) => {
                let count = not_finite(&tensor).map_err(Error::other)?;
                if count.first.is_some() {
                    wrong.not_finite.push(format!("`{name}` ({})", count.words()));
                }
                fitted.insert(parameter.name.clone(), tensor);
            }
            None => {
                let (expected, found) = (&parameter.shape, tensor.dims());
                wrong.shape.push(format!("`{name}` expected {expected:?}, found {found:?}"));
            }
        }
    }
    let head = architecture.head().filter(|_| last_layer == LastLayer::Replaced);
    let replaced = |name: &str| {
        let of_head = |head: &String| name.strip_prefix(head).is_some_and(|r| r.starts_with('.'));
        head.as_ref().is_some_and(of_head)
    };
    let foreign = tensors.iter().filter(|(name, tensor)| {
        !used.contains(name) && !replaced(name) && architecture.is_foreign(name, tensor)
    });
    wrong.unexpected = foreign.map(|(name, t)| format!("`{name}` {:?}", t.dims())).collect();
    wrong.check(architecture.name())?;
    Ok(Fitted { parameters, tensors: fitted })
}

/// The tensors without what stands before the names of all that the network needs: `module.`, `backbone.`, …
fn behind_prefix<'a>(
    architecture: &dyn Architecture,
    tensors: &'a Tensors,
) -> Result<Cow<'a, Tensors>> {
    let parameters = architecture.parameters();
    let needed: Vec<_> = parameters.iter().filter(|parameter| !parameter.optional).collect();
    let Some(first) = needed.first().filter(|first| first.find(tensors).is_none()) else {
        return Ok(Cow::Borrowed(tensors));
    };
    let prefixes = tensors.iter().filter_map(|(name, _)| {
        let prefix = first.names().find_map(|first| name.strip_suffix(first))?;
        let is_there =
            |p: &&Parameter| p.names().any(|n| tensors.contains(&format!("{prefix}{n}")));
        (prefix.ends_with('.') && needed.iter().all(is_there)).then_some(prefix)
    });
    match prefixes.collect::<Vec<_>>().as_slice() {
        [] => Ok(Cow::Borrowed(tensors)),
        [prefix] => {
            let kept = tensors.iter().filter_map(|(name, tensor)| {
                Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
            });
            Ok(Cow::Owned(kept.collect()))
        }
        several => Err(Error::message(format!(
            "the weights hold {} networks, behind `{}`: expected one (kind `read-pth` takes `prefix`)",
            several.len(),
            several.join("` and `")
        ))),
    }
}

/// The parameters that `tensors` should have, in sizes that go with theirs.
fn expected(
    architecture: &dyn Architecture,
    tensors: &Tensors,
    last_layer: LastLayer,
) -> Vec<Parameter> {
    let mut parameters = architecture.parameters();
    let head = architecture.head();
    match (last_layer, &head) {
        (LastLayer::Replaced, Some(head)) => parameters.retain(|p| !p.is_of(head)),
        _ => {
            let there =
                |p: &Parameter| p.optional && p.shape.len() > 1 && p.find(tensors).is_some();
            if !parameters.iter().any(there) {
                parameters.retain(|p| !p.optional);
            }
        }
    }
    if let Some(head) = &head {
        let of_head = parameters.iter_mut().filter(|p| p.is_of(head));
        let mut of_head: Vec<_> = of_head.collect();
        let rows = |p: &&mut Parameter| p.find(tensors)?.1.dims().first().copied();
        if let Some(rows) = of_head.iter().find_map(rows) {
            of_head.iter_mut().for_each(|p| p.shape[0] = rows);
        }
    }
    if let Some(first) = parameters.iter_mut().find(|p| p.shape.len() == 4) {
        let channels = first.find(tensors).and_then(|(_, tensor)| tensor.dims().get(1).copied());
        if channels == Some(1) {
            first.shape[1] = 1;
        }
    }
    architecture.adapt(&mut parameters, tensors);
    parameters
}

/// The tensor in this shape, where at most ones are added or dimensions merged: a fully connected layer kept as a
/// convolution over the whole input.
fn shaped(tensor: &Tensor, shape: &[usize]) -> Result<Option<Tensor>> {
    if tensor.dims() == shape {
        return Ok(Some(tensor.clone()));
    }
    let same_rows = tensor.dims().first() == shape.first();
    if same_rows && tensor.elem_count() == shape.iter().product::<usize>() {
        return tensor.reshape(shape).map(Some).map_err(Error::other);
    }
    Ok(None)
}

/// Counts the numbers that are infinite or none at all; on the processor without a copy.
fn not_finite(tensor: &Tensor) -> candle_core::Result<NotFinite> {
    if tensor.device().is_cpu() && tensor.is_contiguous() {
        let (storage, layout) = tensor.storage_and_layout();
        if let (Storage::Cpu(CpuStorage::F32(all)), Some((from, to))) =
            (&*storage, layout.contiguous_offsets())
        {
            return Ok(NotFinite::of(&all[from..to]));
        }
    }
    let all = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    Ok(NotFinite::of(&all))
}

/// What does not fit, for one message.
#[derive(Default)]
struct Wrong {
    missing: Vec<String>,
    shape: Vec<String>,
    not_finite: Vec<String>,
    unexpected: Vec<String>,
}

impl Wrong {
    fn check(&self, name: &str) -> Result<()> {
        let parts = [
            (&self.missing, "missing"),
            (&self.shape, "of another shape"),
            (&self.not_finite, "with numbers that are not finite"),
            (&self.unexpected, "that the network does not have"),
        ];
        let parts = parts.into_iter().filter(|(found, _)| !found.is_empty());
        let parts: Vec<_> = parts
            .map(|(found, what)| {
                let tensors = if found.len() == 1 { "tensor" } else { "tensors" };
                format!("{} {tensors} {what}: {}", found.len(), listed(found))
            })
            .collect();
        if parts.is_empty() {
            return Ok(());
        }
        Err(Error::message(format!("the weights are not those of {name}: {}", parts.join("; "))))
    }
}

/// The first ones, and how many more there are.
fn listed(all: &[String]) -> String {
    const MOST: usize = 6;
    let shown = all[..all.len().min(MOST)].join(", ");
    match all.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}
