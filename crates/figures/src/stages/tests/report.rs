//! The page that holds all figures.

use sconce_data::Figure;
use serde_json::json;

use super::pictures::animation_cell;
use super::tables::{confusion_cell, curve_cell, table_cell};
use crate::stages::trial::Cell;

pub(super) fn report_cell() -> Cell {
    let table = table_cell().figure("table");
    let plot = curve_cell().figure("plot");
    let animation = animation_cell().figure("animation");
    Cell::new(
        json!({ "figures": "figures", "title": "The study", "text": "What was done.\n\nAnd why." }),
    )
    .with("figures", "table", json!({}), &table)
    .with("figures", "curve", json!({ "layer": "fire9" }), &plot)
    .with("figures", "matrix", json!({}), &confusion_cell().figure("confusion-matrix"))
    .with("figures", "ascent", json!({}), &animation)
}

#[test]
fn report_is_one_page() {
    let figure = report_cell().figure("report");
    let html = String::from_utf8_lossy(&figure.files["report.html"]).into_owned();
    assert_eq!(html.matches("<section").count(), 4);
    assert!(html.contains("<h2>curve <small>layer = fire9</small></h2>"));
    assert!(html.contains("data:image/gif;base64,") && html.contains("width=\"800\""));
    let empty = Cell::new(json!({ "figures": "figures" })).with(
        "figures",
        "x",
        json!({}),
        &Figure::new("nothing"),
    );
    assert_eq!(
        empty.error("report"),
        "input `figures`: `x`: expected a html, gif or png file, found: "
    );
}
