use sconce_core::{Artifact, Context, Digest, Files, Result, Stage};
use sconce_data::{Color, Column, Examples, Features, ImageSet, Metrics, Table};
use serde_json::{Value, json};

use super::*;

mod embed;

/// A stage's outputs after it ran, in a folder that goes with it.
struct Ran(tempfile::TempDir);

impl Ran {
    fn files(&self, output: &str) -> Files {
        Files::from_folder(&self.0.path().join("out").join(output)).unwrap()
    }

    fn load<T: Artifact>(&self, output: &str) -> T {
        T::load(&self.files(output)).unwrap()
    }
}

fn run_seeded<S: Stage>(seed: u64, parameters: Value, inputs: &[(&str, &Files)]) -> Result<Ran> {
    let stage: S = serde_json::from_value(parameters).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut ctx = Context::in_folder(folder.path(), S::OUTPUTS)?.with_seed(seed);
    for (slot, files) in inputs {
        ctx = ctx.with_input(slot, (*files).clone());
    }
    stage.check()?;
    stage.run(&ctx)?;
    Ok(Ran(folder))
}

fn run<S: Stage>(parameters: Value, inputs: &[(&str, &Files)]) -> Result<Ran> {
    run_seeded::<S>(0, parameters, inputs)
}

fn saved(artifact: &impl Artifact) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    artifact.save(folder.path()).unwrap();
    let files = Files::from_folder(folder.path()).unwrap();
    (folder, files)
}

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

/// Twelve examples of three classes in turn; half of them are to test.
fn examples(domain: &str) -> Examples {
    Examples {
        ids: (0..12).map(|i| format!("{domain}/{i:02}.png")).collect(),
        classes: names(["cat", "dog", "bird"]),
        labels: (0..12).map(|i| i % 3).collect(),
        splits: names(["train", "test"]),
        split: (0..12).map(|i| u32::from(i % 3 == i / 4)).collect(),
    }
}

/// Logits at three checkpoints: each is surer of the true class than the one before, but for example 5, which it takes for the
/// next class.
fn logits(examples: Examples) -> Features {
    let value = |i: usize| {
        let (example, checkpoint, class) = (i / 9, i / 3 % 3, i % 3);
        let taken = if example == 5 { 0 } else { example % 3 };
        let noise = ((example * 7 + class * 5) % 11) as f32 / 6.0;
        noise + if class == taken { 1.2 * checkpoint as f32 } else { 0.0 }
    };
    Features::new(examples, vec![3, 3], (0..12 * 9).map(value).collect()).unwrap()
}

/// The images in another order, their classes too.
fn images(domain: &str) -> ImageSet {
    let examples = examples(domain);
    let turned: Vec<usize> = (0..12).rev().collect();
    let examples = Examples {
        classes: names(["Bird", "cat", "dog"]),
        labels: examples.select(&turned).labels.iter().map(|label| (label + 1) % 3).collect(),
        ..examples.select(&turned)
    };
    ImageSet::packed(examples, Color::Grey, 2, 2, (0..48).collect()).unwrap()
}

fn checkpoints() -> Table {
    let mut table = Table::new(vec![
        Column::integer("checkpoint"),
        Column::decimals("epoch", 2),
        Column::integer("step"),
    ]);
    for checkpoint in 0..3 {
        let epoch = f64::from(checkpoint) * 0.5;
        table.push(vec![json!(checkpoint), json!(epoch), json!(checkpoint * 50)]).unwrap();
    }
    table
}

/// 40 rows of 6 numbers about three centres.
fn features(domain: u32) -> Features {
    let value = |i: usize| {
        let (row, column) = (i / 6, i % 6);
        let noise = ((i * 7919 + domain as usize * 31) % 101) as f32 / 101.0;
        noise + if column == row % 3 { 3.0 } else { 0.0 }
    };
    let examples = Examples {
        ids: (0..40).map(|i| format!("{domain}-{i}")).collect(),
        classes: names(["cat", "dog", "bird"]),
        labels: (0..40).map(|i| i % 3).collect(),
        ..Examples::default()
    };
    Features::new(examples, vec![6], (0..240).map(value).collect()).unwrap()
}

#[test]
fn kinds_have_docs() {
    for kind in KINDS {
        let schema = kind.schema();
        assert!(schema.get("description").is_some(), "{kind:?}");
        for (name, field) in sconce_core::stage::properties(&schema) {
            assert!(field.get("description").is_some(), "{kind:?}: {name}");
        }
    }
}

