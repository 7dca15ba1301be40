use candle_core::{Device, Tensor, Var};
use sconce_core::random::generator;
use sconce_data::{Channels, Image};

use super::color;
use super::fourier::{FourierAscent, Painter};
use super::picture;
use super::pixels::{Penalty, PixelAscent, Step, blur, noise, roll};
use super::score::{Goal, Progress, value};
use super::spectrum::Spectrum;
use super::standard::Standard;
use super::transform::{Transform, Transforms};
use super::verdict::{Verdict, share_recognised, verdict};
use super::views::Views;
use crate::Model;
use crate::testing::{cat, model, numbers};

const TARANTULA: u32 = 76;

fn start(model: &Model, size: usize) -> Tensor {
    noise(model, size, &mut generator(3, "start")).unwrap()
}

fn standard(model: &Model) -> Standard {
    Standard::new(model.preprocessing().channels, model.device()).unwrap()
}

fn climb(ascent: &PixelAscent, model: &Model, start: Tensor, seed: u64) -> (Vec<Progress>, Tensor) {
    let mut seen = Vec::new();
    let rng = &mut generator(seed, "jitter");
    let end = ascent.run(model, TARANTULA, start, rng, &mut |progress, _| {
        seen.push(*progress);
        Ok(())
    });
    (seen, end.unwrap())
}

fn climb_fourier(
    ascent: &FourierAscent,
    model: &Model,
    size: usize,
    seed: u64,
) -> (Vec<Progress>, Tensor) {
    let mut seen = Vec::new();
    let draws = [&mut generator(seed, "start"), &mut generator(seed, "transforms")];
    let end = ascent.run(model, TARANTULA, size, draws, &mut |progress, _| {
        seen.push(*progress);
        Ok(())
    });
    (seen, end.unwrap())
}

/// Nothing but what is under test changes the picture.
fn still() -> PixelAscent {
    PixelAscent { learning_rate: 0.0, blur_every: 0, jitter: 0, ..PixelAscent::default() }
}

