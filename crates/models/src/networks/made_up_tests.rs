//! Networks with made-up weights against PyTorch with the same weights.
//!
//! The numbers come from this script (PyTorch 2.15, timm 1.0.31):
//!
//! ```python
//! def noise(i):  # i: uint64
//!     z = i * np.uint64(0x9e3779b97f4a7c15); z ^= z >> 32
//!     z *= np.uint64(0xd6e8feb86659fd93); z ^= z >> 32
//!     return (z >> 40).astype(np.float32) / np.float32(16777216) - np.float32(0.5)
//!
//! def made_up(shapes):  # {name: shape} of the state dictionary without num_batches_tracked
//!     out, index = {}, 0
//!     for name, shape in sorted(shapes.items()):
//!         n, fan_in = int(np.prod(shape)), int(np.prod(shape[1:]))
//!         if name.endswith("running_var"): centre, spread = 1, 1
//!         elif len(shape) == 1 and name.endswith(("weight", "gamma")): centre, spread = 1, .5
//!         elif len(shape) == 1 or name in ("cls_token", "pos_embed"): centre, spread = 0, .2
//!         else: centre, spread = 0, np.sqrt(np.float32(12) / np.float32(fan_in))
//!         values = np.float32(centre) + np.float32(spread) * noise(np.arange(index, index + n, dtype=np.uint64))
//!         out[name] = torch.from_numpy(values.reshape(shape)); index += n
//!     return out
//!
//! def photographs(batch, side):
//!     i = np.arange(batch * 3 * side * side, dtype=np.uint64) + np.uint64(1 << 40)
//!     return torch.from_numpy((np.float32(4) * noise(i)).reshape(batch, 3, side, side))
//!
//! m = timm.create_model("vit_small_patch14_dinov2", img_size=42, num_classes=0)
//! m.load_state_dict(made_up({k: tuple(v.shape) for k, v in m.state_dict().items()})); m.eval()
//! f = m.forward_features(photographs(1, 42)); print(f[0, 0, :6], f[0, 1, :6], f[0, 9, :6])
//! # torchvision.models.resnet18(), resnet50() at 64 × 64: output of avgpool, logits
//! # timm.create_model("convnext_tiny") at 32 × 32: forward_features(x).mean((2, 3)), logits
//! # efficientnet_lite_pytorch 0.1.0, EfficientNet.from_name("efficientnet-lite0", image_size=64):
//! # m.extract_features(x).mean((2, 3)), logits, and the gradient of logit 7
//! ```

use candle_core::{Device, Tensor};

use super::published_tests::{Generated, convnext_tiny, resnet};
use crate::variables::Variables;
use crate::{Pass, Rectifier, Tensors, architecture, from_tensors};

type Shapes = Vec<(String, Vec<usize>)>;

/// `index`-th number of a sequence that NumPy makes alike, in −½ … ½.
fn noise(index: u64) -> f32 {
    let mut z = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z ^= z >> 32;
    z = z.wrapping_mul(0xd6e8_feb8_6659_fd93);
    z ^= z >> 32;
    (z >> 40) as f32 / 16_777_216.0 - 0.5
}

/// Weights of a spread that keeps activations near 1, in order of their names.
fn made_up(mut shapes: Shapes) -> Tensors {
    shapes.sort();
    let mut index = 0;
    let mut tensors = Tensors::default();
    for (name, shape) in shapes {
        let count: usize = shape.iter().product();
        let fan_in: usize = shape.iter().skip(1).product();
        let (centre, spread) = if name.ends_with("running_var") {
            (1.0, 1.0)
        } else if shape.len() == 1 && (name.ends_with("weight") || name.ends_with("gamma")) {
            (1.0, 0.5)
        } else if shape.len() == 1 || name == "cls_token" || name == "pos_embed" {
            (0.0, 0.2)
        } else {
            (0.0, (12.0 / fan_in as f32).sqrt())
        };
        let values: Vec<f32> =
            (index..index + count as u64).map(|i| centre + spread * noise(i)).collect();
        index += count as u64;
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    }
    tensors
}

