//! The networks against PyTorch's numbers, where the mirror and the reference are at hand.

use std::io::Read as _;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor, Var};

use crate::{Network, Tensors, from_tensors};

/// The folder that an environment variable names; prints why the test is skipped when it is not set.
fn folder(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: set {variable} to the folder with the data");
    }
    folder
}

/// The images of `imagenet_val_25.npz` minus `mean`, `(count, 3, 224, 224)`, and their classes.
fn images(mirror: &std::path::Path, mean: [f32; 3], count: usize) -> (Tensor, Vec<u32>) {
    let file = std::fs::File::open(mirror.join("imagenet_val_25.npz")).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut member = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        // npy: magic, version, length of the header, header, samples.
        let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        bytes.split_off(10 + header)
    };
    let samples = member("X.npy");
    assert_eq!(samples.len(), 25 * 224 * 224 * 3);
    let labels = member("y.npy");
    let width = labels.len() / 25;
    let labels =
        labels.chunks(width).map(|l| u32::from_le_bytes(l[..4].try_into().unwrap())).collect();
    let values: Vec<f32> = samples[..count * 224 * 224 * 3]
        .iter()
        .enumerate()
        .map(|(i, &sample)| f32::from(sample) - mean[i % 3])
        .collect();
    let x = Tensor::from_vec(values, (count, 224, 224, 3), &Device::Cpu).unwrap();
    (x.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap(), labels)
}

/// The largest difference, relative to the largest value.
fn difference(ours: &Tensor, reference: &Tensor) -> f64 {
    assert_eq!(ours.dims(), reference.dims());
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (ours, reference) = (flat(ours), flat(reference));
    let scale = reference.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = ours.iter().zip(&reference).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    f64::from(worst) / f64::from(scale)
}

/// The norm of the difference, relative to the reference's. For gradients: they jump where a rectifier or a maximum
/// switches, and of the millions in a network some lie within the rounding error of their switching point.
fn distance(ours: &Tensor, reference: &Tensor) -> f64 {
    assert_eq!(ours.dims(), reference.dims());
    let square = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
    f64::from(square(&(ours - reference).unwrap()) / square(reference)).sqrt()
}

fn read(path: PathBuf) -> Tensors {
    Tensors::from_safetensors(&std::fs::read(path).unwrap(), &Device::Cpu).unwrap()
}

#[test]
fn squeezenet_equals_pytorch_on_25_images() {
    let (Some(mirror), Some(reference)) = (folder("SCONCE_MIRROR"), folder("SCONCE_REFERENCE"))
    else {
        return;
    };
    let network =
        from_tensors("squeezenet1_1", &read(mirror.join("squeezenet1_1.safetensors"))).unwrap();
    let reference = read(reference.join("squeezenet1_1_imagenet25.safetensors"));
    let (x, labels) = images(&mirror, [123., 117., 104.], 25);
    let taps = ["logits", "fire5", "fire7", "fire9"];
    let outputs = network.forward_taps(&x, &taps).unwrap();
    assert!(difference(&outputs[0], reference.find("logits").unwrap()) < 1e-4);
    for (tap, output) in taps.iter().zip(&outputs).skip(1) {
        let gap = output.mean((2, 3)).unwrap();
        assert!(difference(&gap, reference.find(&format!("{tap}_gap")).unwrap()) < 1e-4, "{tap}");
    }
    let logits = outputs[0].to_vec2::<f32>().unwrap();
    let ranks: Vec<usize> = logits
        .iter()
        .zip(&labels)
        .map(|(row, &label)| row.iter().filter(|v| **v > row[label as usize]).count())
        .collect();
    assert_eq!(ranks.iter().filter(|rank| **rank < 1).count(), 13);
    assert_eq!(ranks.iter().filter(|rank| **rank < 5).count(), 20);
    // the gradient of each image's true class; images do not mix, so that one pass serves all
    let x = Var::from_tensor(&x.narrow(0, 0, 5).unwrap()).unwrap();
    let logits = network.forward_to(&x, "logits").unwrap();
    let classes = Tensor::from_slice(&labels[..5], (5, 1), &Device::Cpu).unwrap();
    let scores = logits.gather(&classes, 1).unwrap().sum_all().unwrap();
    let gradient = scores.backward().unwrap().get(&x).unwrap().clone();
    let saliency = gradient.abs().unwrap().max(1).unwrap();
    let wanted = |name: &str| reference.find(name).unwrap();
    for i in 0..5 {
        let wanted = wanted("saliency_true_class").get(i).unwrap();
        let off = distance(&saliency.get(i).unwrap(), &wanted);
        assert!(off < 1e-3, "saliency of image {i}: {off}");
    }
    let off = distance(&gradient.get(0).unwrap(), wanted("input_gradient_true_class_image0"));
    assert!(off < 1e-3, "{off}");
}