#[test]
fn gradients_equal_finite_differences() {
    let model = model(64);
    let standard = standard(&model);
    let u = blur(&start(&model, 64), 2.0).unwrap();
    let goal = Goal::Logit;
    for (penalty, regularisation) in
        [(Penalty::SquaredNorm, 0.0), (Penalty::SquaredNorm, 0.05), (Penalty::Norm, 2.0)]
    {
        let ascent = PixelAscent { regularisation, penalty, goal, ..PixelAscent::default() };
        let rng = &mut generator(1, "views");
        let (_, gradient) = ascent.gradient(&model, &standard, TARANTULA, &u, rng).unwrap();
        let objective = |u: &Tensor| {
            let pixels = standard.to_pixels(u).unwrap();
            let (progress, _) = value(&model, &pixels, TARANTULA, goal).unwrap();
            progress.objective - regularisation * penalty.value(u).unwrap()
        };
        // Along the gradient, and along it with half of the signs turned: not parallel to either part.
        let signs: Vec<f32> =
            (0..u.elem_count()).map(|i| if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
        let turned =
            (&gradient * Tensor::from_vec(signs, u.shape(), &Device::Cpu).unwrap()).unwrap();
        for direction in [gradient.clone(), turned] {
            let length = Penalty::Norm.value(&direction).unwrap();
            // Short enough to cross few kinks, long enough for single precision.
            let step = 0.0005;
            let along = (direction * (step / length)).unwrap();
            let found = (objective(&(&u + &along).unwrap()) - objective(&(&u - &along).unwrap()))
                / (2.0 * step);
            let expected = numbers(&(&gradient * &along).unwrap());
            let expected = expected.iter().map(|&x| f64::from(x)).sum::<f64>() / step;
            assert!(
                (found - expected).abs() < 0.01 * expected.abs(),
                "{penalty:?} {goal:?}: {found} {expected}"
            );
        }
    }
}

/// A zero picture has no direction: the norm's gradient is zero, not NaN.
#[test]
fn penalties() {
    let u = Tensor::new(&[[[[3f32, -4.0]]]], &Device::Cpu).unwrap();
    assert_eq!(Penalty::Norm.value(&u).unwrap(), 5.0);
    assert_eq!(Penalty::SquaredNorm.value(&u).unwrap(), 25.0);
    assert_eq!(numbers(&Penalty::Norm.gradient(&u).unwrap()), [0.6, -0.8]);
    assert_eq!(numbers(&Penalty::SquaredNorm.gradient(&u).unwrap()), [6.0, -8.0]);
    let zero = u.zeros_like().unwrap();
    assert_eq!(numbers(&Penalty::Norm.gradient(&zero).unwrap()), [0.0, 0.0]);
}

#[test]
fn jitter_is_undone_exactly() {
    let model = model(64);
    let u = start(&model, 64);
    assert_eq!(numbers(&roll(&roll(&u, [5, -16]).unwrap(), [-5, 16]).unwrap()), numbers(&u));
    let right = roll(&u, [0, 1]).unwrap();
    assert_eq!(numbers(&right)[1..64], numbers(&u)[..63]);
    assert_eq!(numbers(&right)[0], numbers(&u)[63]);
    let ascent = PixelAscent { jitter: 16, iterations: 2, ..still() };
    let expected = standard(&model).clamp(&u).unwrap();
    assert_eq!(numbers(&climb(&ascent, &model, u, 1).1), numbers(&expected));
}

#[test]
fn every_step_is_as_long_as_the_learning_rate_and_no_pixel_leaves_its_bounds() {
    let model = model(64);
    let standard = standard(&model);
    let grey = standard.of_pixels(&Tensor::full(127f32, (1, 3, 64, 64), &Device::Cpu).unwrap());
    let grey = grey.unwrap();
    let one = PixelAscent { learning_rate: 2.0, iterations: 1, jitter: 3, ..still() };
    let moved = (climb(&one, &model, grey.clone(), 1).1 - &grey).unwrap();
    assert!((Penalty::Norm.value(&moved).unwrap() - 2.0).abs() < 1e-4);
    let raw = PixelAscent { step: Step::Raw, learning_rate: 0.5, jitter: 0, ..one };
    let rng = &mut generator(1, "views");
    let (_, gradient) = raw.gradient(&model, &standard, TARANTULA, &grey, rng).unwrap();
    let moved = (climb(&raw, &model, grey.clone(), 1).1 - &grey).unwrap();
    let off = ((gradient * 0.5).unwrap() - moved).unwrap();
    assert!(Penalty::Norm.value(&off).unwrap() < 1e-4);

    let far = PixelAscent {
        learning_rate: 300.0,
        iterations: 3,
        blur_every: 2,
        ..PixelAscent::default()
    };
    let pixels = numbers(&standard.to_pixels(&climb(&far, &model, grey, 1).1).unwrap());
    let low = pixels.iter().copied().fold(f32::INFINITY, f32::min);
    let high = pixels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    assert!((-1e-3..1.0).contains(&low) && (254.0..255.001).contains(&high), "{low} {high}");
}

#[test]
fn blurs_after_the_first_and_every_nth_step() {
    let model = model(64);
    let u = standard(&model).clamp(&start(&model, 64)).unwrap();
    let blurred = |times: usize| {
        let u = (0..times).fold(u.clone(), |u, _| blur(&u, 0.5).unwrap());
        numbers(&u)
    };
    for (iterations, blur_every, times) in [(3, 0, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2), (2, 1, 2)] {
        let ascent = PixelAscent { iterations, blur_every, ..still() };
        let (seen, end) = climb(&ascent, &model, u.clone(), 1);
        assert_eq!(numbers(&end), blurred(times), "{iterations} steps, every {blur_every}");
        assert_eq!(seen.len(), iterations + 1);
        assert_eq!(seen.last().unwrap().iteration, iterations);
    }
    assert_eq!(numbers(&blur(&u, 0.0).unwrap()), numbers(&u));
}

#[test]
fn the_same_seed_gives_the_same_bits_whatever_the_threads() {
    let model = model(64);
    let pixels = PixelAscent { iterations: 3, ..PixelAscent::default() };
    let fourier = FourierAscent { iterations: 3, ..FourierAscent::default() };
    let both = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let plain = climb(&pixels, &model, start(&model, 64), seed).1;
            [numbers(&plain), numbers(&climb_fourier(&fourier, &model, 64, seed).1)]
        })
    };
    let expected = both(1, 5);
    assert_eq!(both(2, 5), expected);
    let other = both(2, 6);
    assert_ne!(other[0], expected[0]);
    assert_ne!(other[1], expected[1]);
}

