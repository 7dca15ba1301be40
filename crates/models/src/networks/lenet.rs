//! LeNet-5 for digits.

use sconce_ops::pool::Pool2d;

use super::architecture::{Architecture, Op, Step};

/// LeNet-5 (LeCun et al., "Gradient-based learning applied to document recognition", 1998) in today's form, with ReLU
/// and maximum pooling: 61,706 parameters, input `(batch, 1, 28, 28)`, 10 classes.
///
/// Taps: `conv1`, `pool1`, `conv2`, `pool2`, `flat`, `fc1`, `relu1`, `fc2`, `relu2`, `logits`. Initialise with
/// [`initialise`](crate::initialise).
pub fn lenet5() -> Architecture {
    let conv = |tap, names, input, output, padding| Step {
        tap,
        op: Op::ConvRelu { names, input, output, kernel: 5, stride: 1, padding },
    };
    let linear = |tap, names, input, output| Step { tap, op: Op::Linear { names, input, output } };
    let pool = |tap| Step { tap, op: Op::MaxPool(Pool2d::new(2, 2)) };
    let relu = |tap| Step { tap, op: Op::Relu };
    Architecture {
        name: "lenet5",
        steps: vec![
            conv("conv1", &["conv1"], 1, 6, 2),
            pool("pool1"),
            conv("conv2", &["conv2"], 6, 16, 0),
            pool("pool2"),
            Step { tap: "flat", op: Op::AdaptiveAvgPool(5) },
            linear("fc1", &["fc1"], 400, 120),
            relu("relu1"),
            linear("fc2", &["fc2"], 120, 84),
            relu("relu2"),
            linear("logits", &["fc3"], 84, 10),
        ],
    }
}