fn photographs(batch: usize, side: usize) -> Tensor {
    let count = (batch * 3 * side * side) as u64;
    let values: Vec<f32> = (0..count).map(|i| 4.0 * noise((1 << 40) + i)).collect();
    Tensor::from_vec(values, (batch, 3, side, side), &Device::Cpu).unwrap()
}

fn with_bias(shapes: &mut Shapes, name: &str, shape: &[usize]) {
    shapes.push((format!("{name}.weight"), shape.to_vec()));
    shapes.push((format!("{name}.bias"), shape[..1].to_vec()));
}

/// DINOv2's ViT-S/14 with position embeddings of `side × side` patches.
fn dinov2_shapes(side: usize) -> Shapes {
    let mut shapes = vec![
        ("cls_token".to_owned(), vec![1, 1, 384]),
        ("pos_embed".to_owned(), vec![1, 1 + side * side, 384]),
    ];
    with_bias(&mut shapes, "patch_embed.proj", &[384, 3, 14, 14]);
    for block in 0..12 {
        let name = |part: &str| format!("blocks.{block}.{part}");
        with_bias(&mut shapes, &name("norm1"), &[384]);
        with_bias(&mut shapes, &name("attn.qkv"), &[1152, 384]);
        with_bias(&mut shapes, &name("attn.proj"), &[384, 384]);
        shapes.push((name("ls1.gamma"), vec![384]));
        with_bias(&mut shapes, &name("norm2"), &[384]);
        with_bias(&mut shapes, &name("mlp.fc1"), &[1536, 384]);
        with_bias(&mut shapes, &name("mlp.fc2"), &[384, 1536]);
        shapes.push((name("ls2.gamma"), vec![384]));
    }
    with_bias(&mut shapes, "norm", &[384]);
    shapes
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(found: &[f32], expected: &[f32]) {
    let scale = expected.iter().fold(1f32, |m, x| m.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4 * scale, "{found} {expected}");
    }
}

/// Tensors of these names and shapes with the script's numbers.
fn refilled(Generated(tensors, _): Generated) -> Tensors {
    let shapes = tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor.dims().to_vec()));
    made_up(shapes.filter(|(name, _)| !name.ends_with("num_batches_tracked")).collect())
}

#[test]
fn resnets_and_convnext_equal_torchvision_and_timm() {
    let check =
        |name: &str, weights: Generated, side: usize, features: [f32; 6], logits: [f32; 6]| {
            let network = from_tensors(name, &refilled(weights)).unwrap();
            let outputs =
                network.forward_taps(&photographs(1, side), &["features", "logits"]).unwrap();
            assert_close(&numbers(&outputs[0])[..6], &features);
            assert_close(&numbers(&outputs[1])[..6], &logits);
            // A batch of two is two batches of one.
            let x = photographs(2, side);
            let together = network.forward_to(&x, "features").unwrap();
            for i in 0..2 {
                let alone = network.forward_to(&x.narrow(0, i, 1).unwrap(), "features").unwrap();
                assert_close(&numbers(&together.narrow(0, i, 1).unwrap()), &numbers(&alone));
            }
        };
    check(
        "resnet18",
        resnet([2, 2, 2, 2], false),
        64,
        [0.094498, 0.0, 0.0, 0.036452, 1.208007, 1.257465],
        [1.709911, 0.109734, -0.910794, -1.173022, 1.887593, -1.263601],
    );
    check(
        "resnet50",
        resnet([3, 4, 6, 3], true),
        64,
        [0.758347, 0.681082, 0.594578, 0.05781, 0.100429, 0.950953],
        [-0.456261, -1.099239, 0.905967, -0.385185, -1.068531, -1.47627],
    );
    check(
        "convnext_tiny",
        convnext_tiny(),
        32,
        [2.079198, 0.311598, 1.002845, 2.916839, -1.619514, -0.33058],
        [-0.176301, 0.183918, -0.209209, -1.477724, -0.586571, 1.349081],
    );
}