/// Both ways lead towards the class, and what is said of the tensor holds for the file of 8 bits.
#[test]
fn pictures_become_the_class() {
    let model = model(96);
    let goal = Goal::LogProbability;
    let ascent = PixelAscent { iterations: 40, goal, ..PixelAscent::default() };
    let (seen, end) = climb(&ascent, &model, start(&model, 96), 1);
    let last = seen[40];
    assert!(last.probability > 1000.0 * seen[0].probability, "{seen:?}");
    assert!((last.objective - last.probability.ln()).abs() < 1e-3);
    let image = picture::image(&model, &standard(&model).to_pixels(&end).unwrap(), 0).unwrap();
    let found = verdict(&model, &image, TARANTULA).unwrap();
    assert!((found.probability - last.probability).abs() < 0.05 && found.confidence > 0.05);
    assert_eq!(found.rank == 1, found.prediction == TARANTULA);
    let none = Transforms::NONE;
    let rng = &mut generator(1, "transforms");
    let share = share_recognised(&model, &image, TARANTULA, &none, 2, rng).unwrap();
    assert_eq!(share, f64::from(u8::from(found.rank == 1)));

    let ascent = FourierAscent { iterations: 40, goal, ..FourierAscent::default() };
    let (seen, _) = climb_fourier(&ascent, &model, 96, 1);
    assert!(seen[40].objective > seen[0].objective + 3.0, "{seen:?}");
}

/// The inverse transform by its definition, frequency by frequency, in f64: the other half of the spectrum is the
/// conjugate of the first.
fn naive_inverse(spectrum: &[f32], height: usize, width: usize) -> Vec<f32> {
    let half = width / 2 + 1;
    let at = |k: usize, l: usize| {
        let (re, im) = (spectrum[k * 2 * half + l], spectrum[k * 2 * half + half + l]);
        (f64::from(re), f64::from(im))
    };
    let mut picture = Vec::new();
    for m in 0..height {
        for n in 0..width {
            let mut sum = 0.0;
            for k in 0..height {
                for l in 0..width {
                    let turn = std::f64::consts::TAU
                        * ((k * m) as f64 / height as f64 + (l * n) as f64 / width as f64);
                    let (re, im) = if l < half {
                        at(k, l)
                    } else {
                        let (re, im) = at((height - k) % height, width - l);
                        (re, -im)
                    };
                    sum += re * turn.cos() - im * turn.sin();
                }
            }
            picture.push((sum / (height * width) as f64) as f32);
        }
    }
    picture
}

#[test]
fn the_fourier_transform_is_that_of_its_definition() {
    for (height, width) in [(4, 6), (5, 7), (6, 5), (1, 2), (8, 8)] {
        let flat = Spectrum::new(height, width, 0.0, &Device::Cpu).unwrap();
        let size = ((height * width) as f32).sqrt();
        let count = height * flat.row();
        let values: Vec<f32> =
            (0..count).map(|i| ((i * 37 + 11) % 23) as f32 / 11.0 - 1.0).collect();
        let spectrum =
            Tensor::from_vec(values.clone(), (1, height, flat.row()), &Device::Cpu).unwrap();
        // A real picture's spectrum has a conjugate partner within the columns 0 and width / 2.
        let picture = numbers(&flat.picture(&spectrum).unwrap());
        let real = |k: usize, l: usize, part: usize| {
            let half = width / 2 + 1;
            let own = values[k * 2 * half + part * half + l];
            if l != 0 && 2 * l != width {
                return own;
            }
            let partner = values[(height - k) % height * 2 * half + part * half + l];
            (own + if part == 0 { partner } else { -partner }) / 2.0
        };
        let half = width / 2 + 1;
        let symmetric: Vec<f32> =
            (0..count).map(|i| size * real(i / (2 * half), i % half, i / half % 2)).collect();
        for (found, expected) in picture.iter().zip(naive_inverse(&symmetric, height, width)) {
            assert!((found - expected).abs() < 1e-5, "{height} × {width}: {found} {expected}");
        }
    }
}

