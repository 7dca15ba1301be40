//! VGG16 (Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", 2015, their
//! configuration D), as in torchvision.

use sconce_ops::pool::Pool2d;

use super::architecture::Trainable;
use super::sequential::{Op, Sequential, Step, step};

const CONVOLUTIONS: [(&str, &[&str], usize, usize); 13] = [
    ("conv1_1", &["features.0"], 3, 64),
    ("conv1_2", &["features.2"], 64, 64),
    ("conv2_1", &["features.5"], 64, 128),
    ("conv2_2", &["features.7"], 128, 128),
    ("conv3_1", &["features.10"], 128, 256),
    ("conv3_2", &["features.12"], 256, 256),
    ("conv3_3", &["features.14"], 256, 256),
    ("conv4_1", &["features.17"], 256, 512),
    ("conv4_2", &["features.19"], 512, 512),
    ("conv4_3", &["features.21"], 512, 512),
    ("conv5_1", &["features.24"], 512, 512),
    ("conv5_2", &["features.26"], 512, 512),
    ("conv5_3", &["features.28"], 512, 512),
];

/// VGG16: 138,357,544 parameters, input `(batch, 3, height, width)`, in training 224 × 224.
///
/// Taps: `conv1_1` … `conv5_3` (each after its ReLU), `pool1` … `pool5`, `fc6`, `relu6`, `fc7`, `relu7` (4096 each), `logits`
/// (1000) and `relu8`, the logits' positive part. Of the fully connected layers torchvision's names (`classifier.0`) and
/// timm's, which keeps them as convolutions (`pre_logits.fc1`), are known. Weights without them give [`VGG16_FEATURES`].
pub(crate) const VGG16: Sequential = Sequential {
    name: "vgg16",
    input: [3, 224, 224],
    classes: Some(1000),
    trainable: Trainable::FromNothing,
    steps,
    shortened: Some(VGG16_FEATURES.name),
    beyond: &[],
};

/// The convolutions of VGG16 alone: 14,714,688 parameters, taps up to `pool5`.
pub(crate) const VGG16_FEATURES: Sequential = Sequential {
    name: "vgg16_features",
    input: [3, 224, 224],
    classes: None,
    trainable: Trainable::No,
    steps: convolutions,
    shortened: None,
    beyond: &["classifier.", "pre_logits.", "head."],
};

fn steps() -> Vec<Step> {
    let mut steps = convolutions();
    let mut then = |tap, op| steps.push(Step { tap, op, optional: true });
    let linear = |names, input, output| Op::Linear { names, input, output };
    then("avgpool", Op::AdaptiveAvgPool(7));
    then("fc6", linear(&["classifier.0", "pre_logits.fc1"], 512 * 7 * 7, 4096));
    then("relu6", Op::Relu);
    then("fc7", linear(&["classifier.3", "pre_logits.fc2"], 4096, 4096));
    then("relu7", Op::Relu);
    then("logits", linear(&["classifier.6", "head.fc"], 4096, 1000));
    then("relu8", Op::Relu);
    steps
}

fn convolutions() -> Vec<Step> {
    let mut steps = Vec::new();
    let mut pools = ["pool1", "pool2", "pool3", "pool4", "pool5"].into_iter();
    for (i, &(tap, names, input, output)) in CONVOLUTIONS.iter().enumerate() {
        steps.push(step(
            tap,
            Op::ConvRelu { names, input, output, kernel: 3, stride: 1, padding: 1 },
        ));
        let last = CONVOLUTIONS.get(i + 1).is_none_or(|next| next.0[..5] != tap[..5]);
        if let Some(tap) = last.then(|| pools.next()).flatten() {
            steps.push(step(tap, Op::MaxPool(Pool2d::new(2, 2))));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::{Architecture, Group};

    #[test]
    fn has_the_published_numbers_of_parameters() {
        let parameters = VGG16.parameters();
        let count = |group| {
            parameters
                .iter()
                .filter(|p| p.group == group)
                .map(super::super::architecture::Parameter::count)
                .sum::<usize>()
        };
        assert_eq!(count(Group::Convolution), 14_714_688);
        assert_eq!(count(Group::FullyConnected), 123_642_856);
        assert_eq!(
            parameters.iter().map(super::super::architecture::Parameter::count).sum::<usize>(),
            138_357_544
        );
        let taps = VGG16_FEATURES.taps();
        assert_eq!(
            taps.join(" "),
            "conv1_1 conv1_2 pool1 conv2_1 conv2_2 pool2 conv3_1 conv3_2 conv3_3 pool3 \
             conv4_1 conv4_2 conv4_3 pool4 conv5_1 conv5_2 conv5_3 pool5"
        );
    }
}
