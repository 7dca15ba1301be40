use std::sync::Mutex;

use sconce_core::random::generator;
use sconce_core::{Digest, Files, Stage};
use sconce_data::Examples;
use sconce_models::Tensors;
use sconce_models::networks::dcgan::{Condition, Loss, Normalisation, Penalty, Updates};
use sconce_models::train::{Batch, Task, Values};
use sconce_models::variables::Origin;
use serde_json::{Value, json};

use super::*;
use crate::stages::{Generate, TrainGan};
use crate::testing::{Ran, run_seeded, saved};

/// Digits of two classes: bars of two directions, grey on black.
fn bars(count: usize) -> ImageSet {
    use rand::RngExt;
    let mut rng = generator(3, "bars");
    let labels: Vec<u32> = (0..count as u32).map(|i| i % 2).collect();
    let mut samples = Vec::new();
    for &label in &labels {
        let shift = rng.random_range(8..20);
        for pixel in 0..784 {
            let along = if label == 0 { pixel % 28 } else { pixel / 28 };
            samples.push(if i32::abs(along - shift) < 3 { 230u8 } else { 0 });
        }
    }
    let examples = Examples {
        ids: (0..count).map(|i| i.to_string()).collect(),
        classes: ["standing", "lying"].map(str::to_owned).to_vec(),
        labels,
        splits: vec!["train".into()],
        split: vec![0; count],
    };
    ImageSet::packed(examples, Color::Grey, 28, 28, samples).unwrap()
}

fn parameters(more: Value) -> Value {
    let mut all = json!({
        "images": "images", "latent": 8,
        "generator": { "width": 4 }, "discriminator": { "width": 4 },
        "training": { "epochs": 3, "batch": 8, "learning_rate": 0.002 },
        "sample_every": 2, "samples": 6, "record_every": 2,
    });
    for (key, value) in more.as_object().unwrap() {
        all[key] = value.clone();
    }
    all
}

fn trained(more: Value) -> Result<Ran> {
    let (_folder, files) = saved(&bars(24));
    run_seeded::<TrainGan>(7, parameters(more), &[("images", &files)])
}

/// Stops before an update.
struct Stopping<'a, 'b> {
    task: &'a mut Playing<'b>,
    at: Option<usize>,
    /// As on a device, whose numbers are not read at once.
    waits: bool,
}

impl Task for Stopping<'_, '_> {
    fn step(&mut self, batch: &Batch<'_>) -> Result<()> {
        match self.at == Some(batch.position.step) {
            true => Err(Error::message("stopped")),
            false => self.task.step(batch),
        }
    }

    fn numbers(&mut self) -> Result<Vec<Values>> {
        self.task.numbers()
    }

    fn waits(&self) -> bool {
        self.waits
    }

    fn snapshot(&self) -> Result<Tensors> {
        self.task.snapshot()
    }

    fn restore(&mut self, snapshot: &Tensors) -> Result<()> {
        self.task.restore(snapshot)
    }
}

/// A conditional training with everything that has a state.
fn everything() -> Play<'static> {
    let norm = Normalisation::Spectral;
    Play {
        split: "train",
        generator: GeneratorLayout {
            latent: 8,
            width: 4,
            channels: 1,
            size: 32,
            classes: 2,
            norm: Normalisation::Batch,
        },
        discriminator: DiscriminatorLayout {
            width: 4,
            channels: 1,
            size: 32,
            condition: Condition::Projected,
            classes: 2,
            norm,
            norm_first: false,
        },
        learning_rates: [2e-3, 1e-3],
        initialisation: Initialisation::default(),
        objective: Objective {
            loss: Loss::Relativistic,
            smoothing: 0.0,
            penalty: Penalty { real: 1.0, fake: 0.5, ..Penalty::default() },
            updates: Updates::Both,
        },
        average: 0.9,
        sample_every: 2,
        samples: 6,
        mode: Mode::Eval,
        record_every: 2,
        every: Duration::ZERO,
    }
}

/// What a training gives, as bytes; stopped before the updates `stops`, and taken up again.
fn bits(stops: &[usize]) -> Vec<Vec<u8>> {
    bits_of(&everything(), stops, false)
}

