//! Losses of VADA and DIRT-T against sums in plain loops, of networks without dropout.

use candle_core::{DType, Device, Tensor};
use sconce_core::random::generator;
use sconce_models::networks::two_domains::{DANN, DANN_BN, Layout, Statistics, VADA};
use sconce_models::variables::Variables;

use super::*;

/// A drawn network whose logits are enlarged, so that it says different things of different images.
fn network(seed: u64, scale: f64) -> (TwoDomains, Variables) {
    let parameters = DANN.domain_parameters(10, Statistics::Together);
    let variables = Variables::drawn(&parameters, seed, &Device::Cpu).unwrap();
    let last = variables.get("label.4.weight").unwrap();
    last.set(&(last.as_tensor() * scale).unwrap()).unwrap();
    (TwoDomains::new(DANN, Statistics::Together, &variables).unwrap(), variables)
}

/// A drawn network with dropout, each domain by itself where it has batch norm.
fn with_dropout(layout: Layout) -> (TwoDomains, Variables) {
    let statistics = if layout.is_normed() { Statistics::Apart } else { Statistics::Together };
    let parameters = layout.domain_parameters(10, statistics);
    let variables = Variables::drawn(&parameters, 1, &Device::Cpu).unwrap();
    let mut network = TwoDomains::new(layout, statistics, &variables).unwrap();
    network.dropout = 0.5;
    (network, variables)
}

/// Running means and variances by name.
fn running(variables: &Variables) -> Vec<(String, Vec<f64>)> {
    let state = variables.iter().filter(|variable| !variable.trained);
    state.map(|v| (v.name.clone(), numbers(v.var.as_tensor()))).collect()
}

