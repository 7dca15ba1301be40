//! The trials as a figure: the objective over each range, and the best so far.

use std::path::Path;

use sconce_core::sweep::{Dimension, Objective, Range};
use sconce_figures::Words;
use sconce_figures::plot::{Axis, Marks, Panel, Plot, Point, Series};
use sconce_figures::ticks::Scale;

use super::listing::{Trial, short_names};
use crate::failure::Failure;

/// Pixels of a PNG for each CSS pixel.
const DENSITY: f64 = 2.0;

/// Writes the figure as SVG or PNG, by the file's name. Only results with the largest budget that
/// any trial had are drawn: others are not to be compared with them.
pub(crate) fn write(
    path: &Path,
    trials: &[Trial],
    dimensions: &[Dimension],
    objective: &Objective,
) -> Result<(), Failure> {
    let most = trials.iter().filter_map(|trial| Some(trial.last()?.0)).max().flatten();
    let mut drawn: Vec<(&Trial, f64)> = trials
        .iter()
        .filter_map(|trial| trial.last().map(|(budget, value)| (trial, budget, value)))
        .filter(|(_, budget, _)| *budget == most)
        .map(|(trial, _, value)| (trial, value))
        .collect();
    drawn.sort_by_key(|(trial, _)| trial.number);
    let y = || Axis { label: objective.metric.clone(), ..Axis::default() };
    let mut panels = Vec::new();
    for (place, (dimension, name)) in dimensions.iter().zip(short_names(dimensions)).enumerate() {
        let choices = match &dimension.range {
            Range::Choice(values) => values.clone(),
            _ => Vec::new(),
        };
        let at = |trial: &Trial| -> Option<f64> {
            let value = &trial.values[place];
            match choices.is_empty() {
                true => value.parse().ok(),
                false => choices.iter().position(|one| one == value).map(|place| place as f64),
            }
        };
        let points = drawn
            .iter()
            .filter_map(|(trial, value)| Some(Point::new(at(trial)?, *value)))
            .collect();
        let scale = match dimension.range {
            Range::LogUniform(..) => Scale::Log,
            _ => Scale::Linear,
        };
        panels.push(Panel {
            x: Axis { label: name, scale, categories: choices, ..Axis::default() },
            y: y(),
            series: vec![Series { name: "trials".to_owned(), points }],
            marks: Marks::Points,
            ..Panel::default()
        });
    }
    let mut best: Option<f64> = None;
    let so_far = drawn.iter().map(|(trial, value)| {
        let now = match best {
            Some(best) if !objective.is_better(*value, best) => best,
            _ => *value,
        };
        best = Some(now);
        Point::new(trial.number as f64, now)
    });
    panels.push(Panel {
        x: Axis { label: "trial".to_owned(), ..Axis::default() },
        y: Axis { label: format!("best {} so far", objective.metric), ..Axis::default() },
        series: vec![Series { name: "trials".to_owned(), points: so_far.collect() }],
        ..Panel::default()
    });
    let what = if objective.maximise { "larger is better" } else { "smaller is better" };
    let words = Words::new(format!("{} trials: {objective}", drawn.len()), format!("{what}."));
    let wrong = |error: sconce_figures::Error| Failure::usage(format!("the plot: {error}"));
    let scene = Plot::new(words, panels).scene().map_err(wrong)?;
    let bytes = match path.extension().and_then(|extension| extension.to_str()) {
        Some("png") => scene.png(DENSITY).map_err(wrong)?,
        _ => scene.svg().into_bytes(),
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, bytes)?;
    Ok(())
}
