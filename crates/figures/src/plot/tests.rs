//! Plots drawn and looked at: nothing leaves the picture, nothing lies on anything else.

use super::*;
use crate::Words;
use crate::drawn::assert_well_drawn;
use crate::ticks::Scale;

fn axis(label: &str, scale: Scale) -> Axis {
    Axis { label: label.to_owned(), scale, ..Axis::default() }
}

/// Accuracy against C: published shape of such a curve.
fn c_curve() -> Plot {
    let accuracy = |raw: bool| -> Vec<Point> {
        let means = if raw {
            [0.871, 0.874, 0.866, 0.858, 0.853, 0.851]
        } else {
            [0.702, 0.846, 0.883, 0.896, 0.8912, 0.887]
        };
        let c = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0];
        c.iter().zip(means).map(|(c, mean)| Point::with_error(*c, mean, 0.008)).collect()
    };
    let series = vec![
        Series { name: "L2-normalised".to_owned(), points: accuracy(false) },
        Series { name: "raw".to_owned(), points: accuracy(true) },
    ];
    let rule = Rule { at: 1.0, upright: true, label: "best: C = 1".to_owned() };
    let panel = Panel {
        x: axis("regularisation C", Scale::Log),
        y: axis("cross-validated accuracy", Scale::Linear),
        series,
        rules: vec![rule],
        ..Panel::default()
    };
    let caption = "Mean accuracy over 5 stratified folds of the training set; the band is ± one standard deviation. \
                   SqueezeNet 1.1, fire9, global average pooling.";
    Plot::new(Words::new("Accuracy against C", caption), vec![panel])
}

#[test]
fn a_curve_with_its_spread() {
    let scene = c_curve().scene().unwrap();
    assert_eq!(scene.width, README_WIDTH);
    assert_well_drawn("c-curve", &scene);
    let mut bars = c_curve();
    bars.panels[0].spread = Spread::Bars;
    bars.panels[0].marks = Marks::Points;
    bars.panels[0].rules[0] =
        Rule { at: 0.912, upright: false, label: "published .912 (VGG16, relu6)".to_owned() };
    assert_well_drawn("c-bars", &bars.scene().unwrap());
}

#[test]
fn two_panels_instead_of_two_axes() {
    let dimensions = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
    let accuracy = [0.31, 0.48, 0.66, 0.781, 0.842, 0.868, 0.8731, 0.8745, 0.8728];
    let seconds = [0.04, 0.041, 0.05, 0.06, 0.08, 0.13, 0.26, 0.55, 1.31];
    let points =
        |y: &[f64]| dimensions.iter().zip(y).map(|(x, y)| Point::new(*x, *y)).collect::<Vec<_>>();
    let panel = |y: Axis, values: &[f64]| Panel {
        x: axis("PCA dimension", Scale::Log),
        y,
        series: vec![Series { name: "fire9".to_owned(), points: points(values) }],
        ..Panel::default()
    };
    let panels = vec![
        panel(axis("test accuracy", Scale::Linear), &accuracy),
        panel(axis("time of fit and prediction / s", Scale::Log), &seconds),
    ];
    let plot = Plot::new(
        Words::new(
            "Fewer dimensions",
            "Accuracy and time against the number of principal components.",
        ),
        panels,
    );
    assert_well_drawn("pca", &plot.scene().unwrap());
}

#[test]
fn many_series_and_categories() {
    let layers: Vec<String> = (2..=9).map(|i| format!("fire{i}/expand output")).collect();
    let series = (0..8)
        .map(|s| Series {
            name: format!("setting {s} with a name"),
            points: (0..8)
                .map(|i| Point::new(f64::from(i), 0.5 + 0.05 * f64::from(i) - 0.03 * f64::from(s)))
                .collect(),
        })
        .collect();
    let x = Axis { categories: layers, ..axis("layer", Scale::Linear) };
    let panel = Panel { x, y: axis("accuracy", Scale::Linear), series, ..Panel::default() };
    assert_well_drawn("categories", &Plot::new(Words::default(), vec![panel]).scene().unwrap());
}

#[test]
fn a_single_point_and_a_flat_line_are_drawn() {
    for points in [vec![Point::new(1.0, 0.5)], vec![Point::new(1.0, 0.5), Point::new(2.0, 0.5)]] {
        let series = vec![Series { name: "one".to_owned(), points }];
        let panel = Panel { series, x: axis("x", Scale::Log), ..Panel::default() };
        assert_well_drawn("flat", &Plot::new(Words::default(), vec![panel]).scene().unwrap());
    }
}

