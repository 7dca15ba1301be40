use candle_core::{Device, Tensor, Var};
use sconce_core::random::generator;

use super::*;
use crate::Tensors;
use crate::networks::trainable::deterministic::{cosines, sines};
use crate::optim::{Adam, Method, Optimiser, Sgd};
use crate::variables::Variables;

const PLAIN: GeneratorLayout = GeneratorLayout {
    latent: 6,
    width: 4,
    channels: 1,
    size: 32,
    classes: 0,
    norm: Normalisation::Batch,
};

const JUDGE: DiscriminatorLayout = DiscriminatorLayout {
    width: 4,
    channels: 1,
    size: 32,
    condition: Condition::None,
    classes: 0,
    norm: Normalisation::Batch,
    norm_first: false,
};

/// Both networks, parameter `k` of each `.3 * sin(arange * .37 + k)`, with Adam(betas=(.5, .999)).
struct Pair {
    of_g: Variables,
    of_d: Variables,
    g: Generator,
    d: Discriminator,
    og: Optimiser,
    od: Optimiser,
}

impl Pair {
    fn new(generator: GeneratorLayout, discriminator: DiscriminatorLayout) -> Self {
        let init = Initialisation::default();
        let of_g = Variables::drawn(&generator.parameters(init), 1, &Device::Cpu).unwrap();
        let of_d = Variables::drawn(&discriminator.parameters(init), 2, &Device::Cpu).unwrap();
        let g = Generator::new(generator, &of_g).unwrap();
        let d = Discriminator::new(discriminator, &of_d).unwrap();
        sines(&of_g, 0.3);
        sines(&of_d, 0.3);
        for v in of_d.iter().filter(|v| v.name.ends_with("weight_u")) {
            v.var.set(&cosines(v.var.dims())).unwrap();
        }
        let adam = Method::Adam(Adam { betas: [0.5, 0.999], ..Adam::default() });
        let (og, od) = (Optimiser::new(adam, &of_g), Optimiser::new(adam, &of_d));
        Self { og: og.unwrap(), od: od.unwrap(), of_g, of_d, g, d }
    }

    /// One update with `cos(arange * .91)` for images and noise; image `i` of 4 is of class `2i mod 3`.
    fn step(&mut self, objective: &Objective) -> GanLosses {
        let classes = one_hot(&[0, 2, 1, 0], 3, &Device::Cpu).unwrap();
        let told = self.g.layout().classes + self.d.layout().classes > 0;
        let (images, noise) = (cosines(&[4, 1, 32, 32]), cosines(&[4, 6]));
        let x = Examples { images: &images, noise: &noise, classes: told.then_some(&classes) };
        let mut g = Side { network: &self.g, optimiser: &mut self.og, learning_rate: 2e-3 };
        let mut d = Side { network: &self.d, optimiser: &mut self.od, learning_rate: 2e-3 };
        let losses = step(&mut g, &mut d, &x, objective, &mut generator(1, "penalty"));
        losses.unwrap().read().unwrap()
    }
}

fn numbers(t: &Tensor) -> Vec<f64> {
    let t = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    t.into_iter().map(f64::from).collect()
}

fn close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() < 1e-3 * w.abs().max(0.1), "{got:?} {want:?}");
    }
}

/// The same networks in PyTorch with width 4, noise of 6; parameter `k` of each is `.3 * sin(arange * .37 + k)`,
/// images and noise are `cos(arange * .91)`, Adam(2e-3, betas=(.5, .999)); three steps, then
/// g[1].running_mean[:3], d[3].running_var[:3], g.eval()(noise).flatten()[::500]
#[test]
fn numbers_of_three_steps_are_pytorchs() {
    let mut pair = Pair::new(PLAIN, JUDGE);
    for want in [
        [1.4207580, 0.8629593, 0.4686067, 0.4734236],
        [1.3650717, 0.7718861, 0.4928529, 0.4804651],
        [1.4990413, 0.6536282, 0.5201957, 0.5666307],
    ] {
        let got = pair.step(&Objective::default());
        close(&[got.discriminator, got.generator, got.real, got.fake], &want);
    }
    let state =
        |variables: &Variables, name: &str| numbers(&variables.get(name).unwrap())[..3].to_vec();
    close(&state(&pair.of_g, "1.running_mean"), &[0.00350804, 0.00619852, 0.00737461]);
    close(&state(&pair.of_d, "3.running_var"), &[1.7272444, 2.6085298, 1.7122742]);
    let shown = numbers(&pair.g.forward(&cosines(&[4, 6]), None, false).unwrap());
    let shown: Vec<f64> = shown.into_iter().step_by(500).collect();
    close(
        &shown,
        &[
            -0.1883671, -0.0949102, -0.1179786, -0.0320352, -0.0224899, -0.0325756, -0.0917899,
            -0.0831089, -0.0468375,
        ],
    );
}

