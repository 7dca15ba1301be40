//! Domain-adversarial network for digits (Ganin et al., "Domain-adversarial training of neural networks", 2016).

use sconce_ops::pool::Pool2d;

use super::architecture::Trainable;
use super::sequential::{Op, Sequential, Step, step};

/// Features of an image.
const FEATURES: usize = 48 * 7 * 7;

/// The features and the label head, a network for the classes of one domain; [`two_domains`](super::two_domains) has the same
/// with a domain head. Input `(batch, 3, 28, 28)`, 10 classes.
///
/// Taps: `conv1`, `pool1`, `conv2`, `pool2`, `features` (2352 numbers), `fc1`, `relu1`, `fc2`, `relu2`, `logits`.
pub(crate) const DANN: Sequential = Sequential {
    name: "dann",
    input: [3, 28, 28],
    classes: Some(10),
    trainable: Trainable::FromNothing,
    steps,
    shortened: None,
    beyond: &["domain."],
};

fn steps() -> Vec<Step> {
    let conv = |tap, names, input, output| {
        step(tap, Op::ConvRelu { names, input, output, kernel: 5, stride: 1, padding: 2 })
    };
    let linear = |tap, names, input, output| step(tap, Op::Linear { names, input, output });
    let pool = |tap| step(tap, Op::MaxPool(Pool2d::new(2, 2)));
    vec![
        conv("conv1", &["features.0"], 3, 32),
        pool("pool1"),
        conv("conv2", &["features.3"], 32, 48),
        pool("pool2"),
        step("features", Op::AdaptiveAvgPool(7)),
        linear("fc1", &["label.0"], FEATURES, 100),
        step("relu1", Op::Relu),
        linear("fc2", &["label.2"], 100, 100),
        step("relu2", Op::Relu),
        linear("logits", &["label.4"], 100, 10),
    ]
}
