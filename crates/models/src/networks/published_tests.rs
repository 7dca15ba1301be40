//! Loading of published tensor names and shapes, with generated numbers. The names are written out here by the
//! publishers' schemes, and their sums are the published numbers of parameters.

use candle_core::{DType, Device, Tensor};

use crate::{Tensors, architecture, from_tensors};

/// Small, varied numbers.
fn filled(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> =
        (0..count).map(|i| ((i * 7919 % 1013) as f32 / 1013.0 - 0.5) * 0.05).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Tensors and the number of parameters in them.
#[derive(Default)]
pub(crate) struct Generated(pub(crate) Tensors, pub(crate) usize);

impl Generated {
    fn add(&mut self, name: String, shape: &[usize]) {
        self.1 += shape.iter().product::<usize>();
        self.0.insert(name, filled(shape));
    }

    fn affine(&mut self, name: &str, shape: &[usize]) {
        self.add(format!("{name}.weight"), shape);
        self.add(format!("{name}.bias"), &shape[..1]);
    }

    /// Batch normalisation; its statistics are buffers, not parameters.
    fn batch_norm(&mut self, name: &str, width: usize) {
        self.affine(name, &[width]);
        self.0.insert(format!("{name}.running_mean"), filled(&[width]));
        self.0.insert(
            format!("{name}.running_var"),
            Tensor::ones(width, DType::F32, &Device::Cpu).unwrap(),
        );
        self.0.insert(
            format!("{name}.num_batches_tracked"),
            Tensor::zeros((), DType::F32, &Device::Cpu).unwrap(),
        );
    }
}

/// torchvision's ResNet.
pub(crate) fn resnet(blocks: [usize; 4], bottleneck: bool) -> Generated {
    let mut g = Generated::default();
    g.add("conv1.weight".into(), &[64, 3, 7, 7]);
    g.batch_norm("bn1", 64);
    let expansion = if bottleneck { 4 } else { 1 };
    let mut input = 64;
    for (layer, &count) in blocks.iter().enumerate() {
        let width = 64 << layer;
        for block in 0..count {
            let name = format!("layer{}.{block}", layer + 1);
            let output = width * expansion;
            let convs = if bottleneck {
                vec![(width, input, 1), (width, width, 3), (output, width, 1)]
            } else {
                vec![(width, input, 3), (width, width, 3)]
            };
            for (i, (out, inp, k)) in convs.into_iter().enumerate() {
                g.add(format!("{name}.conv{}.weight", i + 1), &[out, inp, k, k]);
                g.batch_norm(&format!("{name}.bn{}", i + 1), out);
            }
            if block == 0 && (layer > 0 || bottleneck) {
                g.add(format!("{name}.downsample.0.weight"), &[output, input, 1, 1]);
                g.batch_norm(&format!("{name}.downsample.1"), output);
            }
            input = output;
        }
    }
    g.affine("fc", &[1000, input]);
    g
}

/// timm's ConvNeXt-T.
pub(crate) fn convnext_tiny() -> Generated {
    let mut g = Generated::default();
    let widths = [96, 192, 384, 768];
    g.affine("stem.0", &[96, 3, 4, 4]);
    g.affine("stem.1", &[96]);
    for (stage, (&width, blocks)) in widths.iter().zip([3, 3, 9, 3]).enumerate() {
        if stage > 0 {
            g.affine(&format!("stages.{stage}.downsample.0"), &[widths[stage - 1]]);
            g.affine(&format!("stages.{stage}.downsample.1"), &[width, widths[stage - 1], 2, 2]);
        }
        for block in 0..blocks {
            let name = format!("stages.{stage}.blocks.{block}");
            g.affine(&format!("{name}.conv_dw"), &[width, 1, 7, 7]);
            g.affine(&format!("{name}.norm"), &[width]);
            g.affine(&format!("{name}.mlp.fc1"), &[4 * width, width]);
            g.affine(&format!("{name}.mlp.fc2"), &[width, 4 * width]);
            g.add(format!("{name}.gamma"), &[width]);
        }
    }
    g.affine("head.norm", &[768]);
    g.affine("head.fc", &[1000, 768]);
    g
}

/// DINOv2's ViT-S/14, without a head and with the token for masked patches.
fn dinov2_vits14() -> Generated {
    let mut g = Generated::default();
    g.add("cls_token".into(), &[1, 1, 384]);
    g.add("pos_embed".into(), &[1, 37 * 37 + 1, 384]);
    g.add("mask_token".into(), &[1, 384]);
    g.affine("patch_embed.proj", &[384, 3, 14, 14]);
    for block in 0..12 {
        let name = format!("blocks.{block}");
        g.affine(&format!("{name}.norm1"), &[384]);
        g.affine(&format!("{name}.attn.qkv"), &[1152, 384]);
        g.affine(&format!("{name}.attn.proj"), &[384, 384]);
        g.add(format!("{name}.ls1.gamma"), &[384]);
        g.affine(&format!("{name}.norm2"), &[384]);
        g.affine(&format!("{name}.mlp.fc1"), &[1536, 384]);
        g.affine(&format!("{name}.mlp.fc2"), &[384, 1536]);
        g.add(format!("{name}.ls2.gamma"), &[384]);
    }
    g.affine("norm", &[384]);
    g
}

#[test]
fn backbones_load_their_published_names_and_shapes() {
    let cases = [
        ("resnet18", resnet([2, 2, 2, 2], false), 11_689_512, 512),
        ("resnet50", resnet([3, 4, 6, 3], true), 25_557_032, 2048),
        ("convnext_tiny", convnext_tiny(), 28_589_128, 768),
        ("dinov2_vits14", dinov2_vits14(), 22_056_576, 768),
    ];
    let x = filled(&[2, 3, 56, 56]);
    for (name, Generated(mut tensors, count), published, width) in cases {
        assert_eq!(count, published, "{name}");
        let network = from_tensors(name, &tensors).unwrap();
        let mut taps = network.taps();
        taps.retain(|tap| ["features", "logits"].contains(tap));
        let outputs = network.forward_taps(&x, &taps).unwrap();
        assert_eq!(outputs[0].dims(), [2, width], "{name}");
        for output in &outputs {
            let sum = output.sum_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(sum.is_finite(), "{name}: {sum}");
        }
        if let Some(logits) = outputs.get(1) {
            assert_eq!(logits.dims(), [2, 1000], "{name}");
        }
        tensors.insert("norm.weight", filled(&[3]));
        tensors.insert("fc.weight", filled(&[1000, 3]));
        tensors.insert("head.fc.weight", filled(&[1000, 3]));
        assert!(from_tensors(name, &tensors).is_err(), "{name} took a last layer of a wrong shape");
    }
}

/// VGG16 with every weight zero but the biases of the fully connected layers, under both publishers' names.
#[test]
fn vgg16_loads_torchvisions_and_timms_names() {
    let publishers = [
        (["classifier.0", "classifier.3", "classifier.6"], false),
        (["pre_logits.fc1", "pre_logits.fc2", "head.fc"], true),
    ];
    for (names, convolutions) in publishers {
        let mut tensors = Tensors::default();
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let mut count = 0;
        for parameter in architecture("vgg16_features").unwrap().parameters() {
            tensors.insert(parameter.name.clone(), zeros(&parameter.shape));
            count += parameter.count();
        }
        for (i, (name, [out, channels, side])) in
            names.iter().zip([[4096, 512, 7], [4096, 4096, 1], [1000, 4096, 1]]).enumerate()
        {
            let shape = if convolutions && i < 2 {
                vec![out, channels, side, side]
            } else {
                vec![out, channels * side * side]
            };
            count += out * channels * side * side + out;
            // Zeros that are never written take no memory.
            tensors.insert(format!("{name}.weight"), zeros(&shape));
            let bias: Vec<f32> = (0..out).map(|k| (i + 1) as f32 + k as f32 - 500.0).collect();
            tensors.insert(format!("{name}.bias"), Tensor::new(bias, &Device::Cpu).unwrap());
        }
        assert_eq!(count, 138_357_544);
        let network = from_tensors("vgg16", &tensors).unwrap();
        let x = filled(&[1, 3, 32, 32]);
        let outputs = network.forward_taps(&x, &["relu6", "logits", "relu8", "pool5"]).unwrap();
        let row = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(row(&outputs[0])[..3], [0.0, 0.0, 0.0]);
        assert_eq!(row(&outputs[0])[500..502], [1.0, 2.0]);
        assert_eq!(row(&outputs[1])[..2], [-497.0, -496.0]);
        assert_eq!(row(&outputs[2])[496..499], [0.0, 0.0, 1.0]);
        assert_eq!(outputs[3].dims(), [1, 512, 1, 1]);
    }
}

/// One grey channel through summed weights gives what three equal channels give, where the mean is shared.
#[test]
fn summed_first_weights_equal_three_equal_channels() {
    let mut tensors = Tensors::default();
    for parameter in architecture("squeezenet1_1").unwrap().parameters() {
        tensors.insert(parameter.name.clone(), filled(&parameter.shape));
    }
    let grey = filled(&[1, 1, 64, 64]);
    let three = Tensor::cat(&[&grey, &grey, &grey], 1).unwrap();
    let expected =
        from_tensors("squeezenet1_1", &tensors).unwrap().forward_to(&three, "fire5").unwrap();
    tensors.sum_input_channels("features.0.weight").unwrap();
    let summed =
        from_tensors("squeezenet1_1", &tensors).unwrap().forward_to(&grey, "fire5").unwrap();
    let largest = |t: &Tensor| {
        t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap()
    };
    let difference = largest(&(&expected - &summed).unwrap());
    assert!(difference <= 1e-4 * largest(&expected), "{difference}");
    assert!(largest(&expected) > 0.0);
}

#[test]
fn wrong_weights_are_said() {
    let mut tensors = Tensors::default();
    let said =
        |tensors: &Tensors, name: &str| from_tensors(name, tensors).err().unwrap().to_string();
    assert_eq!(
        said(&tensors, "squeezenet"),
        "unknown architecture `squeezenet`; known are: squeezenet1_1, vgg16, vgg16_features, lenet5, resnet18, \
         resnet50, convnext_tiny, dinov2_vits14, efficientnet_lite0, dann, dann_bn, dann_wide, vada, dcgan_generator, dcgan_discriminator"
    );
    let full = || {
        let parameters = architecture("squeezenet1_1").unwrap().parameters();
        parameters.into_iter().map(|p| (p.name, filled(&p.shape))).collect::<Tensors>()
    };
    tensors.insert("features.0.weight", filled(&[64, 3, 5, 5]));
    let first = said(&tensors, "squeezenet1_1");
    assert!(
        first.starts_with(
            "the weights are not those of squeezenet1_1: 51 tensors missing: `features.0.bias` [64], "
        ),
        "{first}"
    );
    assert!(
        first.ends_with(
            "and 45 more; 1 tensor of another shape: `features.0.weight` expected [64, 3, 3, 3], found [64, 3, 5, 5]"
        ),
        "{first}"
    );
    // Buffers that no layer reads are no fault, layers that the network does not have are.
    let mut tensors = full();
    tensors.insert("mask", filled(&[3]));
    tensors.insert("criterion.weight", filled(&[1000]));
    from_tensors("squeezenet1_1", &tensors).unwrap();
    tensors.insert("features.13.weight", filled(&[3, 2]));
    assert_eq!(
        said(&tensors, "squeezenet1_1"),
        "the weights are not those of squeezenet1_1: 1 tensor that the network does not have: \
         `features.13.weight` [3, 2]"
    );
    let mut tensors = full();
    let numbers = vec![f32::NAN, 1.0, f32::INFINITY, -2.0];
    let numbers: Vec<f32> = numbers.into_iter().cycle().take(64).collect();
    tensors.insert("features.0.bias", Tensor::from_vec(numbers, 64, &Device::Cpu).unwrap());
    assert_eq!(
        said(&tensors, "squeezenet1_1"),
        "the weights are not those of squeezenet1_1: 1 tensor with numbers that are not finite: \
         `features.0.bias` (of 64 numbers 16 are NaN and 16 are infinite)"
    );
}

/// Of a deeper ResNet all tensors of the shallower are there, and nothing is right.
#[test]
fn other_networks_of_a_family_are_refused() {
    let said =
        |weights: &Tensors, name: &str| from_tensors(name, weights).err().unwrap().to_string();
    let resnet34 = resnet([3, 4, 6, 3], false).0;
    let error = said(&resnet34, "resnet18");
    assert!(
        error.contains("16 tensors that the network does not have: `layer1.2.conv1.weight`"),
        "{error}"
    );
    let error = said(&resnet([2, 2, 2, 2], false).0, "resnet50");
    for part in [
        "tensors missing: `layer1.0.conv3.weight`",
        "tensors of another shape",
        "`layer1.0.conv1.weight` expected [64, 64, 1, 1], found [64, 64, 3, 3]",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let mut registers = dinov2_vits14().0;
    registers.insert("register_tokens", filled(&[1, 4, 384]));
    assert!(said(&registers, "dinov2_vits14").contains("`register_tokens` [1, 4, 384]"));
}
