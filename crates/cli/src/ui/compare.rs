//! The cells of a stage side by side, in the columns of `sconce compare`.

use sconce_core::plan::{CellIndex, Known, State};
use serde_json::json;

use super::answers::{Answered, Refused};
use super::board::Board;
use super::http::Request;
use crate::compare::frame::{Frame, Group};
use crate::compare::side::{Found, Side};

/// Axes and metrics, and what else differs.
pub(super) fn compare(board: &Board<'_>, request: &Request) -> Answered {
    let shown = board.shown();
    let stage = request.query("stage").unwrap_or_default();
    if !shown.plan.stages.iter().any(|name| name == stage) {
        return Err(Refused::Unknown(format!("no stage `{stage}`")));
    }
    let indices: Vec<CellIndex> = shown.plan.of_stage(stage).collect();
    let found = |&index: &CellIndex| {
        let known = match &shown.assessed.states[index] {
            State::Hit(receipt) => Known { key: Some(receipt.key), receipt: Some(receipt.clone()) },
            State::Run { key, .. } => Known { key: Some(*key), receipt: None },
            State::Depends(_) => Known::default(),
        };
        Found::of(&shown.plan, index, known)
    };
    let cells = indices.iter().map(found).collect();
    let mut side = Side { labels: Vec::new(), cells, reads: None };
    side.read_numbers(board.store(), |_| true);
    let frame = Frame::of(&[side], (0..indices.len()).map(|cell| (0, cell)).collect());
    let differing = frame.differing();
    let what = |column: usize| match frame.columns[column].group {
        Group::Axis => Some("axis"),
        Group::Metric => Some("metric"),
        Group::Parameter if differing.contains(&column) => Some("parameter"),
        Group::Run if differing.contains(&column) => Some("run"),
        _ => None,
    };
    let kept = (0..frame.columns.len()).filter_map(|column| Some((column, what(column)?)));
    let kept: Vec<(usize, &str)> = kept.collect();
    let head = |&(column, what): &(usize, &str)| json!({ "name": frame.columns[column].name, "what": what });
    let row = |(row, index): (usize, &CellIndex)| {
        let values: Vec<_> =
            kept.iter().map(|&(column, _)| &frame.columns[column].values[row]).collect();
        json!([index.index(), values])
    };
    Ok(json!({
        "edition": shown.edition,
        "stage": stage,
        "columns": kept.iter().map(head).collect::<Vec<_>>(),
        "rows": indices.iter().enumerate().map(row).collect::<Vec<_>>(),
    }))
}
