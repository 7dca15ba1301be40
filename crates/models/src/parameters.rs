//! Where a network's parameters are.

use sconce_core::Result;
use sconce_data::{Column, Table};
use serde_json::json;

use crate::{Architecture, Group, Parameter};

/// One row a layer with parameters: kind, weight shape, count and part of the whole; then the sums of the
/// convolutions, of the fully connected layers and so on, and of all. Running means and variances are no parameters.
///
/// # Errors
/// None for the architectures of this crate.
pub fn parameter_table(architecture: &dyn Architecture) -> Result<Table> {
    let mut parameters = architecture.parameters();
    parameters.retain(|parameter| parameter.trained);
    let count = |of: &dyn Fn(&Parameter) -> bool| -> usize {
        parameters.iter().filter(|p| of(p)).map(Parameter::count).sum()
    };
    let total = count(&|_| true);
    let mut table = Table::new(vec![
        Column::text("layer"),
        Column::text("kind"),
        Column::text("weights"),
        Column::integer("parameters"),
        Column::decimals("share", 4),
    ]);
    let share = |part: usize| part as f64 / total as f64;
    let mut done: Vec<&str> = Vec::new();
    for parameter in &parameters {
        if done.contains(&parameter.layer) {
            continue;
        }
        done.push(parameter.layer);
        let weights: Vec<String> = parameters
            .iter()
            .filter(|p| p.layer == parameter.layer && p.shape.len() > 1)
            .map(|p| p.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×"))
            .collect();
        let part = count(&|p| p.layer == parameter.layer);
        table.push(vec![
            json!(parameter.layer),
            json!(kinds(&parameters, parameter.layer)),
            json!(weights.join(" + ")),
            json!(part),
            json!(share(part)),
        ])?;
    }
    for group in GROUPS {
        let part = count(&|p| p.group == group);
        if part > 0 {
            let name = format!("all {}", plural(group));
            table.push(vec![
                json!(name),
                json!(kind(group)),
                json!(null),
                json!(part),
                json!(share(part)),
            ])?;
        }
    }
    table.push(vec![json!("all"), json!(null), json!(null), json!(total), json!(1.0)])?;
    table.caption = format!("Parameters of {}", architecture.name());
    Ok(table)
}

const GROUPS: [Group; 4] =
    [Group::Convolution, Group::FullyConnected, Group::Normalisation, Group::Embedding];

/// What a layer is made of.
fn kinds(parameters: &[Parameter], layer: &str) -> String {
    let is_in = |group: &Group| parameters.iter().any(|p| p.layer == layer && p.group == *group);
    GROUPS.into_iter().filter(is_in).map(kind).collect::<Vec<_>>().join(" + ")
}

fn kind(group: Group) -> &'static str {
    match group {
        Group::Convolution => "convolution",
        Group::FullyConnected => "fully connected",
        Group::Normalisation => "normalisation",
        Group::Embedding => "embedding",
    }
}

fn plural(group: Group) -> &'static str {
    match group {
        Group::Convolution => "convolutions",
        Group::FullyConnected => "fully connected layers",
        Group::Normalisation => "normalisations",
        Group::Embedding => "embeddings",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture;

    #[test]
    fn sums_are_the_published_ones() {
        let csv = parameter_table(architecture("vgg16").unwrap()).unwrap().to_csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(
            lines[1].split(',').take(4).collect::<Vec<_>>().join(","),
            "conv1_1,convolution,64×3×3×3,1792"
        );
        assert!(
            lines
                .iter()
                .any(|l| l
                    .starts_with("all fully connected layers,fully connected,,123642856,0.893"))
        );
        assert!(lines.last().unwrap().starts_with("all,,,138357544,1"));
        let csv = parameter_table(architecture("squeezenet1_1").unwrap()).unwrap().to_csv();
        assert!(csv.lines().last().unwrap().starts_with("all,,,1235496,1"));
        for (name, published) in [
            ("lenet5", 61_706),
            ("resnet18", 11_689_512),
            ("resnet50", 25_557_032),
            ("convnext_tiny", 28_589_128),
            ("efficientnet_lite0", 4_652_008),
            // Without the mask token, which only its training used, and with a classifier of 1000 classes.
            ("dinov2_vits14", 22_056_576 - 384 + 769 * 1000),
        ] {
            let csv = parameter_table(architecture(name).unwrap()).unwrap().to_csv();
            let last = csv.lines().last().unwrap();
            assert!(last.starts_with(&format!("all,,,{published},1")), "{name}: {last}");
        }
    }
}