/// The numbers of `fixtures/dcgan_steps.py`, three updates of each case.
#[test]
fn conditional_networks_and_losses_are_pytorchs() {
    let told = GeneratorLayout { classes: 3, ..PLAIN };
    let concatenated =
        DiscriminatorLayout { condition: Condition::Concatenated, classes: 3, ..JUDGE };
    let projected = DiscriminatorLayout {
        condition: Condition::Projected,
        classes: 3,
        norm: Normalisation::Spectral,
        ..JUDGE
    };
    let free = GeneratorLayout { norm: Normalisation::None, ..told };
    let first = DiscriminatorLayout { norm_first: true, ..JUDGE };
    let bare = DiscriminatorLayout { norm: Normalisation::None, ..JUDGE };
    for ((generator, discriminator, loss, smoothing), want) in [
        ((told, concatenated, Loss::NonSaturating, 0.1), CONCATENATED),
        ((free, projected, Loss::Hinge, 0.0), PROJECTED),
        ((PLAIN, first, Loss::Saturating, 0.0), SATURATING),
        ((PLAIN, bare, Loss::LeastSquares, 0.2), LEAST_SQUARES),
        ((PLAIN, bare, Loss::Relativistic, 0.0), RELATIVISTIC),
    ] {
        let mut pair = Pair::new(generator, discriminator);
        let objective = Objective { loss, smoothing, ..Objective::default() };
        for want in want {
            let got = pair.step(&objective);
            close(&[got.discriminator, got.generator, got.real, got.fake], &want);
        }
    }
}
const CONCATENATED: [[f64; 4]; 3] = [
    [1.5091271, 0.8782833, 0.3693184, 0.4126318],
    [1.5462399, 0.6884012, 0.4286017, 0.5047309],
    [1.4608216, 0.7004503, 0.4763638, 0.5103265],
];
const PROJECTED: [[f64; 4]; 3] = [
    [5.5248137, 4.1689835, 0.0145955, 0.0177955],
    [5.1627798, 4.0475125, 0.0199946, 0.0199195],
    [5.0420189, 3.9199562, 0.0223238, 0.0223318],
];
const SATURATING: [[f64; 4]; 3] = [
    [1.5136946, -0.4042276, 0.3274302, 0.3266476],
    [1.4668870, -0.4719056, 0.3688745, 0.3730941],
    [1.4952253, -0.5718571, 0.4097207, 0.4518906],
];
const LEAST_SQUARES: [[f64; 4]; 3] = [
    [27.8967991, 12.6523819, 0.8949778, 0.4819879],
    [3.1894889, 3.8188896, 0.8740903, 0.4935511],
    [2.4575579, 0.9512321, 0.8236574, 0.5657290],
];
const RELATIVISTIC: [[f64; 4]; 3] = [
    [1.6376541, 7.9331379, 0.8949778, 0.4819879],
    [1.6265494, 6.4657593, 0.9296858, 0.5043506],
    [4.0829453, 2.1280999, 0.9485114, 0.7963201],
];

#[test]
fn a_frozen_discriminator_judges_alike_and_gets_no_gradient() {
    let pair = Pair::new(PLAIN, JUDGE);
    let images = Var::from_tensor(&cosines(&[4, 1, 32, 32])).unwrap();
    let free = pair.d.forward(&images, None, true).unwrap();
    let frozen = pair.d.forward_frozen(&images, None, true).unwrap();
    assert_eq!(numbers(&free), numbers(&frozen));
    let (a, b) = (free.backward().unwrap(), frozen.backward().unwrap());
    for v in pair.of_d.trained() {
        assert!(a.get(&v.var).is_some() && b.get(&v.var).is_none(), "{}", v.name);
    }
    assert_eq!(numbers(a.get(&images).unwrap()), numbers(b.get(&images).unwrap()));
}