/// Weights for small images, of networks that are larger than those trained in tests.
fn explained() -> [(&'static str, Tensors, usize); 4] {
    let mut dinov2 = dinov2_shapes(3);
    with_bias(&mut dinov2, "linear_head", &[5, 768]);
    [
        ("resnet18", refilled(resnet([2, 2, 2, 2], false)), 64),
        ("convnext_tiny", refilled(convnext_tiny()), 32),
        ("dinov2_vits14", made_up(dinov2), 42),
        ("efficientnet_lite0", made_up(efficientnet_lite0_shapes()), 64),
    ]
}

/// Whoever asks for several gets for each what it has alone, although operations are joined where nobody looks between them.
#[test]
fn outputs_taken_together_have_the_bits_of_each_alone() {
    let drawn = |name, side| {
        let parameters = architecture(name).unwrap().parameters();
        (name, Variables::drawn(&parameters, 3, &Device::Cpu).unwrap().live(), side)
    };
    let mut networks = Vec::from(explained());
    networks.extend([drawn("squeezenet1_1", 47), drawn("vgg16_features", 33)]);
    for (name, tensors, side) in networks {
        let network = from_tensors(name, &tensors).unwrap();
        let (x, taps) = (photographs(2, side), network.taps());
        let together = network.forward_taps(&x, &taps).unwrap();
        for (tap, output) in taps.iter().zip(&together) {
            let alone = network.forward_to(&x, tap).unwrap();
            assert_eq!(numbers(output), numbers(&alone), "{name}, {tap}");
        }
        // And in another order, one of them twice.
        let some = [taps[1], taps[0], taps[1]];
        let outputs = network.forward_taps(&x, &some).unwrap();
        for (output, at) in outputs.iter().zip([1, 0, 1]) {
            assert_eq!(numbers(output), numbers(&together[at]), "{name}");
        }
    }
}

/// What a network says of an image, and its gradient, have the same bits alone and among others.
#[test]
fn an_image_does_not_depend_on_its_batch() {
    const IMAGES: usize = 5;
    let small = |name, side| {
        let parameters = architecture(name).unwrap().parameters();
        let variables = Variables::drawn(&parameters, 3, &Device::Cpu).unwrap();
        let tensors = variables.iter().map(|v| (v.name.clone(), v.var.as_detached_tensor()));
        (name, tensors.collect(), side)
    };
    let mut networks = Vec::from(explained());
    networks.extend([small("squeezenet1_1", 130), small("vgg16_features", 65)]);
    for (name, weights, side) in networks {
        let network = from_tensors(name, &weights).unwrap();
        let (x, taps) = (photographs(IMAGES, side), network.taps());
        let run = |first: usize, count: usize| {
            let x = x.narrow(0, first, count).unwrap().copy().unwrap();
            let mut outputs = network.forward_taps(&x, &taps).unwrap();
            let x = candle_core::Var::from_tensor(&x).unwrap();
            let last = network.forward_to(&x, taps[taps.len() - 1]).unwrap();
            let mut gradients = last.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            outputs.extend([last.detach(), gradients.remove(&x).unwrap()]);
            outputs
        };
        let all = run(0, IMAGES);
        for (first, count) in [(2, 1), (1, 3)] {
            for (at, some) in run(first, count).iter().enumerate() {
                let among = all[at].narrow(0, first, count).unwrap();
                assert!(numbers(some) == numbers(&among), "{name}, output {at}, {count} images");
            }
        }
    }
}

/// Along its gradient a logit rises by the gradient's norm.
#[test]
fn gradients_of_logits_are_their_slopes() {
    for (name, weights, side) in explained() {
        let network = from_tensors(name, &weights).unwrap();
        let x = candle_core::Var::from_tensor(&photographs(1, side)).unwrap();
        let logit = |x: &Tensor| {
            let logits = network.forward_to(x, "logits").unwrap();
            logits.narrow(1, 3, 1).unwrap().sum_all().unwrap()
        };
        let gradient = logit(&x).backward().unwrap().remove(&x).unwrap();
        let norm = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        assert!(norm > 0.0, "{name}");
        let step = 0.01;
        let moved = |step: f32| {
            let along = (&gradient * f64::from(step / norm)).unwrap();
            f64::from(logit(&(x.as_tensor() + along).unwrap()).to_scalar::<f32>().unwrap())
        };
        let slope = (moved(step) - moved(-step)) / f64::from(2.0 * step);
        assert!((slope / f64::from(norm) - 1.0).abs() < 0.03, "{name}: {slope} {norm}");
    }
}

/// Tuned as a whole, every parameter of a network gets a gradient; those that stay frozen get none.
#[test]
fn networks_are_tuned_as_a_whole_or_at_their_end() {
    for (name, weights, side) in explained() {
        let architecture = architecture(name).unwrap();
        for all in [true, false] {
            let device = Device::Cpu;
            let tuned = Variables::with_new_head(architecture, &weights, 4, all, 1, &device);
            let variables = tuned.unwrap();
            let network = from_tensors(name, &variables.live()).unwrap();
            let logits = network.forward_to(&photographs(2, side), "logits").unwrap();
            assert_eq!(logits.dims(), [2, 4]);
            let gradients = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            for variable in variables.iter() {
                let gradient = gradients.get(&variable.var);
                assert_eq!(gradient.is_some(), variable.trained, "{name}: {}", variable.name);
            }
            let count = architecture.parameters_for(4).iter().filter(|p| p.trained).count();
            assert_eq!(variables.trained().count(), if all { count } else { 2 }, "{name}");
        }
    }
}

/// A network that is built once has its variables' values at each pass, also where it joins several of them.
#[test]
fn networks_follow_their_variables() {
    for (name, weights, side) in explained() {
        let architecture = architecture(name).unwrap();
        let device = &Device::Cpu;
        let tuned = Variables::with_new_head(architecture, &weights, 4, true, 1, device).unwrap();
        let (network, x) = (from_tensors(name, &tuned.live()).unwrap(), photographs(1, side));
        let logits = || numbers(&network.forward_to(&x, "logits").unwrap());
        let before = logits();
        for variable in tuned.trained() {
            let moved = (variable.var.as_detached_tensor() * 0.9).unwrap();
            variable.var.set(&moved).unwrap();
        }
        let anew = from_tensors(name, &tuned.live()).unwrap();
        assert_eq!(logits(), numbers(&anew.forward_to(&x, "logits").unwrap()), "{name}");
        assert_ne!(logits(), before, "{name}");
    }
}

/// Grad-CAM begins at an inner tap; from there on a network gives what it gives as a whole.
#[test]
fn networks_go_on_from_inner_taps() {
    for (name, tap) in [("resnet18", "layer3"), ("convnext_tiny", "stage3")] {
        let (_, weights, side) = explained().into_iter().find(|(n, ..)| *n == name).unwrap();
        let network = from_tensors(name, &weights).unwrap();
        let outputs = network.forward_taps(&photographs(1, side), &[tap, "logits"]).unwrap();
        let pass = Pass { from: Some(tap), rectifier: Rectifier::Plain };
        let logits = network.forward_pass(&outputs[0], &pass, &["logits"]).unwrap();
        assert_close(&numbers(&logits[0]), &numbers(&outputs[1]));
    }
}

/// Whatever stands before all names of a network is no part of them.
#[test]
fn prefixes_are_seen_through() {
    let weights = refilled(resnet([2, 2, 2, 2], false));
    let behind = |prefix: &str| -> Tensors {
        weights.iter().map(|(name, t)| (format!("{prefix}{name}"), t.clone())).collect()
    };
    let mut one = behind("backbone.net.");
    one.insert("head.weight", photographs(1, 2));
    from_tensors("resnet18", &one).unwrap();
    let mut both = behind("student.");
    behind("teacher.").iter().for_each(|(name, tensor)| both.insert(name, tensor.clone()));
    let error = from_tensors("resnet18", &both).err().unwrap().to_string();
    assert!(
        error.starts_with("the weights hold 2 networks, behind `student.` and `teacher.`"),
        "{error}"
    );
}

#[test]
fn dinov2_equals_timm() {
    let network = from_tensors("dinov2_vits14", &made_up(dinov2_shapes(3))).unwrap();
    let taps = ["cls", "patches", "block12"];
    let outputs = network.forward_taps(&photographs(1, 42), &taps).unwrap();
    let cls = [-0.156911, -1.106742, -0.885383, -0.218407, -0.215463, -0.214776];
    assert_close(&numbers(&outputs[0])[..6], &cls);
    assert_eq!(outputs[1].dims(), [1, 384, 3, 3]);
    // Channel after channel: a patch's numbers are 9 apart.
    let patches = numbers(&outputs[1]);
    let patch = |i: usize| patches.iter().skip(i).step_by(9).take(6).copied().collect::<Vec<_>>();
    let first = [-0.175535, -2.502121, 0.340697, -0.511907, -0.24909, -0.578367];
    let last = [-0.62105, -1.956605, -0.829307, -0.819742, -0.543092, 1.045226];
    assert_close(&patch(0), &first);
    assert_close(&patch(8), &last);
    assert_eq!(outputs[2].dims(), [1, 384, 3, 3]);
}

/// At another size than that of the position embeddings; their interpolation has its own test.
#[test]
fn dinov2_takes_batches_of_published_weights() {
    let shapes = dinov2_shapes(37);
    let count: usize = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    // The published 22,056,576 count the mask token, which only training uses.
    assert_eq!(count + 384, 22_056_576);
    let network = from_tensors("dinov2_vits14", &made_up(shapes)).unwrap();
    let x = photographs(2, 42).narrow(3, 0, 28).unwrap().contiguous().unwrap();
    let taps = ["block3", "patches", "cls", "features"];
    let together = network.forward_taps(&x, &taps).unwrap();
    let dims: Vec<_> = together.iter().map(|t| t.dims().to_vec()).collect();
    let expected: [&[usize]; 4] = [&[2, 384, 3, 2], &[2, 384, 3, 2], &[2, 384], &[2, 768]];
    assert_eq!(dims, expected);
    for i in 0..2 {
        let alone = network.forward_taps(&x.narrow(0, i, 1).unwrap(), &taps).unwrap();
        for (together, alone) in together.iter().zip(&alone) {
            assert_close(&numbers(&together.narrow(0, i, 1).unwrap()), &numbers(alone));
        }
    }
    let features = numbers(&together[3]);
    assert_eq!(features[..384], numbers(&together[2])[..384]);
    let mean: f32 = numbers(&together[1])[..6].iter().sum::<f32>() / 6.0;
    assert_close(&features[384..385], &[mean]);

    let odd = network.forward_to(&photographs(1, 30), "cls").unwrap_err().to_string();
    assert!(odd.contains("multiples of 14, found 30 × 30"), "{odd}");
    let mut fewer = dinov2_shapes(37);
    fewer.retain(|(name, _)| name != "blocks.7.ls2.gamma");
    let error = from_tensors("dinov2_vits14", &made_up(fewer)).err().unwrap().to_string();
    let expected = "not those of dinov2_vits14: 1 tensor missing: `blocks.7.ls2.gamma` [384]";
    assert!(error.contains(expected), "{error}");
}

/// As `efficientnet_lite_pytorch` names them, written out by the paper's table.
fn efficientnet_lite0_shapes() -> Shapes {
    let mut shapes = vec![("_conv_stem.weight".to_owned(), vec![32, 3, 3, 3])];
    let norm = |shapes: &mut Shapes, name: String, width: usize| {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            shapes.push((format!("{name}.{part}"), vec![width]));
        }
    };
    norm(&mut shapes, "_bn0".into(), 32);
    let (kernels, mut input) = ([3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3], 32);
    let outputs = [16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320];
    for (i, (kernel, output)) in kernels.into_iter().zip(outputs).enumerate() {
        let name = |part: &str| format!("_blocks.{i}.{part}");
        let wide = if i == 0 { input } else { 6 * input };
        if i > 0 {
            shapes.push((name("_expand_conv.weight"), vec![wide, input, 1, 1]));
            norm(&mut shapes, name("_bn0"), wide);
        }
        shapes.push((name("_depthwise_conv.weight"), vec![wide, 1, kernel, kernel]));
        norm(&mut shapes, name("_bn1"), wide);
        shapes.push((name("_project_conv.weight"), vec![output, wide, 1, 1]));
        norm(&mut shapes, name("_bn2"), output);
        input = output;
    }
    shapes.push(("_conv_head.weight".to_owned(), vec![1280, 320, 1, 1]));
    norm(&mut shapes, "_bn1".into(), 1280);
    with_bias(&mut shapes, "_fc", &[1000, 1280]);
    shapes
}

