use candle_core::{Device, Tensor};
use sconce_core::random::generator;

use super::*;
use crate::networks::trainable::deterministic::{cosines, sines};
use crate::networks::{Architecture, NETWORKS, from_tensors};
use crate::optim::{Method, Optimiser, Sgd};

/// The losses of three steps of SGD(lr=.1, momentum=.9) with reversal by .5.
fn three_steps(layout: Layout, statistics: Statistics) -> (Vec<[f64; 2]>, Variables, TwoDomains) {
    let parameters = layout.domain_parameters(10, statistics);
    let variables = Variables::drawn(&parameters, 1, &Device::Cpu).unwrap();
    let network = TwoDomains::new(layout, statistics, &variables).unwrap();
    sines(&variables, 0.05);
    let sgd = Method::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
    let mut optimiser = Optimiser::new(sgd, &variables).unwrap();
    let source = cosines(&[3, 3, 28, 28]);
    let target = (&source * -0.5).unwrap();
    let labels = Tensor::new(&[0u32, 3, 9], &Device::Cpu).unwrap();
    let mut rng = [1, 2].map(|seed| generator(seed, "nothing"));
    let mut losses = vec![];
    for _ in 0..3 {
        let got = dann_losses(&network, [&source, &target], &labels, Some(0.5), &mut rng).unwrap();
        let loss = (&got.label + &got.domain).unwrap();
        optimiser.step(&loss.backward().unwrap(), 0.1).unwrap();
        losses.push([&got.label, &got.domain].map(|t| f64::from(t.to_scalar::<f32>().unwrap())));
    }
    (losses, variables, network)
}

fn close(got: &[[f64; 2]], want: &[[f64; 2]]) {
    for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
        assert!((got - want).abs() < 1e-4, "{got} {want}");
    }
}

/// The practical's network in PyTorch; parameter `k` in the order of their making is `.05 * sin(arange * .37 + k)`, images
/// are `cos(arange * .91)`, those of the target times −.5; SGD(lr=.1, momentum=.9), reversal by .5; three steps:
/// cross_entropy(label(h[:3]), [0, 3, 9]), bce_with_logits(domain(Reversal.apply(h, .5)).squeeze(1), [0]*3 + [1]*3)
#[test]
fn losses_of_three_steps_are_pytorchs() {
    let (losses, ..) = three_steps(DANN, Statistics::Together);
    close(
        &losses,
        &[
            [2.25811767578125, 0.6934844851493835],
            [2.226755380630493, 0.6961207389831543],
            [2.137842893600464, 0.6483232378959656],
        ],
    );
}

/// The same with `nn.BatchNorm2d` behind each convolution and `nn.BatchNorm1d` behind both hidden layers of the label head,
/// whose products have no bias: both domains as one batch through features and label head, then each alone.
/// `l[4].running_var[:3]` at the end of the first.
#[test]
fn losses_with_batch_norm_are_pytorchs() {
    let (losses, variables, _) = three_steps(DANN_BN, Statistics::Together);
    close(
        &losses,
        &[
            [2.2855165004730225, 0.6955210566520691],
            [2.239950180053711, 0.6902785301208496],
            [2.180283308029175, 0.680568516254425],
        ],
    );
    let running = variables.get("label.4.running_var").unwrap().to_vec1::<f32>().unwrap();
    for (got, want) in running.iter().zip([0.729_009_6, 0.729_022_9, 0.729_025]) {
        assert!((got - want).abs() < 1e-5, "{got} {want}");
    }
    let (losses, variables, _) = three_steps(DANN_BN, Statistics::Apart);
    close(
        &losses,
        &[
            [2.2831501960754395, 0.6933765411376953],
            [2.2480204105377197, 0.6929847598075867],
            [2.1899607181549072, 0.6925142407417297],
        ],
    );
    let of = |name: &str| variables.get(name).unwrap().to_vec1::<f32>().unwrap();
    assert_ne!(of("source.features.1.running_mean"), of("features.1.running_mean"));
}

/// The wide network in the same way, without dropout; its domain head sees both domains as one batch, then each alone.
#[test]
fn losses_of_the_wide_network_are_pytorchs() {
    let wanted = [
        (
            Statistics::Together,
            [
                [2.290888547897339, 0.6952235698699951],
                [2.2444748878479004, 0.6949934959411621],
                [2.1933557987213135, 0.6878666877746582],
            ],
        ),
        (
            Statistics::Apart,
            [
                [2.2905941009521484, 0.6930997967720032],
                [2.2504732608795166, 0.6931952834129333],
                [2.197387456893921, 0.6931872367858887],
            ],
        ),
    ];
    for (statistics, wanted) in wanted {
        let (losses, variables, _) = three_steps(DANN_WIDE, statistics);
        close(&losses, &wanted);
        let own = variables.get("source.domain.1.running_mean").is_ok();
        assert_eq!(own, statistics == Statistics::Apart);
    }
}

#[test]
fn the_networks_of_one_and_of_two_domains_are_the_same() {
    let one = NETWORKS.iter().find(|network| network.name() == "dann").unwrap();
    let names = |list: Vec<crate::Parameter>| -> Vec<_> {
        list.into_iter().map(|p| (p.name, p.shape, p.init)).collect()
    };
    assert_eq!(names(one.parameters()), names(DANN.parameters()));
    for layout in [DANN_BN, DANN_WIDE, VADA] {
        let (_, variables, network) = three_steps(layout, Statistics::Apart);
        let x = cosines(&[2, 3, 28, 28]);
        for domain in [Domain::Source, Domain::Target] {
            let own = TwoDomains::of_domain(&variables, domain).unwrap();
            let constants = own.iter().map(|v| (v.name.clone(), v.var.as_detached_tensor()));
            let one = from_tensors(layout.name(), &constants.collect()).unwrap();
            let of = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let logits = of(network.logits(&x, &mut Forward::eval(domain)).unwrap());
            assert_eq!(of(one.forward_to(&x, "logits").unwrap()), logits, "{}", layout.name());
            let features = one.forward_to(&x, "features").unwrap();
            assert_eq!(features.flatten_from(1).unwrap().dim(1).unwrap(), layout.width());
        }
    }
}
