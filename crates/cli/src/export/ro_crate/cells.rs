//! What cells were given, and what they gave: an action each, with files, parameters and digests.

use std::collections::BTreeSet;

use sconce_core::Digest;
use sconce_core::store::OutputRecord;
use serde_json::json;

use super::words::{encoded, time};
use super::{COMPLETED, Crate, ENGINE, FAILED, reference, references, step, tool};
use crate::export::{Exported, copy_output};
use crate::failure::Failure;
use crate::media_type::media_type;
use crate::watch::Status;

/// Files of an output that are listed one by one.
const LISTED: usize = 100;

impl Crate<'_> {
    /// Copies what the cells gave, and tells what it is.
    pub(super) fn outputs(&mut self, cells: &[Exported]) -> Result<(), Failure> {
        for cell in cells {
            for (name, output) in cell.outputs() {
                if self.data.contains_key(&output.digest) {
                    continue;
                }
                let id = match output.size <= self.most {
                    true => self.copied(cell, name, output)?,
                    false => self.absent(output),
                };
                self.data.insert(output.digest, id);
            }
        }
        Ok(())
    }

    fn copied(
        &mut self,
        cell: &Exported,
        name: &str,
        output: &OutputRecord,
    ) -> Result<String, Failure> {
        let folder = format!("results/{}/{name}", cell.id.file_name());
        copy_output(self.store, output, &self.out.join(&folder))?;
        let id = format!("{}/", encoded(&folder));
        let tree = self.store.tree(&output.digest)?;
        let mut files = Vec::new();
        for (name, member) in tree.iter().take(LISTED) {
            let entity = json!({
                "@id": format!("{id}{}", encoded(name)),
                "@type": "File",
                "name": name,
                "contentSize": member.size.to_string(),
                "encodingFormat": media_type(name).unwrap_or("application/octet-stream"),
                "identifier": member.digest.to_string(),
            });
            files.push(self.add(entity));
        }
        self.parts.extend(files.iter().cloned());
        let parameter = self.output_parameter(cell, name, output);
        let entity = json!({
            "@id": id,
            "@type": "Dataset",
            "name": format!("{}: {name}", cell.id),
            "description": format!("{} of {} files, {} bytes", output.artifact, output.files, output.size),
            "identifier": output.digest.to_string(),
            "hasPart": references(&files),
            "exampleOfWork": reference(&parameter),
        });
        self.parts.insert(id);
        Ok(self.add(entity))
    }

    /// Content that did not come along.
    fn absent(&mut self, output: &OutputRecord) -> String {
        self.add(json!({
            "@id": format!("#{}", output.digest.hex()),
            "@type": "CreativeWork",
            "name": format!("{} of {} files, {} bytes, which is not in this crate", output.artifact, output.files, output.size),
            "identifier": output.digest.to_string(),
        }))
    }

    /// The formal parameter of a kind's output.
    pub(super) fn output_parameter(
        &mut self,
        cell: &Exported,
        name: &str,
        output: &OutputRecord,
    ) -> String {
        self.add(json!({
            "@id": format!("#output-{}-{name}", cell.kind),
            "@type": "FormalParameter",
            "conformsTo": reference("https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"),
            "additionalType": "Dataset",
            "name": name,
            "description": format!("output of kind {}: {}", cell.kind, output.artifact),
        }))
    }

    /// A parameter's value, and the formal parameter of the kind.
    fn value(&mut self, cell: &Exported, name: &str, value: &str) -> String {
        let formal = self.add(json!({
            "@id": format!("#input-{}-{}", cell.kind, encoded(name)),
            "@type": "FormalParameter",
            "conformsTo": reference("https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"),
            "additionalType": "Text",
            "name": name,
            "description": format!("parameter of kind {}", cell.kind),
        }));
        let digest = Digest::of(format!("{formal}\0{value}").as_bytes()).hex();
        self.add(json!({
            "@id": format!("#value-{}", &digest[..16]),
            "@type": "PropertyValue",
            "name": name,
            "value": value,
            "exampleOfWork": reference(&formal),
        }))
    }

    /// The action of a cell and the one that controlled it.
    pub(super) fn cell(&mut self, cell: &Exported) -> String {
        let mut objects = Vec::new();
        for (name, value) in &cell.parameters {
            objects.push(self.value(cell, name, value));
        }
        let inputs =
            cell.receipt.iter().flat_map(|receipt| receipt.parts.inputs.values().flatten());
        let inputs: BTreeSet<Digest> = inputs.map(|part| part.digest).collect();
        for digest in inputs {
            let id = match self.data.get(&digest) {
                Some(id) => id.clone(),
                None => self.add(json!({
                    "@id": format!("#{}", digest.hex()),
                    "@type": "CreativeWork",
                    "name": "an input that is not in this crate",
                    "identifier": digest.to_string(),
                })),
            };
            objects.push(id);
        }
        let results: Vec<String> = cell
            .outputs()
            .filter_map(|(_, output)| self.data.get(&output.digest).cloned())
            .collect();
        let key = cell.id.to_string();
        let id = format!("#cell-{}", encoded(&cell.id.file_name()));
        let mut action = json!({
            "@id": id,
            "@type": "CreateAction",
            "name": format!("run of {key}"),
            "description": match &cell.receipt {
                Some(receipt) => format!("key {}, on {} with {} threads", receipt.key, receipt.device, receipt.threads),
                None => cell.status.word().to_owned(),
            },
            "instrument": reference(&tool(&cell.kind)),
            "agent": reference(ENGINE),
            "object": references(&objects),
            "result": references(&results),
            "startTime": time(cell.started()),
            "endTime": time(cell.ended()),
            "actionStatus": match cell.status {
                Status::Done => COMPLETED,
                Status::Running => "http://schema.org/ActiveActionStatus",
                _ => FAILED,
            },
        });
        if !cell.error.is_empty() {
            action["error"] = cell.error.clone().into();
        }
        self.add(action);
        self.add(json!({
            "@id": format!("#control-{}", encoded(&cell.id.file_name())),
            "@type": "ControlAction",
            "name": format!("orchestration of {key}"),
            "instrument": reference(&step(&self.workflow, &cell.id.stage)),
            "object": reference(&id),
        }));
        id
    }
}
