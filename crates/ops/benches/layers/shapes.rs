//! Layers of the studies' networks, by name.

/// One convolution.
#[derive(Clone, Copy)]
pub(crate) struct Layer {
    /// Network and layer; `@n` is the batch.
    pub(crate) name: &'static str,
    /// Batch, channels, height, width.
    pub(crate) input: [usize; 4],
    /// Outputs, kernel, stride, padding.
    pub(crate) filter: [usize; 4],
    /// Transposed: `outputs` are those of the transposed convolution.
    pub(crate) transposed: bool,
}

const fn conv(name: &'static str, input: [usize; 4], filter: [usize; 4]) -> Layer {
    Layer { name, input, filter, transposed: false }
}

const fn transposed(name: &'static str, input: [usize; 4], filter: [usize; 4]) -> Layer {
    Layer { name, input, filter, transposed: true }
}

/// All of them.
pub(crate) const LAYERS: &[Layer] = &[
    conv("vgg16.conv1_1@1", [1, 3, 224, 224], [64, 3, 1, 1]),
    conv("vgg16.conv1_2@1", [1, 64, 224, 224], [64, 3, 1, 1]),
    conv("vgg16.conv2_1@1", [1, 64, 112, 112], [128, 3, 1, 1]),
    conv("vgg16.conv2_2@1", [1, 128, 112, 112], [128, 3, 1, 1]),
    conv("vgg16.conv3_2@1", [1, 256, 56, 56], [256, 3, 1, 1]),
    conv("vgg16.conv4_1@1", [1, 256, 28, 28], [512, 3, 1, 1]),
    conv("vgg16.conv4_2@1", [1, 512, 28, 28], [512, 3, 1, 1]),
    conv("vgg16.conv5_1@1", [1, 512, 14, 14], [512, 3, 1, 1]),
    conv("squeezenet.conv1@1", [1, 3, 224, 224], [64, 3, 2, 0]),
    conv("squeezenet.fire2.squeeze@1", [1, 64, 55, 55], [16, 1, 1, 0]),
    conv("squeezenet.fire2.expand1@1", [1, 16, 55, 55], [64, 1, 1, 0]),
    conv("squeezenet.fire2.expand3@1", [1, 16, 55, 55], [64, 3, 1, 1]),
    conv("squeezenet.fire4.expand3@1", [1, 32, 27, 27], [128, 3, 1, 1]),
    conv("squeezenet.fire8.expand3@1", [1, 64, 13, 13], [256, 3, 1, 1]),
    conv("squeezenet.fire9.squeeze@1", [1, 512, 13, 13], [64, 1, 1, 0]),
    conv("squeezenet.classifier@1", [1, 512, 13, 13], [1000, 1, 1, 0]),
    conv("dann.conv1@128", [128, 3, 28, 28], [32, 5, 1, 2]),
    conv("dann.conv2@128", [128, 32, 14, 14], [48, 5, 1, 2]),
    conv("vada.conv1_2@64", [64, 64, 28, 28], [64, 3, 1, 1]),
    conv("vada.conv2_2@64", [64, 64, 14, 14], [64, 3, 1, 1]),
    conv("vada.conv3_2@64", [64, 64, 7, 7], [64, 3, 1, 1]),
    conv("dcgan.disc.conv2@128", [128, 32, 16, 16], [64, 4, 2, 1]),
    conv("dcgan.disc.conv3@128", [128, 64, 8, 8], [128, 4, 2, 1]),
    transposed("dcgan.gen.convt1@128", [128, 100, 1, 1], [128, 4, 1, 0]),
    transposed("dcgan.gen.convt2@128", [128, 128, 4, 4], [64, 4, 2, 1]),
    transposed("dcgan.gen.convt3@128", [128, 64, 8, 8], [32, 4, 2, 1]),
    transposed("dcgan.gen.convt4@128", [128, 32, 16, 16], [1, 4, 2, 1]),
];

impl Layer {
    /// Shape of the weight, as PyTorch's.
    pub(crate) fn weight(&self) -> [usize; 4] {
        let ([_, c, ..], [m, k, ..]) = (self.input, self.filter);
        if self.transposed { [c, m, k, k] } else { [m, c, k, k] }
    }

    /// Height of the result.
    pub(crate) fn output(&self) -> usize {
        let ([_, _, h, _], [_, k, s, p]) = (self.input, self.filter);
        if self.transposed { (h - 1) * s + k - 2 * p } else { (h + 2 * p - k) / s + 1 }
    }

    /// Multiplications and additions of the definition; each gradient takes as many.
    pub(crate) fn flops(&self) -> f64 {
        let ([n, c, h, _], [m, k, ..]) = (self.input, self.filter);
        let places = if self.transposed { h } else { self.output() };
        2.0 * (n * c * m * k * k * places * places) as f64
    }
}