/// The gradient of a generator's loss where the discriminator is sure, and of the discriminator's where it is wrong.
#[test]
fn losses_keep_their_gradient_where_a_logit_saturates() {
    let at = |logit: f64| Var::new(&[logit as f32], &Device::Cpu).unwrap();
    for (loss, want) in [
        // of generator at f = -100, then of discriminator at r = -100 and f = 100
        (Loss::NonSaturating, [-1.0, -1.0, 1.0]),
        // the one that is known for it
        (Loss::Saturating, [0.0, -1.0, 1.0]),
        (Loss::LeastSquares, [-101.0, -101.0, 100.0]),
        (Loss::Hinge, [-1.0, -1.0, 1.0]),
        (Loss::Relativistic, [-1.0, -1.0, 1.0]),
    ] {
        let (real, fake) = (at(100.0), at(-100.0));
        let generator = loss.generator(Some(&real.detach()), &fake).unwrap();
        let gradient = |loss: &Tensor, of: &Var| {
            assert!(numbers(loss)[0].is_finite());
            loss.backward().unwrap().get(of).map_or(0.0, |g| numbers(g)[0])
        };
        let (wrong_real, wrong_fake) = (at(-100.0), at(100.0));
        let discriminator = loss.discriminator(&wrong_real, &wrong_fake, 0.0).unwrap();
        let got = [
            gradient(&generator, &fake),
            gradient(&discriminator, &wrong_real),
            gradient(&discriminator, &wrong_fake),
        ];
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{loss:?}: {got} {want}");
        }
    }
}

/// A discriminator without rectified parts in the way is linear: the mean of `(D(x + σε) − D(x))² / σ²` over many ε is the
/// squared norm of its gradient.
#[test]
fn penalties_are_squared_norms_of_gradients() {
    let bare = DiscriminatorLayout { norm: Normalisation::None, ..JUDGE };
    let pair = Pair::new(PLAIN, bare);
    let images = cosines(&[1, 1, 32, 32]);
    let x = Var::from_tensor(&images).unwrap();
    let gradients = pair.d.forward(&x, None, true).unwrap().sum_all().unwrap().backward().unwrap();
    let squared: f64 = numbers(gradients.get(&x).unwrap()).iter().map(|g| g * g).sum();
    let penalty = Penalty { sigma: 1e-3, ..Penalty::default() };
    let draws = 4000;
    let noise = crate::init::Init::Normal { mean: 0.0, std: penalty.sigma };
    let noise = noise.draw(&[draws, 1, 32, 32], &mut generator(5, "noise"), &Device::Cpu).unwrap();
    let there = pair.d.forward(&noise.broadcast_add(&images).unwrap(), None, true).unwrap();
    let here = pair.d.forward(&images, None, true).unwrap().broadcast_as(draws).unwrap();
    let got = numbers(&penalty.of(&here, &there).unwrap())[0];
    // half of it; the mean of 4000 squares of normal numbers has a relative deviation of √(2 / 4000)
    assert!(
        (got / (squared / 2.0) - 1.0).abs() < 4.0 * (2.0 / draws as f64).sqrt(),
        "{got} {squared}"
    );
}