#[test]
fn efficientnet_lite0_equals_its_package() {
    let shapes = efficientnet_lite0_shapes();
    let trained = shapes.iter().filter(|(name, _)| !name.contains("running"));
    assert_eq!(trained.map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>(), 4_652_008);
    let network = from_tensors("efficientnet_lite0", &made_up(shapes)).unwrap();
    let x = candle_core::Var::from_tensor(&photographs(1, 64)).unwrap();
    let outputs = network.forward_taps(&x, &["features", "logits"]).unwrap();
    let features = [0.0, 0.07629742, 0.0, 0.23312485, 0.0, 0.09948698];
    let logits = [0.12529165, -0.25048777, 0.09169315, -0.25041553, 0.11908827, 0.00533586];
    assert_close(&numbers(&outputs[0])[..6], &features);
    assert_close(&numbers(&outputs[1])[..6], &logits);

    let gradients = outputs[1].narrow(1, 7, 1).unwrap().sum_all().unwrap().backward().unwrap();
    let gradient: Vec<f32> =
        numbers(gradients.get(&x).unwrap()).iter().map(|value| value * 1e4).collect();
    let at = |channel: usize, y: usize, x: usize| gradient[(channel * 64 + y) * 64 + x];
    let middle = [at(0, 20, 30), at(1, 20, 30), at(2, 20, 30)];
    assert_close(&middle, &[-1.0579, -1.0227, -2.3196]);
    let edge = [at(0, 63, 60), at(0, 63, 61), at(0, 63, 62), at(0, 63, 63)];
    assert_close(&edge, &[0.6815, -0.1159, -0.4124, -0.5032]);

    let block = network.forward_to(&photographs(2, 50), "block5").unwrap();
    assert_eq!(block.dims(), [2, 40, 7, 7]);
}