/// The same of another training, and with numbers that are read at once, or late.
fn bits_of(how: &Play<'_>, stops: &[usize], waits: bool) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
    let images = bars(24);
    let mut training = TrainingParameters::<TrainGan>::default();
    (training.epochs, training.batch) = (3, 8);
    let mut last = None;
    for at in stops.iter().copied().map(Some).chain([None]) {
        let played = play_by(&ctx, how, &training, &images, |training, task| {
            training.run(&ctx, &mut Stopping { task, at, waits })
        });
        assert_eq!(played.is_err(), at.is_some());
        last = played.ok();
    }
    let played = last.unwrap();
    vec![
        played.generator.bytes().to_vec(),
        played.discriminator.bytes().to_vec(),
        played.losses.to_csv().into_bytes(),
        played.verdicts.to_csv().into_bytes(),
        (0..played.samples.len())
            .flat_map(|i| played.samples.content(i).unwrap().into_owned())
            .collect(),
        format!("{:?}", played.metrics).into_bytes(),
        played.history.table().unwrap().to_csv().into_bytes(),
    ]
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_bits() {
    let whole = bits(&[]);
    assert!(bits(&[3]) == whole);
    assert!(bits(&[1, 4, 8]) == whole);
}

/// Updates behind one that gave no number were made for nothing when that is read late.
#[test]
fn numbers_that_are_read_late_change_nothing() {
    let mut how = Play { every: Duration::from_secs(3600), sample_every: 4, ..everything() };
    assert!(bits_of(&how, &[], true) == bits_of(&how, &[], false));
    how.every = Duration::ZERO;
    assert!(bits_of(&how, &[2, 6], true) == bits_of(&how, &[], false));
    // the generator has no number behind its first update, and the second update's losses are none
    how = Play { every: Duration::from_secs(3600), learning_rates: [1e39, 1e-3], ..how };
    let diverged = bits_of(&how, &[], false);
    assert!(String::from_utf8_lossy(&diverged[5]).contains(r#"("diverged_at", 2.0)"#));
    assert!(bits_of(&how, &[], true) == diverged);
}

#[test]
fn images_of_the_way_and_tables_are_there() {
    let ran = trained(json!({})).unwrap();
    let samples: ImageSet = ran.load("samples");
    assert_eq!(
        samples.examples().splits,
        ["step 0", "step 2", "step 4", "step 6", "step 8", "step 9"]
    );
    assert_eq!((samples.len(), samples.size()), (36, Some((32, 32))));
    assert!(!samples.examples().is_labelled());
    let losses: Table = ran.load("losses");
    assert_eq!(losses.numbers("step").unwrap(), [2.0, 4.0, 6.0, 8.0, 9.0]);
    let verdicts: Table = ran.load("verdicts");
    assert_eq!(verdicts.rows.len(), 6);
    let verdict: Table = ran.load("verdict");
    assert_eq!(verdict.values("verdict").unwrap(), verdicts.values("verdict").unwrap()[5..]);
}

/// Nine updates are fewer than a record has: they are the last one. Before them nothing is told.
#[test]
fn a_short_training_is_judged_by_its_updates() {
    let ran = trained(json!({ "record_every": 100, "sample_every": 100 })).unwrap();
    let each = trained(json!({ "record_every": 1, "sample_every": 100 })).unwrap();
    let losses: Table = ran.load("losses");
    assert_eq!(losses.numbers("step").unwrap(), [9.0]);
    let rankings = each.load::<Table>("losses").numbers("ranking").unwrap();
    let ranking = ran.load::<sconce_data::Metrics>("metrics").get("ranking").unwrap();
    assert!((ranking - rankings.iter().sum::<f64>() / 9.0).abs() < 1e-12, "{ranking} {rankings:?}");
    let verdicts: Table = ran.load("verdicts");
    let (said, ranked) = (verdicts.values("verdict").unwrap(), verdicts.values("ranking").unwrap());
    assert_eq!((said.len(), said[0], ranked[0]), (2, &Value::Null, &Value::Null));
    assert!(said[1].is_string() && ranked[1].is_number());
}

/// The generator that is written is the one of the last look: of averaged weights where there are such.
#[test]
fn the_last_look_is_what_the_written_generator_makes_of_the_same_noise() {
    let cpu = &Device::Cpu;
    let noise = latent::noise(6, 8, &mut generator(7, "noise of samples"));
    let noise = latent::tensor(&noise, cpu).unwrap();
    let mut seen = Vec::new();
    for (more, mode) in [
        (json!({}), Mode::Eval),
        (json!({ "average": 0.5 }), Mode::Eval),
        (json!({ "mode": "train" }), Mode::Train),
    ] {
        let mut all = more.clone();
        // with N(0, 0.02) a few updates leave all images grey
        all["initialisation"] = json!("kaiming-normal");
        let ran = trained(all).unwrap();
        let tensors = Tensors::from_weights(&ran.load::<Weights>("generator"), cpu).unwrap();
        let layout = GeneratorLayout::of(&tensors).unwrap();
        let parameters = layout.parameters(Initialisation::default());
        let variables = Variables::of(&parameters, &tensors, 0, cpu, |_| Origin::Frozen).unwrap();
        let written = Generator::new(layout, &variables).unwrap();
        let wanted = crate::sample::images(&written, &noise, None, mode, 6).unwrap();
        let samples: ImageSet = ran.load("samples");
        let last: Vec<u8> =
            (30..36).flat_map(|i| samples.content(i).unwrap().into_owned()).collect();
        assert!(last == wanted, "{more}");
        assert!(!seen.contains(&last), "{more} changes nothing");
        seen.push(last);
    }
}

/// What the practical's first question finds out.
#[test]
fn one_network_alone_changes_nothing_of_the_other() {
    let both = trained(json!({})).unwrap();
    for (updates, changed, same) in [
        ("generator", "generator", "discriminator"),
        ("discriminator", "discriminator", "generator"),
    ] {
        let first = trained(json!({ "updates": updates })).unwrap();
        let more = json!({ "updates": updates, "training": { "epochs": 4, "batch": 8 } });
        let second = trained(more).unwrap();
        let parameter = |ran: &Ran, output: &str| {
            let weights: Weights = ran.load(output);
            weights.tensors().unwrap().tensor("0.weight").unwrap().data().to_vec()
        };
        assert_eq!(parameter(&first, same), parameter(&second, same));
        assert_ne!(parameter(&first, changed), parameter(&second, changed));
        assert_ne!(parameter(&first, same), parameter(&both, same));
    }
}

#[test]
fn a_loss_that_is_no_number_ends_the_updates_and_is_told() {
    // Adam's steps of this size make numbers that f32 has not
    let more = json!({ "training": { "epochs": 3, "batch": 8, "learning_rate": 1e25 },
        "discriminator": { "width": 4, "norm": "none" }, "loss": "least-squares" });
    let ran = trained(more).unwrap();
    let verdict: Table = ran.load("verdict");
    assert_eq!(verdict.values("verdict").unwrap(), [&json!("diverged")]);
    assert_eq!(verdict.values("ranking").unwrap(), [&Value::Null]);
    // of the first update on there are no losses, and no zeros in their place
    let metrics: sconce_data::Metrics = ran.load("metrics");
    let names: Vec<&str> = metrics.values.keys().map(|name| &**name).collect();
    assert_eq!(names, ["diverged_at", "diversity"]);
    assert_eq!(metrics.get("diverged_at").unwrap(), 1.0);
    for table in ["losses", "history"] {
        assert_eq!(ran.load::<Table>(table).rows.len(), 0, "{table}");
    }
}

/// A step of this size leaves the generator no number, behind losses that are some: the next look finds it, or the next loss. What is
/// kept is the generator of the last look, by which images can be made.
#[test]
fn weights_that_are_no_numbers_end_the_updates_and_leave_a_generator() {
    let drawn = trained(json!({ "updates": "discriminator" })).unwrap();
    let first = |ran: &Ran| {
        let weights: Weights = ran.load("generator");
        weights.tensors().unwrap().tensor("0.weight").unwrap().data().to_vec()
    };
    for (average, sample_every, at) in [(0.0, 1, 1.0), (0.5, 1, 1.0), (0.0, 2, 2.0)] {
        let ran = trained(json!({
            "generator": { "width": 4, "learning_rate": 1e39 }, "sample_every": sample_every, "average": average,
        }));
        let ran = ran.unwrap();
        let metrics: sconce_data::Metrics = ran.load("metrics");
        assert_eq!(metrics.get("diverged_at").unwrap(), at);
        assert!(metrics.get("discriminator_loss").unwrap().is_finite());
        assert_eq!(ran.load::<Table>("losses").numbers("step").unwrap(), [1.0]);
        assert_eq!(ran.load::<Table>("history").rows.len(), 0);
        assert_eq!(ran.load::<Table>("verdict").values("verdict").unwrap(), [&json!("diverged")]);
        assert_eq!(ran.load::<ImageSet>("samples").examples().splits, ["step 0"]);
        assert_eq!(first(&ran), first(&drawn));
        assert_eq!(generated(&ran.files("generator"), json!({ "count": 4 })).unwrap().len(), 4);
    }
}

#[test]
fn a_batch_of_more_images_than_there_are_is_refused_by_its_name() {
    let refused = trained(json!({ "training": { "epochs": 1, "batch": 25 } }));
    assert_eq!(
        refused.err().unwrap().to_string(),
        "parameter `training.batch`: expected at most 24, as many as there are images in the split `train`, got 25"
    );
}

/// Verdicts are told when they change, while there is still something to end.
#[test]
fn a_game_that_is_lost_is_told_while_it_is_played() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
    let mut how = everything();
    how.objective.updates = Updates::Discriminator;
    how.objective.loss = Loss::NonSaturating;
    how.objective.penalty = Penalty::default();
    how.learning_rates = [2e-3, 1e-2];
    let mut training = TrainingParameters::<TrainGan>::default();
    (training.epochs, training.batch) = (20, 8);
    let played = play_by(&ctx, &how, &training, &bars(24), |training, task| {
        task.tell = &|text| TOLD.lock().unwrap().push(text);
        training.run(&ctx, task)
    });
    let verdicts = played.unwrap().verdicts;
    let (steps, said) = (verdicts.values("step").unwrap(), verdicts.values("verdict").unwrap());
    let mut wanted = Vec::new();
    let mut before = "stable";
    for (step, verdict) in steps.iter().zip(said).filter(|(step, _)| ***step != json!(0)) {
        let verdict = verdict.as_str().unwrap();
        if verdict != before {
            wanted.push(format!("after {step} updates: {verdict}"));
        }
        before = verdict;
    }
    assert!(wanted[0].ends_with("discriminator wins"), "{wanted:?}");
    assert_eq!(*TOLD.lock().unwrap(), wanted);
}

fn generated(weights: &Files, more: Value) -> Result<ImageSet> {
    let mut all = json!({ "weights": "weights" });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Ok(run_seeded::<Generate>(7, all, &[("weights", weights)])?.load("images"))
}

#[test]
fn generated_images_are_of_the_wanted_classes() {
    let told = trained(json!({
        "generator": { "width": 4, "conditional": true },
        "discriminator": { "width": 4, "condition": "concatenated" },
        "initialisation": "kaiming-normal",
    }));
    let told = told.unwrap();
    let weights = told.files("generator");
    let content = |set: &ImageSet, i: usize| set.content(i).unwrap().into_owned();
    let grid = generated(&weights, json!({ "arrangement": "each-class", "count": 3 })).unwrap();
    assert_eq!(grid.examples().ids[..4], ["00/000", "00/001", "00/002", "01/000"]);
    assert_eq!(grid.examples().labels, [0, 0, 0, 1, 1, 1]);
    assert_eq!(grid.examples().classes, ["standing", "lying"]);
    assert!(content(&grid, 0) != content(&grid, 3));
    // the ends of a row between classes are the two classes of that noise
    let between =
        generated(&weights, json!({ "arrangement": "between-classes", "count": 2, "steps": 3 }));
    let between = between.unwrap();
    assert_eq!(between.len(), 6);
    assert_eq!(
        (content(&between, 0), content(&between, 2)),
        (content(&grid, 0), content(&grid, 3))
    );
    assert_eq!(between.examples().labels, [0, 1, 1, 1, 0, 0]);
    // a batch does not matter in eval mode, and does in train mode
    let of = |mode: &str, batch: usize| {
        let set = generated(&weights, json!({ "count": 5, "mode": mode, "batch": batch })).unwrap();
        (0..5).flat_map(|i| content(&set, i)).collect::<Vec<u8>>()
    };
    assert!(of("eval", 5) == of("eval", 2));
    assert!(of("train", 5) != of("train", 2));
    assert!(of("train", 5) != of("eval", 5));
}

#[test]
fn paths_and_foreign_weights() {
    let ran = trained(json!({})).unwrap();
    let weights = ran.files("generator");
    let rows =
        generated(&weights, json!({ "arrangement": "between-noise", "count": 2, "steps": 4 }));
    assert_eq!(rows.unwrap().examples().ids[3..5], ["000/003", "001/000"]);
    for (files, parameters, message) in [
        (
            &weights,
            json!({ "arrangement": "each-class" }),
            "parameter `arrangement`: the generator is told no classes: expected `independent`",
        ),
        (&ran.files("discriminator"), json!({}), "expected weights of `dcgan_generator`"),
        (&weights, json!({ "steps": 1 }), "parameter `steps`"),
        (&weights, json!({ "mode": "train", "batch": 1 }), "parameter `batch`"),
    ] {
        let error = generated(files, parameters).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// The same parameters and inputs give the same result; what gives another needs a new version. Loose, so that processors with
/// and without fused multiplication agree.
#[test]
fn results_are_pinned_to_versions() {
    let ran = trained(json!({ "initialisation": "kaiming-normal" })).unwrap();
    let losses: Table = ran.load("losses");
    let rounded: Vec<String> =
        losses.rows.iter().flatten().map(|v| format!("{:.2e}", v.as_f64().unwrap())).collect();
    let of_losses = Digest::of(rounded.join(" ").as_bytes()).hex()[..16].to_owned();
    let images = generated(&ran.files("generator"), json!({ "count": 4 })).unwrap();
    let mean: f64 =
        (0..4).flat_map(|i| images.content(i).unwrap().into_owned()).map(f64::from).sum();
    let pins = format!(
        "train-gan@{} {of_losses}\ngenerate@{} {:.1}\n",
        TrainGan::VERSION,
        Generate::VERSION,
        mean / 4096.0
    );
    insta::assert_snapshot!(pins);
}
