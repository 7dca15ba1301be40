//! What a cell needs, from its kind and from the file.

use serde::Deserialize;
use serde_json::Value;

use crate::stage::Place;
use crate::text::diagnostic::Diagnostic;
use crate::text::document::{self, Node};
use crate::text::pipeline::StageTable;
use crate::{AnyStage, ByteSize, DeviceChoice, Resources, Threads, quantity};

/// What a cell of `parsed` needs and where it runs, with what the stage's table says: `resources = { threads = 2,
/// memory = "4GiB", device = "cuda", time = "2h" }`, `executor = "slurm"`.
pub(crate) fn resources(
    stage: &StageTable<'_>,
    kind: &str,
    parsed: &dyn AnyStage,
    errors: &mut Vec<Diagnostic>,
) -> Resources {
    let mut resources = parsed.resources();
    let (mut asked, mut device) = (None, None);
    for (key, node) in &stage.resources {
        let value = document::to_json(node, &mut Vec::new());
        let expected = match (key.as_str(), &value) {
            ("threads", Value::Number(n)) if n.as_u64().is_some_and(|n| n > 0) => {
                let count = n.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
                resources.threads = Threads::Count(count);
                continue;
            }
            ("threads", Value::String(all)) if all == "all" => {
                resources.threads = Threads::All;
                continue;
            }
            ("threads", _) => "a number of threads or \"all\"",
            ("memory", value) => match ByteSize::deserialize(value) {
                Ok(size) => {
                    resources.memory = size.0;
                    continue;
                }
                Err(_) => quantity::SIZE,
            },
            ("gpu", Value::Bool(gpu)) => {
                asked = Some((*gpu, node));
                continue;
            }
            ("gpu", _) => "true or false",
            ("device", Value::String(text)) => match text.parse() {
                Ok(choice) => {
                    resources.device = choice;
                    device = Some(node);
                    continue;
                }
                Err(_) => DeviceChoice::EXPECTED,
            },
            ("device", _) => DeviceChoice::EXPECTED,
            ("time", Value::String(text)) => match quantity::duration(text) {
                Ok(time) => {
                    resources.seconds = Some(time.as_secs().max(1));
                    continue;
                }
                Err(_) => quantity::DURATION,
            },
            ("time", _) => quantity::DURATION,
            _ => {
                let message = format!("`{key}` is no resource");
                errors.push(Diagnostic::new(message, node.span()).did_you_mean(
                    key,
                    ["threads", "memory", "gpu", "device", "time"],
                    "resources",
                ));
                continue;
            }
        };
        errors
            .push(Diagnostic::new(format!("`resources.{key}`: expected {expected}"), node.span()));
    }
    accelerator(&mut resources, kind, parsed, asked, device, errors);
    if let Some(node) = &stage.executor {
        match document::to_json(node, &mut Vec::new()).as_str() {
            Some("local") => resources.place = Place::Local,
            Some("slurm" | "command") => resources.place = Place::Queue,
            _ => errors.push(Diagnostic::new(
                "`executor`: expected \"local\", \"slurm\" or \"command\"",
                node.span(),
            )),
        }
    }
    resources
}

/// Whether the cell computes on an accelerator, from what `gpu` and `device` say.
fn accelerator(
    resources: &mut Resources,
    kind: &str,
    parsed: &dyn AnyStage,
    gpu: Option<(bool, &Node<'_>)>,
    device: Option<&Node<'_>>,
    errors: &mut Vec<Diagnostic>,
) {
    let choice = resources.device;
    let named = device.filter(|_| matches!(choice, DeviceChoice::Cuda(_) | DeviceChoice::Metal(_)));
    let node = named.or(gpu.filter(|(gpu, _)| *gpu).map(|(_, node)| node));
    if let Some(node) = node.filter(|_| !parsed.can_use_gpu()) {
        let message = format!("kind `{kind}` computes on the processor alone");
        errors.push(Diagnostic::new(message, node.span()));
    }
    let on_processor = choice == DeviceChoice::Cpu;
    if let (Some((gpu, node)), Some(_)) = (gpu, device)
        && gpu == on_processor
    {
        let message = format!("`resources.gpu` is {gpu}, and `resources.device` `{choice}`");
        errors.push(Diagnostic::new(message, node.span()).help("leave one of them out"));
    }
    resources.gpu = match gpu {
        Some((gpu, _)) => gpu,
        None if device.is_some() => !on_processor && parsed.can_use_gpu(),
        None => resources.gpu,
    };
}