/// An update's loss is the adversarial one and `γ` times each penalty, of the noise that the generator of random numbers
/// gives: on real images first, then on generated ones. Its gradient is that of the whole.
#[test]
fn penalties_of_an_update_have_their_own_weights() {
    let bare = DiscriminatorLayout { norm: Normalisation::None, ..JUDGE };
    let penalty = Penalty { real: 0.7, fake: 0.2, sigma: 0.05 };
    let objective = Objective { loss: Loss::Relativistic, penalty, ..Objective::default() };
    let mut pair = Pair::new(PLAIN, bare);
    pair.od = Optimiser::new(Method::Sgd(Sgd::default()), &pair.of_d).unwrap();
    let images = cosines(&[4, 1, 32, 32]);
    let generated = pair.g.forward(&cosines(&[4, 6]), None, true).unwrap().detach();
    let mut rng = generator(1, "penalty");
    let normal = crate::init::Init::Normal { mean: 0.0, std: penalty.sigma };
    let [of_real, of_fake] =
        [(), ()].map(|()| normal.draw(&[4, 1, 32, 32], &mut rng, &Device::Cpu).unwrap());
    // in double precision from the logits on, so that differences are seen
    let parts = |pair: &Pair| -> [f64; 3] {
        let logits = |x: &Tensor| numbers(&pair.d.forward(x, None, true).unwrap());
        let (real, fake) = (logits(&images), logits(&generated));
        let pairs = real.iter().zip(&fake);
        let adversarial = pairs.map(|(r, f)| (f - r).exp().ln_1p()).sum::<f64>() / 4.0;
        let slope = |here: &[f64], x: &Tensor, noise: &Tensor| {
            let there = logits(&(x + noise).unwrap());
            let squares = here.iter().zip(there).map(|(h, t)| ((t - h) / penalty.sigma).powi(2));
            squares.sum::<f64>() / 4.0 / 2.0
        };
        [adversarial, slope(&real, &images, &of_real), slope(&fake, &generated, &of_fake)]
    };
    let whole = |[adversarial, real, fake]: [f64; 3]| adversarial + 0.7 * real + 0.2 * fake;

    let before = parts(&pair);
    assert!((before[1] - before[2]).abs() > 1e-3, "equal ones would not be told apart: {before:?}");
    // Of the last layer, in which a logit is linear, by differences; of the first, where steps cross LeakyReLU's bends, by the
    // gradient of a loss that is put together here.
    let weight = |name: &str| pair.of_d.get(name).unwrap();
    let names: Vec<_> = pair.of_d.iter().map(|v| v.name.clone()).collect();
    let last_name = names.iter().rfind(|name| name.ends_with("weight")).unwrap();
    let (first, last) = (weight("0.weight"), weight(last_name));
    let [at_first, at_last] = [&first, &last].map(|var| numbers(var));
    let moved = |by: f64| {
        let mut values: Vec<f32> = at_last.iter().map(|&value| value as f32).collect();
        values[5] += by as f32;
        last.set(&Tensor::from_vec(values, last.dims(), &Device::Cpu).unwrap()).unwrap();
        whole(parts(&pair))
    };
    let of_last = (moved(1e-2) - moved(-1e-2)) / 2e-2;
    moved(0.0);
    let of_first = {
        let logits = |x: &Tensor| pair.d.forward(x, None, true).unwrap();
        let (real, fake) = (logits(&images), logits(&generated));
        let adversarial = objective.loss.discriminator(&real, &fake, 0.0).unwrap();
        let on = |here: &Tensor, x: &Tensor, noise: &Tensor, weight: f64| {
            (penalty.of(here, &logits(&(x + noise).unwrap())).unwrap() * weight).unwrap()
        };
        let penalties =
            (on(&real, &images, &of_real, 0.7) + on(&fake, &generated, &of_fake, 0.2)).unwrap();
        let gradients = (adversarial + penalties).unwrap().backward().unwrap();
        numbers(gradients.get(&first).unwrap())
    };

    let got = pair.step(&objective);
    close(&[got.penalty, got.discriminator], &[whole(before) - before[0], whole(before)]);
    // plain descent: what a weight lost is the rate times its gradient
    let lost = |at: &[f64], var: &Var, place: usize| (at[place] - numbers(var)[place]) / 2e-3;
    let of_last_lost = lost(&at_last, &last, 5);
    assert!((of_last_lost / of_last - 1.0).abs() < 2e-2, "{of_last_lost} {of_last}");
    for (place, want) in of_first.iter().enumerate() {
        let got = lost(&at_first, &first, place);
        assert!((got - want).abs() < 1e-3 * want.abs().max(1.0), "{place}: {got} {want}");
    }
}

/// Where the noise is too small to change an image, the two points are one, and their difference is exactly 0: also of a
/// spectral norm, whose state moves with each pass that trains.
#[test]
fn penalties_are_of_one_network() {
    for norm in [Normalisation::None, Normalisation::Spectral] {
        for condition in [Condition::None, Condition::Projected] {
            let classes = if condition == Condition::None { 0 } else { 3 };
            let layout = DiscriminatorLayout { norm, condition, classes, ..JUDGE };
            let of = |sigma: f64| {
                let penalty = Penalty { real: 1.0, fake: 1.0, sigma };
                Pair::new(PLAIN, layout).step(&Objective { penalty, ..Objective::default() })
            };
            assert_eq!(of(1e-15).penalty, 0.0, "{layout:?}");
            assert!(of(0.05).penalty > 0.0, "{layout:?}");
        }
    }
}

