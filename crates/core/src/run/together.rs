//! Cells of which one may write the outputs of others on its way.

use serde_json::{Value, json};

use super::walk::{Task, Walk};
use super::{Mode, Request, Waiting};
use crate::key::KeyParts;
use crate::plan::CellIndex;
use crate::stage::sibling::is_there;
use crate::{Digest, canonical};

impl Walk<'_> {
    /// The queued cells whose outputs this one may write on its way.
    pub(super) fn siblings(&self, index: CellIndex) -> Vec<CellIndex> {
        let Some(group) = self.task(index).and_then(|task| task.group) else { return Vec::new() };
        let queue = self.queue.get(&Some(self.plan[index].resources)).into_iter().flatten();
        let is_sibling = |task: &Task| task.group == Some(group);
        queue
            .map(|&(_, other)| other)
            .filter(|&other| other != index && self.task(other).is_some_and(is_sibling))
            .collect()
    }

    /// Takes queued cells out of the queue until the running cell `index` is over, which is told of them.
    pub(super) fn hold_back(&mut self, index: CellIndex, siblings: &[CellIndex]) -> Vec<Waiting> {
        let mut waiting = Vec::with_capacity(siblings.len());
        for &sibling in siblings {
            self.leave_queue(sibling);
            let of = |task: &Task| Waiting {
                key: task.key,
                parameters: task.request.cell.parameters.clone(),
            };
            waiting.extend(self.task(sibling).map(of));
        }
        if !siblings.is_empty() {
            self.held.insert(index, siblings.to_vec());
        }
        waiting
    }

    /// The running cell `index` is over: those that waited for that queue again. Each by itself if it failed, which may be because
    /// of them, or if its outputs are there.
    pub(super) fn release_held(&mut self, index: CellIndex, failed: bool) {
        let store = self.store;
        for sibling in self.held.remove(&index).into_iter().flatten() {
            self.enter_queue(sibling);
            self.set_task(sibling, |task| {
                if failed || is_there(&store.checkpoint(&task.key)) {
                    task.group = None;
                }
            });
        }
    }
}

/// What cells have in common that are to run and differ in nothing but the parameters `together`; none where a kind computes
/// each by itself.
pub(super) fn group(request: &Request, together: &[&str]) -> Option<Digest> {
    if together.is_empty() || request.mode != Mode::Run {
        return None;
    }
    let parts =
        KeyParts { parameters: Value::Null, defaults: Value::Null, ..request.cell.parts.clone() };
    let mut parameters = request.cell.parameters.clone();
    if let Some(parameters) = parameters.as_object_mut() {
        parameters.retain(|key, _| !together.contains(&key.as_str()));
    }
    Some(canonical::digest(&json!([parts, parameters])))
}
