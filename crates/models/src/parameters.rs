//! Where a network's parameters are.

use sconce_core::Result;
use sconce_data::{Column, Table};
use serde_json::json;

use crate::{Architecture, Group, Parameter};

/// One row a layer with parameters: kind, weight shape, count and part of the whole; then the sums of the
/// convolutions, of the fully connected layers and of all.
///
/// # Errors
/// None for the architectures of this crate.
pub fn parameter_table(architecture: &Architecture) -> Result<Table> {
    let parameters = architecture.parameters();
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
            json!(kind(parameter.group)),
            json!(weights.join(" + ")),
            json!(part),
            json!(share(part)),
        ])?;
    }
    for group in [Group::Convolution, Group::FullyConnected] {
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

fn kind(group: Group) -> &'static str {
    match group {
        Group::Convolution => "convolution",
        Group::FullyConnected => "fully connected",
    }
}

fn plural(group: Group) -> &'static str {
    match group {
        Group::Convolution => "convolutions",
        Group::FullyConnected => "fully connected layers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_the_published_ones() {
        let csv = parameter_table(&crate::vgg16()).unwrap().to_csv();
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
        let csv = parameter_table(&crate::squeezenet1_1()).unwrap().to_csv();
        assert!(csv.lines().last().unwrap().starts_with("all,,,1235496,1"));
    }
}