#[test]
fn layouts_are_found_again_in_their_weights() {
    let tensors = |parameters: &[crate::Parameter]| -> Tensors {
        Variables::drawn(parameters, 1, &Device::Cpu).unwrap().live()
    };
    for (size, classes, norm, condition) in [
        (32, 0, Normalisation::Batch, Condition::None),
        (64, 10, Normalisation::None, Condition::Concatenated),
        (32, 10, Normalisation::Batch, Condition::Projected),
        (64, 0, Normalisation::Spectral, Condition::None),
    ] {
        let of_g = if norm == Normalisation::Spectral { Normalisation::None } else { norm };
        let g = GeneratorLayout { size, classes, norm: of_g, channels: 3, ..PLAIN };
        let found = tensors(&g.parameters(Initialisation::KaimingNormal));
        assert_eq!(GeneratorLayout::of(&found).unwrap(), g);
        let d = DiscriminatorLayout {
            size,
            classes,
            norm,
            condition,
            channels: 3,
            norm_first: size == 32,
            ..JUDGE
        };
        let parameters = d.parameters(Initialisation::PytorchDefault);
        let found = tensors(&parameters);
        assert_eq!(DiscriminatorLayout::of(&found).unwrap(), d);
        if condition == Condition::None {
            let network = crate::from_tensors("dcgan_discriminator", &found).unwrap();
            let images = cosines(&[2, 3, size, size]);
            assert_eq!(network.forward_to(&images, "real").unwrap().dims(), [2]);
        }
    }
    let lenet = crate::architecture("lenet5").unwrap();
    let foreign = tensors(&lenet.parameters());
    assert!(GeneratorLayout::of(&foreign).is_err() && DiscriminatorLayout::of(&foreign).is_err());
    assert!(crate::from_tensors("dcgan_generator", &foreign).is_err());
}

#[test]
fn images_have_the_size_and_the_classes_that_were_asked_for() {
    let told = GeneratorLayout { size: 64, classes: 3, channels: 3, ..PLAIN };
    let pair = Pair::new(told, JUDGE);
    let noise = cosines(&[2, 6]);
    let of = |classes: &[u32]| {
        let classes = one_hot(classes, 3, &Device::Cpu).unwrap();
        pair.g.forward(&noise, Some(&classes), false).unwrap()
    };
    let images = of(&[0, 1]);
    assert_eq!(images.dims(), [2, 3, 64, 64]);
    assert_ne!(numbers(&images), numbers(&of(&[1, 1])));
    // a look by the batch's statistics moves nothing
    let before = numbers(&pair.of_g.get("1.running_mean").unwrap());
    let classes = one_hot(&[0, 1], 3, &Device::Cpu).unwrap();
    let by_batch = pair.g.forward_of_batch(&noise, Some(&classes)).unwrap();
    assert_ne!(numbers(&by_batch), numbers(&images));
    assert_eq!(numbers(&pair.of_g.get("1.running_mean").unwrap()), before);
    assert_eq!(numbers(&pair.g.forward(&noise, Some(&classes), true).unwrap()), numbers(&by_batch));
    assert_ne!(numbers(&pair.of_g.get("1.running_mean").unwrap()), before);
    for wrong in [None, Some(&cosines(&[2, 4])), Some(&cosines(&[1, 3]))] {
        assert!(pair.g.forward(&noise, wrong, false).is_err());
    }
    assert!(pair.g.forward(&cosines(&[2, 5]), Some(&classes), false).is_err());
    assert!(pair.d.forward(&cosines(&[2, 1, 64, 64]), None, false).is_err());
    assert!(pair.d.forward(&cosines(&[2, 1, 32, 32]), Some(&classes), false).is_err());
    assert!(one_hot(&[3], 3, &Device::Cpu).is_err());
}

#[test]
fn updates_of_one_network_leave_the_other_as_it_was() {
    for (updates, moves) in
        [(Updates::Generator, [true, false]), (Updates::Discriminator, [false, true])]
    {
        let mut pair = Pair::new(PLAIN, JUDGE);
        let now =
            |pair: &Pair| [&pair.of_g, &pair.of_d].map(|v| numbers(&v.get("0.weight").unwrap()));
        let before = now(&pair);
        let losses = pair.step(&Objective { updates, ..Objective::default() });
        assert!(losses.is_finite());
        let after = now(&pair);
        assert_eq!([0, 1].map(|i| before[i] != after[i]), moves);
    }
}