#[test]
fn frequencies_weigh_as_in_photographs() {
    let (flat, weighted) = (
        Spectrum::new(8, 8, 0.0, &Device::Cpu).unwrap(),
        Spectrum::new(8, 8, 1.0, &Device::Cpu).unwrap(),
    );
    for (k, l, times) in
        [(0, 0, 8.0), (0, 1, 8.0), (0, 2, 4.0), (3, 4, 8.0 / 5.0), (5, 4, 8.0 / 5.0)]
    {
        let mut values = vec![0f32; 8 * 10];
        values[k * 10 + l] = 1.0;
        let one = Tensor::from_vec(values, (1, 8, 10), &Device::Cpu).unwrap();
        let (a, b) =
            (numbers(&flat.picture(&one).unwrap()), numbers(&weighted.picture(&one).unwrap()));
        for (a, b) in a.iter().zip(b) {
            assert!((a * times - b).abs() < 1e-5, "{k} {l}");
        }
    }
}

#[test]
fn gradients_pass_from_pixels_to_frequencies() {
    let model = model(64);
    let painter = Painter::new(&model, 8, 1.0).unwrap();
    let values: Vec<f32> = (0..3 * 8 * 10).map(|i| ((i * 29) % 17) as f32 / 40.0 - 0.2).collect();
    let spectrum = Tensor::from_vec(values, (3, 8, 10), &Device::Cpu).unwrap();
    let weights: Vec<f32> = (0..192).map(|i| ((i * 31) % 13) as f32 - 6.0).collect();
    let weights = Tensor::from_vec(weights, (1, 3, 8, 8), &Device::Cpu).unwrap();
    let turn = Transform { shift: [0.7, -1.2], scale: 1.1, rotation: 12.0 };
    let sum = |spectrum: &Tensor| {
        let seen = turn.apply(&painter.pixels(spectrum).unwrap(), 127.5).unwrap();
        (seen * &weights).unwrap().sum_all().unwrap()
    };
    let var = Var::from_tensor(&spectrum).unwrap();
    let gradient = numbers(sum(&var).backward().unwrap().get(&var).unwrap());
    let largest = gradient.iter().fold(0f32, |m, g| m.max(g.abs()));
    for i in (0..240).step_by(17) {
        let moved = |step: f32| {
            let mut values = numbers(&spectrum);
            values[i] += step;
            let spectrum = Tensor::from_vec(values, (3, 8, 10), &Device::Cpu).unwrap();
            sum(&spectrum).to_scalar::<f32>().unwrap()
        };
        let found = (moved(0.01) - moved(-0.01)) / 0.02;
        assert!((found - gradient[i]).abs() < 0.01 * largest, "{i}: {found} {}", gradient[i]);
    }
}

