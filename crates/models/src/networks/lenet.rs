//! LeNet-5 for digits.

use sconce_ops::pool::Pool2d;

use super::architecture::Trainable;
use super::sequential::{Op, Sequential, Step, step};

/// LeNet-5 (LeCun et al., "Gradient-based learning applied to document recognition", 1998) in today's form, with ReLU
/// and maximum pooling: 61,706 parameters, input `(batch, 1, 28, 28)`, 10 classes.
///
/// Taps: `conv1`, `pool1`, `conv2`, `pool2`, `flat`, `fc1`, `relu1`, `fc2`, `relu2`, `logits`.
pub(crate) const LENET5: Sequential = Sequential {
    name: "lenet5",
    input: [1, 28, 28],
    classes: Some(10),
    trainable: Trainable::FromNothing,
    steps,
    shortened: None,
    beyond: &[],
};

fn steps() -> Vec<Step> {
    let conv = |tap, names, input, output, padding| {
        step(tap, Op::ConvRelu { names, input, output, kernel: 5, stride: 1, padding })
    };
    let linear = |tap, names, input, output| step(tap, Op::Linear { names, input, output });
    let pool = |tap| step(tap, Op::MaxPool(Pool2d::new(2, 2)));
    vec![
        conv("conv1", &["conv1"], 1, 6, 2),
        pool("pool1"),
        conv("conv2", &["conv2"], 6, 16, 0),
        pool("pool2"),
        step("flat", Op::AdaptiveAvgPool(5)),
        linear("fc1", &["fc1"], 400, 120),
        step("relu1", Op::Relu),
        linear("fc2", &["fc2"], 120, 84),
        step("relu2", Op::Relu),
        linear("logits", &["fc3"], 84, 10),
    ]
}
