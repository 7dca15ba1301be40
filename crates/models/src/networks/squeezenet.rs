//! SqueezeNet 1.1 (Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50× fewer parameters and < 0.5 MB model
//! size", 2016; version 1.1 of its repository), as in torchvision.

use sconce_ops::pool::Pool2d;

use super::architecture::Trainable;
use super::sequential::{Op, Sequential, Step, step};

/// SqueezeNet 1.1: 1,235,496 parameters, input `(batch, 3, height, width)`.
///
/// Taps: `conv1` (after its ReLU), `pool1`, `fire2`, `fire3`, `pool3`, `fire4`, `fire5`, `pool5`, `fire6` … `fire9`,
/// `conv10` (after its ReLU, 1000 maps), `logits` (its mean over space, `(batch, 1000)`).
pub(crate) const SQUEEZENET1_1: Sequential = Sequential {
    name: "squeezenet1_1",
    input: [3, 224, 224],
    classes: Some(1000),
    trainable: Trainable::FromNothing,
    steps,
    shortened: None,
    beyond: &[],
};

fn steps() -> Vec<Step> {
    let fire =
        |tap, name, input, squeeze, expand| step(tap, Op::Fire { name, input, squeeze, expand });
    let pool = |tap| step(tap, Op::MaxPool(Pool2d::new(3, 2).ceil_mode(true)));
    let conv = |tap, names, input, output, kernel, stride| {
        step(tap, Op::ConvRelu { names, input, output, kernel, stride, padding: 0 })
    };
    vec![
        conv("conv1", &["features.0"], 3, 64, 3, 2),
        pool("pool1"),
        fire("fire2", "features.3", 64, 16, 64),
        fire("fire3", "features.4", 128, 16, 64),
        pool("pool3"),
        fire("fire4", "features.6", 128, 32, 128),
        fire("fire5", "features.7", 256, 32, 128),
        pool("pool5"),
        fire("fire6", "features.9", 256, 48, 192),
        fire("fire7", "features.10", 384, 48, 192),
        fire("fire8", "features.11", 384, 64, 256),
        fire("fire9", "features.12", 512, 64, 256),
        conv("conv10", &["classifier.1"], 512, 1000, 1, 1),
        step("logits", Op::GlobalAvgPool),
    ]
}