/// `color_correlation_normalized` of Lucid's `misc/param/color.py`, computed with NumPy 2.4:
/// `m = np.array([[.26, .09, .02], [.27, 0, -.05], [.27, -.09, .03]]); m / np.max(np.linalg.norm(m, axis=0))`.
#[test]
fn colours_have_lucids_correlation() {
    let expected = [
        [0.562_828_58, 0.194_825_28, 0.043_294_51],
        [0.584_475_83, 0.0, -0.108_236_26],
        [0.584_475_83, -0.194_825_28, 0.064_941_76],
    ];
    for (found, expected) in color::correlation().iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-7, "{found} {expected}");
    }
    let rgb = numbers(&color::matrix(Channels::Rgb, &Device::Cpu).unwrap());
    let bgr = numbers(&color::matrix(Channels::Bgr, &Device::Cpu).unwrap());
    assert_eq!(rgb[..3], bgr[6..]);
    assert_eq!(rgb[3..6], bgr[3..6]);
    // No colour is middle grey; far out they saturate.
    let of = |values: Vec<f32>| {
        let x = Tensor::from_vec(values, (3, 1, 1), &Device::Cpu).unwrap();
        let matrix = color::matrix(Channels::Rgb, &Device::Cpu).unwrap();
        numbers(&color::to_pixels(&x, &matrix).unwrap())
    };
    assert_eq!(of(vec![0.0; 3]), [127.5; 3]);
    assert!(of(vec![1000.0, 0.0, 0.0]).iter().all(|&sample| sample > 254.9));
    let one = of(vec![1.0, 0.0, 0.0])[0];
    assert!((f64::from(one) - 255.0 / (1.0 + (-expected[0][0]).exp())).abs() < 1e-3);
}

#[test]
fn transforms_move_turn_and_scale() {
    let values: Vec<f32> = (0..2 * 25).map(|i| i as f32).collect();
    let picture = Tensor::from_vec(values.clone(), (1, 2, 5, 5), &Device::Cpu).unwrap();
    let none = Transform { shift: [0.0; 2], scale: 1.0, rotation: 0.0 };
    let apply = |transform: Transform| numbers(&transform.apply(&picture, -1.0).unwrap());
    assert_eq!(apply(none), values);
    let at = |picture: &[f32], c: usize, y: usize, x: usize| picture[c * 25 + y * 5 + x];
    let moved = apply(Transform { shift: [1.0, -2.0], ..none });
    let turned = apply(Transform { rotation: 90.0, ..none });
    let halved = apply(Transform { scale: 0.5, ..none });
    for c in 0..2 {
        for y in 0..5 {
            for x in 0..5 {
                let inside = y >= 1 && x < 3;
                let expected = if inside { at(&values, c, y - 1, x + 2) } else { -1.0 };
                assert_eq!(at(&moved, c, y, x), expected);
                // What was at the right is on top.
                assert!((at(&turned, c, y, x) - at(&values, c, x, 4 - y)).abs() < 1e-3);
            }
        }
        assert_eq!(at(&halved, c, 2, 3), at(&values, c, 2, 4));
        assert_eq!(at(&halved, c, 0, 2), -1.0);
    }
    // Halfway between two pixels is their mean.
    let between = apply(Transform { shift: [0.0, 0.5], ..none });
    assert_eq!(at(&between, 1, 2, 2), (at(&values, 1, 2, 1) + at(&values, 1, 2, 2)) / 2.0);
    assert_eq!(at(&between, 0, 0, 0), f32::midpoint(-1.0, at(&values, 0, 0, 0)));

    let ranges = Transforms { shift: 3.0, scale: 0.2, rotation: 10.0 };
    let rng = &mut generator(1, "transforms");
    for _ in 0..100 {
        let Transform { shift, scale, rotation } = ranges.draw(rng);
        assert!(
            shift.iter().all(|s| s.abs() <= 3.0)
                && (0.8..=1.2).contains(&scale)
                && rotation.abs() <= 10.0
        );
    }
    let error = Transforms { scale: 1.5, ..ranges }.check().unwrap_err().to_string();
    assert_eq!(error, "parameter `scale`: expected 0 or at most 0.9, found 1.5");
}

