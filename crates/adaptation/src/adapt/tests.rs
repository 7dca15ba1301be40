use candle_core::Device;
use sconce_core::random::generator;
use sconce_data::{Color, Metrics};
use sconce_models::Tensors;
use sconce_models::networks::two_domains::{DANN, DANN_BN, VADA, dann_losses};
use sconce_models::optim::{Adam, Method as OptimiserMethod};
use sconce_models::train::{Batch, Task, Values};

use super::*;
use crate::method::{Dann, DirtT, Distance, Growth, PseudoLabels, Vada};
use crate::stages::Adapt;

mod start;

/// Digits of three classes: bars of three directions, grey on black, or inverted on a noisy ground in colour.
fn bars(count: usize, target: bool) -> ImageSet {
    use rand::RngExt;
    let mut rng = generator(3, if target { "target bars" } else { "source bars" });
    let labels: Vec<u32> = (0..count as u32).map(|i| i % 3).collect();
    let mut samples = Vec::new();
    for &label in &labels {
        let (sin, cos) = (f64::from(label) * 1.05).sin_cos();
        let shift = rng.random::<f64>() * 4.0 - 2.0;
        for pixel in 0..784 {
            let (y, x) = (f64::from(pixel / 28) - 13.5, f64::from(pixel % 28) - 13.5);
            let ink = (x * sin - y * cos + shift).abs() < 2.5;
            for _ in 0..3 {
                let ground = if target { rng.random_range(60..140u8) } else { 0 };
                samples.push(if ink { 255 - ground } else { ground });
            }
        }
    }
    let examples = Examples {
        ids: (0..count).map(|i| i.to_string()).collect(),
        classes: ["rising", "flat", "falling"].map(str::to_owned).to_vec(),
        labels,
        splits: vec!["train".into(), "test".into()],
        split: (0..count).map(|i| u32::from(i >= count * 3 / 4)).collect(),
    };
    ImageSet::packed(examples, Color::Rgb, 28, 28, samples).unwrap()
}

fn preprocessing() -> Preprocessing {
    serde_json::from_value(serde_json::json!({
        "channels": "rgb", "scale": 1.0, "mean": [0.13, 0.13, 0.13], "std": [0.3, 0.3, 0.3], "size": 28,
    }))
    .unwrap()
}

fn how<'a>(layout: Layout, method: Method, preprocessing: &'a Preprocessing) -> Adaptation<'a> {
    let normed = layout.is_normed();
    Adaptation {
        layout,
        method,
        statistics: if normed { Statistics::Apart } else { Statistics::Together },
        dropout: 0.3,
        feature_noise: 0.5,
        average: if normed { 0.9 } else { 0.0 },
        split: "train",
        test_split: "test",
        watched: 5,
        checkpoint_epochs: 1,
        preprocessing,
        per_domain: false,
        weights: None,
        source_weights: None,
        every: Duration::ZERO,
        shared: None,
    }
}

fn training(epochs: usize) -> TrainingParameters<Adapt> {
    let mut training = TrainingParameters::default();
    training.epochs = epochs;
    training.batch = 6;
    training.optimiser = OptimiserMethod::Adam(Adam::default());
    training.learning_rate = 0.002;
    training
}

/// Stops before an update.
struct Stopping<'a, 'b> {
    task: &'a mut Adapting<'b>,
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

    fn validate(&mut self, epoch: usize) -> Result<Values> {
        self.task.validate(epoch)
    }

    fn snapshot(&self) -> Result<Tensors> {
        self.task.snapshot()
    }

    fn restore(&mut self, snapshot: &Tensors) -> Result<()> {
        self.task.restore(snapshot)
    }
}

/// All that a training gives, as bytes; stopped before the updates `stops`, and taken up again.
fn bits(how: &Adaptation<'_>, images: [&ImageSet; 2], stops: &[usize]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
    let training = training(2);
    for &at in stops {
        let prepared = Prepared::new(&ctx, how, images).unwrap();
        let mut task = prepared.task(&training, 7).unwrap();
        let mut stopping = Stopping { task: &mut task, at: Some(at), waits: false };
        let error = prepared.training(&training).run(&ctx, &mut stopping).unwrap_err();
        assert_eq!(error.to_string(), "stopped");
    }
    let adapted = adapt(&ctx, how, &training, images).unwrap();
    let values = |t: &Features| t.values().iter().flat_map(|v| v.to_le_bytes()).collect();
    let [source, target] = &adapted.logits;
    let [source_weights, target_weights] = &adapted.weights;
    vec![
        source_weights.bytes().to_vec(),
        target_weights.bytes().to_vec(),
        values(source),
        values(target),
        adapted.history.table().unwrap().to_csv().into_bytes(),
        adapted.checkpoints.to_csv().into_bytes(),
    ]
}