/// Images whose numbers go up and down.
fn images(count: usize, step: f64) -> Tensor {
    let values: Vec<f32> =
        (0..count * 3 * 784).map(|i| (8.0 * (i as f64 * step).sin()) as f32).collect();
    Tensor::from_vec(values, (count, 3, 28, 28), &Device::Cpu).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// What the network says of images: probabilities, a row an image.
fn probabilities(network: &TwoDomains, x: &Tensor) -> Vec<Vec<f64>> {
    let logits = network.logits(x, &mut Forward::eval(Domain::Target)).unwrap();
    let softmax = |row: &[f64]| {
        let sum: f64 = row.iter().map(|z| z.exp()).sum();
        row.iter().map(|z| z.exp() / sum).collect()
    };
    numbers(&logits).chunks(10).map(softmax).collect()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

fn entropy(p: &[Vec<f64>]) -> f64 {
    mean(p.iter().map(|p| -p.iter().map(|p| p * p.ln()).sum::<f64>()))
}

fn divergence(p: &[Vec<f64>], q: &[Vec<f64>]) -> f64 {
    mean(p.iter().zip(q).map(|(p, q)| p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum()))
}

/// The divergence that the perturbation of this purpose makes, and its length.
fn moved(network: &TwoDomains, x: &Tensor, purpose: &str, radius: f64) -> f64 {
    let logits = |x: &Tensor| network.logits(x, &mut Forward::eval(Domain::Target));
    let by = Vat::new(radius)
        .perturbation(x, &logits(x).unwrap(), logits, &mut generator(5, purpose))
        .unwrap();
    for image in numbers(&by).chunks(3 * 784) {
        let length = image.iter().map(|v| v * v).sum::<f64>().sqrt();
        assert!((length - radius).abs() < 1e-3, "{length}");
    }
    divergence(&probabilities(network, x), &probabilities(network, &(x + by).unwrap()))
}

/// No part of a sum is so small that its absence, or another in its place, could pass for rounding.
fn told_apart(parts: &[f64]) {
    assert!(parts.iter().all(|part| part.abs() > 1e-3), "{parts:?}");
}

fn close(found: &Tensor, expected: f64, what: &str) {
    let found = number(found).unwrap();
    assert!(
        (found - expected).abs() < 1e-5 * expected.abs().max(1.0),
        "{what}: {found} {expected}"
    );
}

#[test]
fn vada_is_the_sum_of_its_equation() {
    let (network, variables) = network(1, 10.0);
    let (source, target) = (images(3, 0.37), images(3, 0.11));
    let classes = [4u32, 0, 9];
    let x = Examples {
        source: &source,
        target: &target,
        classes: &Tensor::new(&classes, &Device::Cpu).unwrap(),
    };
    let of = |purpose: &str| generator(5, purpose);
    let draws = Draws { source: of("a"), target: of("b"), of: &of };
    // all different, so that one in place of another would show
    let weights = Vada { domain: 0.3, source: 0.7, target: 0.2, radius: 20.0 };
    let mut judged = None;
    let update = vada(&network, &x, weights, &draws, |loss, _| {
        judged = Some(loss.clone());
        Ok(())
    })
    .unwrap();

    let both = network.both([&source, &target], true, &mut draws.both()).unwrap();
    let domains = numbers(&network.domains(&both.features, 3, None, false).unwrap());
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let judge = mean((0..6).map(|i| {
        let target = sigmoid(domains[i]);
        -(if i < 3 { 1.0 - target } else { target }).ln()
    }));
    let deceive = mean((0..6).map(|i| {
        let target = sigmoid(domains[i]);
        -(if i < 3 { target } else { 1.0 - target }).ln()
    }));
    close(&judged.unwrap(), judge, "the domain head's own loss");
    let (p, q) = (probabilities(&network, &source), probabilities(&network, &target));
    let label = mean((0..3).map(|i| -p[i][classes[i] as usize].ln()));
    let source_vat = moved(&network, &source, "perturbation of the source", 20.0);
    let target_vat = moved(&network, &target, "perturbation of the target", 20.0);
    told_apart(&[
        judge - deceive,
        source_vat,
        target_vat,
        source_vat - target_vat,
        label - entropy(&q),
    ]);
    let expected = label + 0.3 * deceive + 0.7 * source_vat + 0.2 * (entropy(&q) + target_vat);
    close(&update.loss, expected, "VADA");

    let gradients = update.loss.backward().unwrap();
    let has = |name: &str| gradients.get(&variables.get(name).unwrap()).is_some();
    assert!(has("features.0.weight") && has("label.4.weight"));
    // the head that is deceived does not learn from being deceived
    assert!(!has("domain.0.weight") && !has("domain.2.weight"));
}

#[test]
fn dirt_t_is_the_sum_of_its_equation() {
    let ((student, of_student), (teacher, of_teacher)) = (network(1, 10.0), network(2, 20.0));
    let target = images(4, 0.11);
    let of = |purpose: &str| generator(5, purpose);
    let draws = Draws { source: of("a"), target: of("b"), of: &of };
    let weights = DirtT { target: 0.3, teacher: 0.7, radius: 20.0, refresh: 1 };
    let classes = Tensor::new(&[0u32; 4], &Device::Cpu).unwrap();
    let x = Examples { source: &images(4, 0.37), target: &target, classes: &classes };
    let update = dirt_t([&student, &teacher], &x, weights, &draws).unwrap();

    let (p, q) = (probabilities(&student, &target), probabilities(&teacher, &target));
    let vat = moved(&student, &target, "perturbation of the target", 20.0);
    told_apart(&[
        vat,
        divergence(&q, &p),
        divergence(&q, &p) - divergence(&p, &q),
        entropy(&p) - vat,
    ]);
    let expected = 0.3 * (entropy(&p) + vat) + 0.7 * divergence(&q, &p);
    close(&update.loss, expected, "DIRT-T");

    let gradients = update.loss.backward().unwrap();
    let has = |all: &Variables| gradients.get(&all.get("label.4.weight").unwrap()).is_some();
    assert!(has(&of_student) && !has(&of_teacher));
}

#[test]
fn dirt_t_measures_the_source_and_learns_nothing_from_it() {
    let target = images(4, 0.11);
    let classes = Tensor::new(&[0u32; 4], &Device::Cpu).unwrap();
    let of = |purpose: &str| generator(5, purpose);
    let draws = Draws { source: of("a"), target: of("b"), of: &of };
    let on = |source: &Tensor| {
        let (network, variables) = with_dropout(DANN_BN);
        let (teacher, _) = with_dropout(DANN_BN);
        let x = Examples { source, target: &target, classes: &classes };
        let update = dirt_t([&network, &teacher], &x, DirtT::default(), &draws).unwrap();
        let gradients = update.loss.backward().unwrap();
        let gradient = gradients.get(&variables.get("features.0.weight").unwrap()).unwrap();
        (update.numbers.read().unwrap(), numbers(gradient), running(&variables))
    };
    let source = images(4, 0.37);
    let (values, gradient, moved) = on(&source);
    let (other_values, other_gradient, otherwise) = on(&images(4, 0.53));
    assert_eq!((values, gradient), (other_values, other_gradient));
    for ((name, numbers), (_, other)) in moved.iter().zip(&otherwise) {
        assert_eq!(numbers == other, !name.starts_with("source."), "{name}");
    }

    // each domain's statistics are those that one pass of its images moves
    let (network, variables) = with_dropout(DANN_BN);
    let [mut of_source, mut of_target] = draws.both();
    for (x, domain, rng) in
        [(&source, Domain::Source, &mut of_source), (&target, Domain::Target, &mut of_target)]
    {
        let frozen = domain == Domain::Source;
        network.logits(x, &mut Forward { frozen, ..Forward::train(domain, rng) }).unwrap();
    }
    assert_eq!(moved, running(&variables));
}

/// The divergences of virtual adversarial training, and what moved, of an update of VADA with dropout. The perturbation is so
/// short that no image changes.
fn unperturbed(layout: Layout) -> ([f64; 2], Vec<(String, Vec<f64>)>) {
    let (network, variables) = with_dropout(layout);
    let classes = Tensor::new(&[4u32, 0, 9], &Device::Cpu).unwrap();
    let x = Examples { source: &images(3, 0.37), target: &images(3, 0.11), classes: &classes };
    let of = |purpose: &str| generator(5, purpose);
    let draws = Draws { source: of("a"), target: of("b"), of: &of };
    let weights = Vada { radius: 1e-30, ..Vada::default() };
    let update = vada(&network, &x, weights, &draws, |_, _| Ok(())).unwrap();
    let values = update.numbers.read().unwrap();
    let value = |name: &str| values.iter().find(|(n, _)| *n == name).unwrap().1;
    ([value("source_vat"), value("target_vat")], running(&variables))
}

/// With other masks, other numbers would be dropped: the divergence would be above 0 without any perturbation.
#[test]
fn perturbed_images_meet_the_same_dropout() {
    for layout in [DANN, DANN_BN, VADA] {
        assert_eq!(unperturbed(layout).0, [0.0; 2], "{layout:?}");
    }
}

#[test]
fn an_update_of_vada_moves_running_statistics_once() {
    let (_, moved) = unperturbed(DANN_BN);
    let (network, variables) = with_dropout(DANN_BN);
    let drawn = running(&variables);
    let rng = ["a", "b"].map(|purpose| generator(5, purpose));
    let domains = [(Domain::Source, 0.37), (Domain::Target, 0.11)];
    for ((domain, step), mut rng) in domains.into_iter().zip(rng) {
        network.logits(&images(3, step), &mut Forward::train(domain, &mut rng)).unwrap();
    }
    assert_eq!(moved, running(&variables));
    assert!(moved.iter().zip(&drawn).all(|(moved, drawn)| moved != drawn) && moved.len() == 16);
}