/// From the last block on: a 1×1 convolution, rectified at 0 and 6, a mean over 2 × 2 places and a matrix. Its gradient by
/// hand, plain and guided, with the batch normalisation put into the weight.
#[test]
fn gradients_of_efficientnet_lite0_begin_at_any_tap() {
    let weights = made_up(efficientnet_lite0_shapes());
    let network = from_tensors("efficientnet_lite0", &weights).unwrap();
    let photograph = photographs(1, 64);
    let taps = network.forward_taps(&photograph, &["block16", "head", "logits"]).unwrap();
    let part = |name: &str| numbers(weights.find(name).unwrap());
    let [scale, variance, filter, fc] =
        ["_bn1.weight", "_bn1.running_var", "_conv_head.weight", "_fc.weight"].map(part);
    let head = numbers(&taps[1]);
    for rectifier in [Rectifier::Plain, Rectifier::Guided] {
        let x = candle_core::Var::from_tensor(&taps[0]).unwrap();
        let pass = Pass { from: Some("block16"), rectifier };
        let logits = network.forward_pass(&x, &pass, &["logits"]).unwrap().remove(0);
        assert_eq!(numbers(&logits), numbers(&taps[2]));
        let gradients = logits.narrow(1, 7, 1).unwrap().sum_all().unwrap().backward().unwrap();
        let found = numbers(gradients.get(&x).unwrap());
        for (channel, place) in [(0, 0), (5, 1), (170, 2), (319, 3)] {
            let through = |o: usize| {
                let y = head[o * 4 + place];
                let g = fc[7 * 1280 + o] / 4.0;
                let passes = y > 0.0 && y < 6.0 && (rectifier == Rectifier::Plain || g > 0.0);
                let w = filter[o * 320 + channel] * scale[o] / (variance[o] + 1e-3).sqrt();
                if passes { f64::from(g * w) } else { 0.0 }
            };
            let expected: f64 = (0..1280).map(through).sum();
            let off = (f64::from(found[channel * 4 + place]) - expected).abs();
            assert!(off < 1e-4 * expected.abs().max(1e-3), "{rectifier:?} {channel}: {off}");
        }
    }
    let pass = Pass { from: Some("head"), rectifier: Rectifier::Plain };
    let error = network.forward_pass(&taps[1], &pass, &["block3"]).unwrap_err().to_string();
    assert!(error.starts_with("`block3` does not lie behind `head`"), "{error}");
}