#[test]
fn vgg16_features_equal_pytorch_on_5_images() {
    let (Some(mirror), Some(reference)) = (folder("SCONCE_MIRROR"), folder("SCONCE_REFERENCE"))
    else {
        return;
    };
    let network = from_tensors("vgg16", &read(mirror.join("vgg16_features.safetensors"))).unwrap();
    let reference = read(reference.join("vgg16_features_imagenet25.safetensors"));
    let (x, _) = images(&mirror, [123.68, 116.779, 103.939], 5);
    let pool5 = network.forward_to(&x, "pool5").unwrap();
    assert!(difference(&pool5.mean((2, 3)).unwrap(), reference.find("pool5_gap").unwrap()) < 1e-4);
    assert!(difference(&pool5.get(0).unwrap(), reference.find("pool5_image0").unwrap()) < 1e-4);
    let image = Var::from_tensor(&x.narrow(0, 0, 1).unwrap()).unwrap();
    let pool5 = network.forward_to(&image, "pool5").unwrap();
    let gradients = pool5.mean((2, 3)).unwrap().sum_all().unwrap().backward().unwrap();
    let gradient = gradients.get(&image).unwrap().get(0).unwrap();
    let wanted = reference.find("input_gradient_of_summed_pool5_gap_image0").unwrap();
    let off = distance(&gradient, wanted);
    assert!(off < 1e-3, "{off}");
    let error = network.forward_to(&x, "relu6").unwrap_err().to_string();
    assert!(
        error.starts_with("vgg16_features has no tap `relu6`; there are: conv1_1, conv1_2"),
        "{error}"
    );
}

/// Double precision is the judge: rounding switches rectifiers, so that even direct sums are up to .7 % off.
#[test]
fn vgg16_input_gradients_equal_double_precision() {
    let Some(mirror) = folder("SCONCE_MIRROR") else { return };
    let tensors = read(mirror.join("vgg16_features.safetensors"));
    let doubled =
        tensors.iter().map(|(name, t)| (name.to_owned(), t.to_dtype(DType::F64).unwrap()));
    let double = from_tensors("vgg16", &doubled.collect()).unwrap();
    let network = from_tensors("vgg16", &tensors).unwrap();
    let gradient = |network: &dyn Network, x: &Tensor| {
        let x = Var::from_tensor(x).unwrap();
        let y = network.forward_to(&x, "pool5").unwrap();
        let sum = (&y * y.detach()).unwrap().sum_all().unwrap();
        sum.backward().unwrap().remove(&x).unwrap()
    };
    let (x, _) = images(&mirror, [0.485, 0.456, 0.406], 5);
    for i in [0, 4] {
        let x = x.narrow(0, i, 1).unwrap();
        let want = gradient(&*double, &x.to_dtype(DType::F64).unwrap());
        let off = distance(&gradient(&*network, &x), &want.to_dtype(DType::F32).unwrap());
        assert!(off < 1e-3, "image {i}: {off}");
    }
}