#[test]
fn tried_values_are_ticks_and_drawn_ones_are_not() {
    let svg = |values: &[f64]| {
        let points = values.iter().map(|x| Point::new(*x, *x)).collect();
        let series = vec![Series { name: "a".into(), points }];
        let panel = Panel { series, x: axis("c", Scale::Log), ..Panel::default() };
        Plot::new(Words::default(), vec![panel]).scene().unwrap().svg()
    };
    let tried = svg(&[4.0, 128.0, 1024.0]);
    assert!(tried.contains(">128<") && !tried.contains(">100<"), "{tried}");
    let drawn = svg(&[0.00447352, 2.44284, 93.7316]);
    assert!(drawn.contains(">0.01<") && !drawn.contains(">0.004474<"), "{drawn}");
}

#[test]
fn bars_for_long_names() {
    let chart = BarChart {
        words: Words::new("Accuracy by layer", "Mean ± standard deviation over 5 splits."),
        categories: [
            "fire9",
            "fire7",
            "pool5",
            "a layer with a name that is much too long to be shown whole in a chart",
        ]
        .map(str::to_owned)
        .to_vec(),
        series: vec![
            Bars {
                name: "raw".to_owned(),
                values: vec![Some(0.851), Some(0.82), None, Some(0.4)],
                errors: vec![Some(0.012), Some(0.008), None, None],
            },
            Bars {
                name: "L2".to_owned(),
                values: vec![Some(0.8728), Some(0.84), Some(0.91), Some(0.02)],
                errors: vec![Some(0.0077), Some(0.01), None, None],
            },
        ],
        label: "test accuracy".to_owned(),
        decimals: 3,
        largest: Some(1.0),
        width: README_WIDTH,
    };
    assert_well_drawn("bars", &chart.scene().unwrap());
    let signed = BarChart {
        series: vec![Bars {
            name: "change".to_owned(),
            values: vec![Some(-3.0), Some(1.0), Some(2.0), Some(0.0)],
            errors: vec![],
        }],
        largest: None,
        ..chart
    };
    assert_well_drawn("bars-signed", &signed.scene().unwrap());
}

fn scenes() -> Vec<String> {
    "bedroom suburb industrial kitchen living-room coast forest highway inside-city mountain open-country street \
     tall-building office store"
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_confusion_matrix_of_fifteen_classes() {
    let classes = scenes();
    let counts: Vec<f64> = (0..225)
        .map(|i| match (i / 15, i % 15) {
            (row, column) if row == column => 150.0 + f64::from(row) * 4.0,
            (row, column) if (row * 7 + column * 3) % 5 == 0 => f64::from((row * column) % 13),
            _ => 0.0,
        })
        .collect();
    let words = Words::new(
        "Confusion on 15-Scene",
        "Counts on the test set; colours are shares of each true class.",
    );
    let matrix = confusion(words, &classes, &counts).unwrap();
    let shares: f64 = matrix.values[..15].iter().sum();
    assert!((shares - 1.0).abs() < 1e-12);
    let scene = matrix.scene().unwrap();
    assert!(scene.width <= README_WIDTH, "{}", scene.width);
    assert_well_drawn("confusion", &scene);
}

#[test]
fn a_class_without_examples_has_no_accuracy() {
    let classes = ["a".to_owned(), "b".to_owned()];
    let matrix = confusion(Words::default(), &classes, &[0.0, 0.0, 1.0, 3.0]).unwrap();
    assert_eq!(matrix.margin.as_ref().unwrap().1, ["–", "75.0 %"]);
    assert_well_drawn("confusion-small", &matrix.scene().unwrap());
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let error = |plot: Plot| plot.scene().unwrap_err().to_string();
    assert_eq!(
        error(Plot::new(Words::default(), vec![])),
        "the plot is empty: expected at least one panel"
    );
    assert_eq!(
        error(Plot::new(Words::default(), vec![Panel::default()])),
        "the plot is empty: expected at least one point"
    );
    let mut plot = c_curve();
    plot.panels[0].series[0].points[0].x = 0.0;
    assert_eq!(error(plot), "the x axis is logarithmic and a value is 0: expected values above 0");
    let mut plot = c_curve();
    plot.panels[0].y.limits = Some((1.0, 0.5));
    assert_eq!(
        error(plot),
        "the y axis cannot run from 1 to 0.5: expected two numbers, the smaller first"
    );
    let message = confusion(Words::default(), &scenes(), &[1.0]).unwrap_err().to_string();
    assert_eq!(message, "the confusion matrix: expected 15 × 15 counts, found 1");
}

#[test]
fn the_svg_of_a_small_plot() {
    let panel = Panel {
        x: axis("x", Scale::Linear),
        series: vec![Series {
            name: "s".to_owned(),
            points: vec![Point::new(0.0, 1.0), Point::new(1.0, 2.0)],
        }],
        ..Panel::default()
    };
    let plot =
        Plot { width: 240.0, height: 60.0, ..Plot::new(Words::new("A < B", ""), vec![panel]) };
    insta::assert_snapshot!(plot.scene().unwrap().svg());
}