/// Numbers to three digits, so that processors with and without fused multiplication agree.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(format!("{:.2e}", number.as_f64().unwrap())),
        Value::Array(values) => values.iter().map(rounded).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), rounded(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn pin(value: impl serde::Serialize) -> String {
    let text = rounded(&serde_json::to_value(value).unwrap()).to_string();
    Digest::of(text.as_bytes()).hex()[..16].to_owned()
}

fn evaluate(more: Value) -> Result<Ran> {
    let (_l, logits) = saved(&logits(examples("target").without_labels()));
    let (_i, images) = saved(&images("target"));
    let (_c, checkpoints) = saved(&checkpoints());
    let mut parameters = json!({ "logits": "logits", "images": "images", "checkpoints": "checkpoints", "split": "" });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    run::<EvaluateLogits>(
        parameters,
        &[("logits", &logits), ("images", &images), ("checkpoints", &checkpoints)],
    )
}

fn scores() -> Ran {
    let (_s, source) = saved(&logits(examples("source")));
    let (_t, target) = saved(&logits(examples("target").without_labels()));
    let (_c, checkpoints) = saved(&checkpoints());
    run::<Validators>(
        json!({ "source_logits": "source_logits", "target_logits": "target_logits", "checkpoints": "checkpoints" }),
        &[("source_logits", &source), ("target_logits", &target), ("checkpoints", &checkpoints)],
    )
    .unwrap()
}

fn choose_on(scores: &Files, curve: &Files, more: Value) -> Result<Ran> {
    let mut parameters = json!({ "scores": "scores", "curve": "curve" });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    run::<ChooseCheckpoint>(parameters, &[("scores", scores), ("curve", curve)])
}

fn embedded(seed: u64, more: Value) -> Result<Ran> {
    let (_a, a) = saved(&features(0));
    let (_b, b) = saved(&features(1));
    let mut parameters = json!({
        "features": "features", "domains": ["MNIST", "MNIST-M"], "split": "", "perplexity": 5, "steps": 100,
    });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    run_seeded::<Embed>(seed, parameters, &[("features", &a), ("features", &b)])
}

/// A kind whose result changes must get a new version, and a new row here.
#[test]
fn results_are_those_of_the_versions() {
    let evaluated = evaluate(json!({})).unwrap();
    let scores = scores();
    let chosen = choose_on(&scores.files("scores"), &evaluated.files("curve"), json!({})).unwrap();
    let (_s, source) = saved(&images("source"));
    let (_t, target) = saved(&images("target"));
    let adapted = run::<Adapt>(
        json!({ "source": "source", "target": "target", "watched": 3, "training": { "epochs": 2, "batch": 4 } }),
        &[("source", &source), ("target", &target)],
    );
    let by_pca = embedded(0, json!({ "method": "pca" })).unwrap();
    let by_tsne = embedded(0, json!({})).unwrap();
    let embedded = (by_pca.load::<Table>("embedding"), by_tsne.load::<Metrics>("metrics"));
    let pins = [
        (Kind::of::<Adapt>(), pin(adapted.unwrap().load::<Metrics>("metrics"))),
        (Kind::of::<EvaluateLogits>(), pin(evaluated.load::<Table>("curve"))),
        (Kind::of::<Validators>(), pin(scores.load::<Table>("scores"))),
        (Kind::of::<ChooseCheckpoint>(), pin(chosen.load::<Table>("choices"))),
        (Kind::of::<Embed>(), pin(embedded)),
    ];
    assert_eq!(pins.len(), KINDS.len());
    let pins: Vec<String> = pins.iter().map(|(kind, pin)| format!("{kind:?} {pin}")).collect();
    insta::assert_snapshot!(pins.join("\n"), @"
    adapt@3 087113c7a2486ec4
    evaluate-logits@2 1036bbc675ccd4d5
    validators@1 f8684686baffd88b
    choose-checkpoint@1 3a645e57cdad28fc
    embed@3 bd0ec8d1acf9a604
    ");
}

#[test]
fn labels_are_those_of_the_images_by_name() {
    let ran = evaluate(json!({})).unwrap();
    let metrics: Metrics = ran.load("metrics");
    let curve: Table = ran.load("curve");
    let accuracy = curve.numbers("accuracy").unwrap();
    assert_eq!(metrics.get("accuracy").unwrap(), 11.0 / 12.0);
    assert_eq!(metrics.get("accuracy").unwrap(), accuracy[2]);
    assert!(accuracy[0] < accuracy[2]);
    assert_eq!(metrics.get("loss").unwrap(), curve.numbers("loss").unwrap()[2]);
    assert_eq!(curve.numbers("epoch").unwrap(), [0.0, 0.5, 1.0]);
    // Example 5 is a bird that is taken for a cat.
    assert_eq!(metrics.classes, ["cat", "dog", "bird"]);
    assert_eq!(metrics.arrays["confusion"].data[2 * 3], 1.0);
    let mistakes: ImageSet = ran.load("mistakes");
    assert_eq!(mistakes.examples().ids, ["target/05.png"]);
    assert_eq!(mistakes.examples().class_of(0), Some("Bird"));
    let predictions: Table = ran.load("predictions");
    let row = predictions.rows.iter().find(|row| row[0] == "target/05.png").unwrap();
    assert_eq!(row[1..4], [json!("bird"), json!("cat"), json!(false)]);
    assert_eq!(predictions.rows.len(), 12);
    let tested = evaluate(json!({ "split": "test" })).unwrap().load::<Metrics>("metrics");
    assert_eq!(tested.get("examples").unwrap(), 6.0);
}

#[test]
fn confident_predictions_are_counted_by_their_probability() {
    // softmax of the last checkpoint's logits, by hand
    let all = logits(examples("target"));
    let probability = |row: usize| {
        let of = &all.row(row)[6..];
        let sum: f64 = of.iter().map(|&logit| f64::from(logit).exp()).sum();
        of.iter().map(|&logit| f64::from(logit).exp() / sum).fold(0.0, f64::max)
    };
    for confidence in [0.0, 0.6, 0.8, 1.0] {
        let sure: Vec<usize> = (0..12).filter(|&row| probability(row) >= confidence).collect();
        let ran = evaluate(json!({ "confidence": confidence })).unwrap();
        let metrics: Metrics = ran.load("metrics");
        assert_eq!(metrics.get("confident").unwrap(), sure.len() as f64 / 12.0);
        assert_eq!(
            ran.load::<Table>("curve").numbers("confident").unwrap()[2],
            sure.len() as f64 / 12.0
        );
        // example 5 alone is wrong
        let right = sure.iter().filter(|&&row| row != 5).count();
        match sure.len() {
            0 => assert!(metrics.get("confident_accuracy").is_err()),
            count => {
                let found = metrics.get("confident_accuracy").unwrap();
                assert!((found - right as f64 / count as f64).abs() < 1e-12, "{found}");
            }
        }
        assert!(confidence == 0.0 || confidence == 1.0 || (1..12).contains(&sure.len()));
    }
    let error = evaluate(json!({ "confidence": 1.5 })).err().unwrap().to_string();
    assert_eq!(error, "parameter `confidence`: expected 0 to 1, got 1.5");
}

#[test]
fn a_single_checkpoint_needs_no_table() {
    let all = logits(examples("target").without_labels());
    let last: Vec<f32> = (0..12).flat_map(|row| all.row(row)[6..].to_vec()).collect();
    let one = Features::new(all.examples().clone(), vec![3], last).unwrap();
    let (_l, logits) = saved(&one);
    let (_i, images) = saved(&images("target"));
    let inputs = [("logits", &logits), ("images", &images)];
    let parameters = json!({ "logits": "logits", "images": "images", "split": "" });
    let ran = run::<EvaluateLogits>(parameters, &inputs).unwrap();
    let metrics = ran.load::<Metrics>("metrics");
    assert_eq!(metrics, evaluate(json!({})).unwrap().load::<Metrics>("metrics"));
    assert_eq!(ran.load::<Table>("curve").values("epoch").unwrap(), [&Value::Null]);
}

#[test]
fn what_does_not_belong_together_is_told() {
    let said = |refused: Result<Ran>| refused.err().unwrap().to_string();
    let (_l, target) = saved(&logits(examples("target").without_labels()));
    let (_o, other) = saved(&images("other"));
    let (_u, unlabelled) = saved(
        &images("target").with_examples(images("target").examples().without_labels()).unwrap(),
    );
    let on = |images: &Files| {
        let inputs = [("logits", &target), ("images", images)];
        said(run::<EvaluateLogits>(json!({ "logits": "logits", "images": "images" }), &inputs))
    };
    assert_eq!(
        on(&other),
        "input `images`: no image `target/00.png`, of which there are logits: expected the same images"
    );
    assert_eq!(on(&unlabelled), "input `images`: expected labelled examples: these have no labels");
    let error = said(evaluate(json!({ "split": "validation" })));
    assert_eq!(error, "parameter `split`: no split `validation`; there are: train, test");

    let (_t, table) = saved(&Table { rows: checkpoints().rows[..2].to_vec(), ..checkpoints() });
    let (_i, images) = saved(&images("target"));
    let inputs = [("logits", &target), ("images", &images), ("checkpoints", &table)];
    let parameters =
        json!({ "logits": "logits", "images": "images", "checkpoints": "checkpoints" });
    assert_eq!(
        said(run::<EvaluateLogits>(parameters, &inputs)),
        "input `checkpoints`: expected a row for each of 3 checkpoints, numbered from 0 in the column `checkpoint`; found 2 \
         rows"
    );

    let inputs = [("source_logits", &target), ("target_logits", &target)];
    let parameters = json!({ "source_logits": "source_logits", "target_logits": "target_logits" });
    assert_eq!(
        said(run::<Validators>(parameters, &inputs)),
        "input `source_logits`: expected labelled examples: these have no labels"
    );
}

#[test]
fn a_surer_network_scores_better() {
    let table: Table = scores().load("scores");
    let column = |name: &str| table.numbers(name).unwrap();
    for (name, grows) in [("entropy", false), ("mcc", false), ("diversity", true), ("bnm", true)] {
        let better = |pair: &[f64]| (pair[0] < pair[1]) == grows && pair[0] != pair[1];
        assert!(column(name).windows(2).all(better), "{name}: {:?}", column(name));
    }
    assert_eq!(column("step"), [0.0, 50.0, 100.0]);
    // Example 5 is not among the source images to test on.
    assert_eq!(column("source_accuracy")[2], 1.0);
}

/// Scores `good`, `constant` and `noise` of four checkpoints whose third is the most accurate.
fn told() -> (Table, Table) {
    let column = Column::number;
    let mut scores =
        Table::new(["checkpoint", "epoch", "good", "constant", "noise"].map(column).to_vec());
    let mut curve = Table::new(["checkpoint", "accuracy"].map(column).to_vec());
    for (i, (accuracy, noise)) in [(0.4, 3), (0.6, 1), (0.9, 0), (0.7, 3)].into_iter().enumerate() {
        curve.push(vec![json!(i), json!(accuracy)]).unwrap();
        let row = [json!(i), json!(0.5 * i as f64), json!(1.0 - accuracy), json!(7), json!(noise)];
        scores.push(row.to_vec()).unwrap();
    }
    scores.columns[0] = Column::integer("checkpoint");
    (scores, curve)
}

#[test]
fn what_a_score_chooses_is_set_beside_the_last_and_the_best() {
    let (scores, curve) = told();
    let ((_s, scores), (_c, curve)) = (saved(&scores), saved(&curve));
    let best = json!({ "best": { "good": "min", "constant": "max", "noise": "max" } });
    let ran = choose_on(&scores, &curve, best).unwrap();
    let choices: Table = ran.load("choices");
    assert_eq!(choices.numbers("checkpoint").unwrap(), [2.0, 3.0, 3.0]);
    assert_eq!(choices.numbers("epoch").unwrap(), [1.0, 1.5, 1.5]);
    assert_eq!(choices.numbers("accuracy").unwrap(), [0.9, 0.7, 0.7]);
    assert_eq!(choices.numbers("last_accuracy").unwrap(), [0.7; 3]);
    assert_eq!(choices.numbers("best_accuracy").unwrap(), [0.9; 3]);
    // A constant ranks nothing: its cell is empty, and there is no metric.
    let correlations = choices.values("rank_correlation").unwrap();
    assert!((correlations[0].as_f64().unwrap() - 1.0).abs() < 1e-12);
    assert!(correlations[1].is_null() && correlations[2].as_f64().unwrap() < 0.0);
    let metrics: Metrics = ran.load("metrics");
    assert_eq!(metrics.get("good_accuracy").unwrap(), 0.9);
    assert!(metrics.get("constant_rank_correlation").is_err());
    let joined: Table = ran.load("joined");
    assert_eq!(joined.rows.len(), 12);
    let good: Vec<f64> = joined.numbers("standardised").unwrap()[..4].to_vec();
    assert!(good[2] > good[3] && good[3] > good[1] && good[1] > good[0], "{good:?}");
    let wide: Table = ran.load("scores");
    assert_eq!(wide.numbers("accuracy").unwrap(), [0.4, 0.6, 0.9, 0.7]);
}

#[test]
fn what_is_best_of_an_unknown_score_has_to_be_said() {
    let (scores, curve) = told();
    let ((_s, scores), (_c, files)) = (saved(&scores), saved(&curve));
    let said = |more: Value| choose_on(&scores, &files, more).err().unwrap().to_string();
    assert_eq!(
        said(json!({ "best": { "good": "min" } })),
        "parameter `best`: expected what is best of `constant`: `max` or `min`"
    );
    assert_eq!(
        said(json!({ "best": { "godo": "min" } })),
        "parameter `best`: no score `godo`; there are: good, constant, noise"
    );
    let short = Table { rows: curve.rows[..3].to_vec(), ..curve };
    let (_h, short) = saved(&short);
    let error = choose_on(&scores, &short, json!({})).err().unwrap().to_string();
    assert_eq!(error, "input `curve`: expected the same checkpoints as in `scores`");
}