/// One of each method, with a network that can do it.
fn methods() -> [(Layout, Method); 7] {
    [
        (DANN_BN, Method::SourceOnly {}),
        (DANN, Method::Dann(Dann::default())),
        (DANN, Method::Coral(Distance::default())),
        (DANN_BN, Method::Mmd(Distance::default())),
        (
            DANN_BN,
            Method::PseudoLabels(PseudoLabels { threshold: 0.34, ..PseudoLabels::default() }),
        ),
        (VADA, Method::Vada(Vada::default())),
        (DANN_BN, Method::DirtT(DirtT { refresh: 2, ..DirtT::default() })),
    ]
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_bits() {
    let (source, target) = (bars(24, false), bars(32, true));
    let preprocessing = preprocessing();
    for (layout, method) in methods() {
        let how = how(layout, method, &preprocessing);
        let whole = bits(&how, [&source, &target], &[]);
        // within an epoch, at the border of both, at the last update
        assert!(bits(&how, [&source, &target], &[1, 3, 5]) == whole, "{method:?}");
    }
}

#[test]
fn numbers_that_are_read_late_are_the_same() {
    let (source, target) = (bars(24, false), bars(32, true));
    let preprocessing = preprocessing();
    for (layout, method) in methods() {
        let how = how(layout, method, &preprocessing);
        let how = Adaptation { every: Duration::from_secs(3600), ..how };
        let history = |waits| {
            let folder = tempfile::tempdir().unwrap();
            let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
            let prepared = Prepared::new(&ctx, &how, [&source, &target]).unwrap();
            let mut task = prepared.task(&training(2), 7).unwrap();
            let mut task = Stopping { task: &mut task, at: None, waits };
            let history = prepared.training(&training(2)).run(&ctx, &mut task).unwrap();
            history.table().unwrap().to_csv()
        };
        assert_eq!(history(true), history(false), "{method:?}");
    }
}

#[test]
fn labels_of_the_target_are_never_read() {
    let (source, target) = (bars(24, false), bars(32, true));
    let mut wrong = target.examples().clone();
    wrong.labels = wrong.labels.iter().map(|label| (label + 1) % 3).collect();
    let mislabelled = target.with_examples(wrong).unwrap();
    let unlabelled = target.with_examples(target.examples().without_labels()).unwrap();
    let preprocessing = preprocessing();
    for (layout, method) in methods() {
        let how = how(layout, method, &preprocessing);
        let whole = bits(&how, [&source, &target], &[]);
        for other in [&mislabelled, &unlabelled] {
            assert!(bits(&how, [&source, other], &[]) == whole, "{method:?}");
        }
    }
}

/// Accuracy on the target's test images.
fn accuracy(how: &Adaptation<'_>, epochs: usize, images: [&ImageSet; 2]) -> (f64, History) {
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
    let adapted = adapt(&ctx, how, &training(epochs), images).unwrap();
    let logits = &adapted.logits[1];
    let labels = images[1].examples();
    let labelled: Vec<usize> = logits.examples().ids.iter().map(|id| id.parse().unwrap()).collect();
    let of = Examples { labels: labels.labels_of(&labelled).unwrap(), ..logits.examples().clone() };
    let logits = logits.with_examples(of).unwrap();
    (last_accuracy(&logits, "test").unwrap().unwrap(), adapted.history)
}

#[test]
fn pseudo_labels_start_from_weights_and_are_learned() {
    let (source, target) = (bars(90, false), bars(96, true));
    let preprocessing = preprocessing();
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
    let first = Adaptation { dropout: 0.0, ..how(DANN_BN, Method::SourceOnly {}, &preprocessing) };
    let adapted = adapt(&ctx, &first, &training(1), [&source, &target]).unwrap();
    let (before, _) = accuracy(&first, 1, [&source, &target]);
    let labels = Method::PseudoLabels(PseudoLabels { threshold: 0.5, ..PseudoLabels::default() });
    let second = Adaptation {
        method: labels,
        weights: Some(&adapted.weights[1]),
        ..how(DANN_BN, labels, &preprocessing)
    };
    let (after, history) = accuracy(&second, 4, [&source, &target]);
    let selected = history.last("pseudo_labelled").unwrap();
    assert!(after > 0.9 && after > before, "{before} {after}");
    assert!((0.3..=1.0).contains(&selected), "{selected}");
    // Trained on as long without them, the network fits the same labels less.
    let loss = |weight: f64| {
        let labels = PseudoLabels { threshold: 0.5, refresh: 0, weight };
        let labels = Method::PseudoLabels(labels);
        let weights = Some(&adapted.weights[1]);
        let how = Adaptation { weights, ..how(DANN_BN, labels, &preprocessing) };
        accuracy(&how, 4, [&source, &target]).1.last("pseudo_label_loss").unwrap()
    };
    let (with, without) = (loss(1.0), loss(0.0));
    assert!(with < 0.9 * without, "{with} {without}");
    // Another network's weights are refused.
    let other = Adaptation { layout: VADA, ..second };
    let error = adapt(&ctx, &other, &training(2), [&source, &target]).err().unwrap().to_string();
    assert!(error.contains("expected weights of `vada`, found `dann_bn`"), "{error}");
}

/// The gradients of the domains' loss alone: of the features' first convolution and of the domain head.
fn domain_gradients(strength: Option<f64>) -> [Vec<f32>; 2] {
    let parameters = DANN.domain_parameters(3, Statistics::Together);
    let variables = Variables::drawn(&parameters, 1, &Device::Cpu).unwrap();
    let network = TwoDomains::new(DANN, Statistics::Together, &variables).unwrap();
    let images = [bars(6, false), bars(6, true)].map(|images| {
        let rows: Vec<usize> = (0..6).collect();
        Images::load(&images, &rows, &preprocessing()).unwrap().all(&Device::Cpu).unwrap()
    });
    let classes = candle_core::Tensor::new(&[0u32, 1, 2, 0, 1, 2], &Device::Cpu).unwrap();
    let mut rng = [1, 2].map(|seed| generator(seed, "nothing"));
    let of = dann_losses(&network, [&images[0], &images[1]], &classes, strength, &mut rng).unwrap();
    let gradients = of.domain.backward().unwrap();
    ["features.0.weight", "domain.0.weight"].map(|name| {
        let gradient = gradients.get(&variables.get(name).unwrap()).unwrap();
        gradient.flatten_all().unwrap().to_vec1().unwrap()
    })
}

#[test]
fn the_features_get_the_reversed_gradient_and_the_domain_head_its_own() {
    let ([plain, head], [reversed, same]) = (domain_gradients(None), domain_gradients(Some(0.5)));
    assert_eq!(head, same);
    assert!(plain.iter().any(|g| g.abs() > 1e-6));
    // by a power of two, so that not a bit differs
    assert_eq!(reversed, plain.iter().map(|g| -0.5 * g).collect::<Vec<_>>());
    let [still, _] = domain_gradients(Some(0.0));
    assert!(still.iter().all(|g| *g == 0.0));
}

/// Question 1 of the practical: without the reversal the domain head gets better.
#[test]
fn without_the_reversal_the_domain_head_gets_better() {
    let (source, target) = (bars(90, false), bars(96, true));
    let preprocessing = preprocessing();
    let loss = |reversed: bool| {
        let dann = Method::Dann(Dann { reversed, growth: Growth::Constant {}, ..Dann::default() });
        let how = Adaptation { dropout: 0.0, ..how(DANN, dann, &preprocessing) };
        let (_, history) = accuracy(&how, 2, [&source, &target]);
        let of = |name: &str| history.last(name).unwrap();
        (of("domain_loss_source") + of("domain_loss_target")) / 2.0
    };
    let (with, without) = (loss(true), loss(false));
    assert!(without < 0.01 * with && with > 0.1, "with {with}, without {without}");
}

#[test]
fn the_teacher_of_dirt_t_is_the_average_of_every_second_update() {
    let images = [bars(24, false), bars(32, true)];
    let preprocessing = preprocessing();
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
    let dirt_t = Method::DirtT(DirtT { refresh: 2, ..DirtT::default() });
    let how = how(DANN_BN, dirt_t, &preprocessing);
    let prepared = Prepared::new(&ctx, &how, [&images[0], &images[1]]).unwrap();
    let training = training(2);
    let mut task = prepared.task(&training, 7).unwrap();
    let named = "features.0.weight";
    // of the average and the teacher before and after each update
    let mut seen = Vec::new();
    for at in 0..5 {
        let values = |tensors: &Tensors| {
            tensors.get(named).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let before = values(&task.averaged.as_ref().unwrap().0.tensors().unwrap());
        let mut stopping = Stopping { task: &mut task, at: Some(at + 1), waits: false };
        prepared.training(&training).run(&ctx, &mut stopping).unwrap_err();
        let teacher = task.teacher.as_ref().unwrap();
        let mut all = Tensors::default();
        teacher.variables.save("", &mut all).unwrap();
        seen.push((before, values(&all)));
    }
    for at in [0, 2, 4] {
        assert_eq!(seen[at].1, seen[at].0, "taken over before update {at}");
    }
    for at in [1, 3] {
        assert_eq!(seen[at].1, seen[at - 1].1, "kept at update {at}");
        assert_ne!(seen[at].0, seen[at].1);
    }
    assert_ne!(seen[0].1, seen[2].1);
}

#[test]
fn each_domain_can_have_its_own_mean_and_deviation() {
    let target = bars(24, true);
    let rows: Vec<usize> = (0..24).collect();
    let own = measured(&target, &rows, &preprocessing()).unwrap();
    let images = Images::load(&target, &rows, &own).unwrap();
    let x = images.all(&Device::Cpu).unwrap();
    for channel in 0..3 {
        let x = x.narrow(1, channel, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let mean = x.iter().sum::<f32>() / x.len() as f32;
        let square = x.iter().map(|v| v * v).sum::<f32>() / x.len() as f32;
        assert!(mean.abs() < 1e-4 && (square - 1.0).abs() < 1e-3, "{mean} {square}");
    }
}

#[test]
fn whoever_is_watched_is_watched_once() {
    let images = [&bars(24, false), &bars(24, true)];
    let preprocessing = preprocessing();
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
    let with = |split, test_split, watched| Adaptation {
        split,
        test_split,
        watched,
        ..how(DANN, Method::SourceOnly {}, &preprocessing)
    };
    // 18 images to train on, then 6 to test on: how many of both are watched
    for (split, test_split, watched, expected) in [
        ("train", "test", 5, [5, 6]),
        ("train", "test", 0, [0, 6]),
        ("", "test", 5, [5, 6]),
        ("", "test", 24, [18, 6]),
        ("", "test", 0, [0, 6]),
        ("train", "train", 0, [18, 0]),
        ("train", "train", 5, [18, 0]),
        ("train", "", 5, [5, 0]),
    ] {
        let how = with(split, test_split, watched);
        let prepared = Prepared::new(&ctx, &how, images).unwrap();
        for watched in [&prepared.source.watched, &prepared.target.watched] {
            let ids: std::collections::BTreeSet<usize> =
                watched.examples.ids.iter().map(|id| id.parse().unwrap()).collect();
            let found = [ids.range(..18).count(), ids.range(18..).count()];
            assert_eq!(
                (found, ids.len()),
                (expected, watched.examples.len()),
                "{split} {test_split}"
            );
        }
    }
    let said = |how: Adaptation<'_>| Prepared::new(&ctx, &how, images).err().unwrap().to_string();
    assert_eq!(
        said(with("train", "tset", 5)),
        "input `source`: `test_split`: no split `tset`; there are: train, test"
    );
    assert_eq!(
        said(with("trian", "test", 5)),
        "input `source`: `split`: no split `trian`; there are: train, test"
    );
}

#[test]
fn metrics_are_the_last_epochs() {
    let (source, target) = (bars(24, false), bars(32, true));
    let preprocessing = preprocessing();
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
    let how = how(DANN, Method::Dann(Dann::default()), &preprocessing);
    let adapted = adapt(&ctx, &how, &training(2), [&source, &target]).unwrap();
    let mut metrics = Metrics::default();
    adapted.metrics.iter().for_each(|(name, value)| metrics.set(name, *value));
    assert_eq!(metrics.get("loss").unwrap(), adapted.history.last("loss").unwrap());
    // five drawn of the training split, and all of the test split
    let watched = &adapted.logits[1];
    assert_eq!((watched.len(), watched.shape()), (5 + 8, &[2, 3][..]));
    assert!(!watched.examples().is_labelled() && adapted.logits[0].examples().is_labelled());
    assert_eq!(adapted.checkpoints.rows.len(), 2);
}