#[test]
fn views_are_copies_with_moves_and_noise_of_their_own() {
    let values: Vec<f32> = (0..3 * 64 * 64).map(|i| (i % 251) as f32).collect();
    let picture = Tensor::from_vec(values.clone(), (1, 3, 64, 64), &Device::Cpu).unwrap();
    let of = |views: Views| {
        let seen = views.of(&picture, &mut generator(1, "views")).unwrap();
        assert_eq!(seen.dims(), [views.copies, 3, 64, 64]);
        numbers(&seen)
    };
    let still = Views::under(Transforms::NONE);
    assert_eq!(of(still), values);
    // One copy under transforms is what it was before there were copies: the same draws.
    let moved = Views::under(Transforms::default());
    let one = Transforms::default().draw(&mut generator(1, "views")).apply(&picture, 127.5);
    assert_eq!(of(moved), numbers(&one.unwrap()));
    let several = of(Views { copies: 3, ..moved });
    assert_eq!(several[..values.len()], of(moved));
    assert_ne!(several[..values.len()], several[values.len()..2 * values.len()]);
    let noisy = of(Views { copies: 2, noise: 0.1, ..still });
    let squares = noisy.iter().zip(values.iter().cycle()).map(|(a, b)| f64::from((a - b).powi(2)));
    let deviation = (squares.sum::<f64>() / noisy.len() as f64).sqrt();
    assert!((deviation - 25.5).abs() < 0.5, "{deviation}");
    let said = |views: Views| views.check().unwrap_err().to_string();
    assert_eq!(
        said(Views { copies: 0, ..still }),
        "parameter `copies`: expected 1 or more, found 0"
    );
    assert_eq!(
        said(Views { noise: -0.1, ..still }),
        "parameter `noise`: expected a share of the range, 0 or more, found -0.1"
    );
}

/// The mean over copies that all are the picture is the picture's own.
#[test]
fn several_views_are_climbed_in_the_mean() {
    let model = model(64);
    let standard = standard(&model);
    let u = blur(&start(&model, 64), 2.0).unwrap();
    let gradient = |copies: usize| {
        let views = Views { copies, ..Views::under(Transforms::NONE) };
        let ascent = PixelAscent { views, ..PixelAscent::default() };
        let rng = &mut generator(1, "views");
        ascent.gradient(&model, &standard, TARANTULA, &u, rng).unwrap()
    };
    let ((one, expected), (three, found)) = (gradient(1), gradient(3));
    assert!((one.logit - three.logit).abs() < 1e-4);
    assert!((one.probability - three.probability).abs() < 1e-6);
    let largest = numbers(&expected).iter().fold(0f32, |most, g| most.max(g.abs()));
    for (found, expected) in numbers(&found).iter().zip(numbers(&expected)) {
        assert!((found - expected).abs() < 1e-4 * largest, "{found} {expected}");
    }
}

/// The scale is that of torchvision's weights, whatever these weights take.
#[test]
fn the_standard_scale_is_imagenets() {
    let model = model(96);
    let pixels = picture::pixels(&model, &cat()).unwrap();
    let standard = standard(&model);
    let u = standard.of_pixels(&pixels).unwrap();
    let (pixel, standardised) = (numbers(&pixels)[96 * 96 + 5], numbers(&u)[96 * 96 + 5]);
    assert!((standardised - (pixel / 255.0 - 0.456) / 0.224).abs() < 1e-5);
    let back: Image = picture::image(&model, &standard.to_pixels(&u).unwrap(), 0).unwrap();
    assert_eq!(back.samples(), cat().samples());
    let grey = Standard::new(Channels::Grey, &Device::Cpu).unwrap();
    let white = grey.clamp(&Tensor::full(9f32, (1, 1, 1, 1), &Device::Cpu).unwrap()).unwrap();
    assert!((numbers(&grey.to_pixels(&white).unwrap())[0] - 255.0).abs() < 1e-3);
}

#[test]
fn a_verdict_has_ranks() {
    let found = Verdict::of(&[0.1, 0.6, 0.3], 2).unwrap();
    assert_eq!((found.rank, found.prediction), (2, 1));
    assert!((found.probability - 0.3).abs() < 1e-6 && (found.confidence - 0.6).abs() < 1e-6);
    let error = Verdict::of(&[1.0], 1).unwrap_err().to_string();
    assert_eq!(error, "class 1: expected a number below 1");
}
