use candle_core::{D, Device, Tensor};
use sconce_core::{Error, Result};
use sconce_ops::device::{in_f64, number};
use sconce_ops::loss::{cross_entropy, cross_entropy_each};
use sconce_ops::sum::mean_all;
use sconce_ops::tape;

use super::{Augmentation, Batch, Reading, Task, Unread, Values, View};
use crate::Tensors;
use crate::images::Images;
use crate::optim::{Method, Optimiser};
use crate::variables::Variables;

/// The task of telling classes apart by cross-entropy.
pub struct Classifier<'a, F> {
    /// From images `(batch, channels, height, width)` to logits `(batch, classes)`.
    forward: F,
    variables: &'a Variables,
    optimiser: Optimiser,
    learning_rate: f64,
    images: &'a Images,
    validation: Option<&'a Images>,
    augmentation: Augmentation,
    smoothing: f64,
    mirror: bool,
    unread: Unread,
}

/// Images looked at together outside training; with variables as weights it may change the last bits of logits.
const BATCH: usize = 64;

impl<'a, F: FnMut(&Tensor) -> candle_core::Result<Tensor>> Classifier<'a, F> {
    /// Trains the trained ones among `variables`, which `forward` uses. With images to validate on, the history has
    /// `validation_loss` and `validation_accuracy`.
    ///
    /// # Errors
    /// When the method's numbers cannot be used or images have no classes.
    pub fn new(
        forward: F,
        variables: &'a Variables,
        method: Method,
        learning_rate: f64,
        images: &'a Images,
        validation: Option<&'a Images>,
    ) -> Result<Self> {
        for images in [Some(images), validation].into_iter().flatten() {
            if images.labels().len() != images.len() {
                return Err(Error::message("expected images with classes to train on"));
            }
        }
        let optimiser = Optimiser::new(method, variables)?;
        Ok(Self {
            forward,
            variables,
            optimiser,
            learning_rate,
            images,
            validation,
            augmentation: Augmentation::default(),
            smoothing: 0.0,
            mirror: false,
            unread: Unread::default(),
        })
    }

    /// How images are changed in training, drawn anew each time.
    pub fn augment(self, augmentation: Augmentation) -> Self {
        Self { augmentation, ..self }
    }

    /// The part of each label that is spread over all classes (Szegedy et al., "Rethinking the Inception architecture
    /// for computer vision", 2016, section 7). Only the training's loss is of such labels.
    pub fn smooth_labels(self, smoothing: f64) -> Self {
        Self { smoothing, ..self }
    }

    /// Whether logits are the mean of an image's and its mirror image's, outside training.
    pub fn mirror(self, mirror: bool) -> Self {
        Self { mirror, ..self }
    }

    /// The optimiser, to set its rates.
    pub fn optimiser(&mut self) -> &mut Optimiser {
        &mut self.optimiser
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<(Tensor, Tensor, Tensor)> {
        let device = self.variables.device();
        let [_, height, width] = self.images.shape();
        let (mut flips, mut crops) = (batch.rng("flip"), batch.rng("crop"));
        let views =
            self.augmentation.draw(batch.rows.len(), [width, height], &mut flips, &mut crops);
        let x = self.images.batch(batch.rows, device, |i| views[i])?;
        let classes = self.images.classes(batch.rows, device)?;
        let mut update = || -> candle_core::Result<_> {
            let (gradients, both) = tape::gradients(|| {
                let logits = (self.forward)(&x)?;
                let loss = smoothed_cross_entropy(&logits, &classes, self.smoothing)?;
                let both = (logits.detach(), loss.detach());
                Ok((loss, both))
            })?;
            self.optimiser.step(&gradients, self.learning_rate * batch.factor)?;
            Ok(both)
        };
        let (logits, loss) = update().map_err(Error::other)?;
        Ok((logits, loss, classes))
    }

    /// Logits of images, one list an image, without changing anything.
    ///
    /// # Errors
    /// When the network fails.
    pub fn logits(&mut self, images: &Images) -> Result<Vec<Vec<f32>>> {
        let rows: Vec<usize> = (0..images.len()).collect();
        let mut all = Vec::with_capacity(rows.len());
        for rows in rows.chunks(BATCH) {
            let mut logits = self.logits_of(images, rows, View::default())?;
            if self.mirror {
                let mirrored = self.logits_of(images, rows, View::whole(true))?;
                for (a, b) in logits.iter_mut().flatten().zip(mirrored.iter().flatten()) {
                    *a = (*a + b) / 2.0;
                }
            }
            all.extend(logits);
        }
        Ok(all)
    }

    fn logits_of(&mut self, images: &Images, rows: &[usize], view: View) -> Result<Vec<Vec<f32>>> {
        let x = images.batch(rows, self.variables.device(), |_| view)?;
        let logits = (self.forward)(&x).and_then(|logits| logits.detach().to_vec2::<f32>());
        logits.map_err(Error::other)
    }

    /// Mean loss and accuracy on images, without changing anything.
    ///
    /// # Errors
    /// When the network fails or an image has no class.
    pub fn evaluate(&mut self, images: &Images) -> Result<(f64, f64)> {
        let logits = self.logits(images)?;
        let count = images.len().max(1) as f64;
        let numbers = || -> candle_core::Result<(f64, f64)> {
            let logits = Tensor::new(logits, &Device::Cpu)?;
            let classes = Tensor::from_slice(images.labels(), images.len(), &Device::Cpu)?;
            Ok((sum(&cross_entropy_each(&logits, &classes)?)?, hits(&logits, &classes)?))
        };
        let (loss, right) = numbers().map_err(Error::other)?;
        Ok((loss / count, right / count))
    }
}

/// The mean cross-entropy with labels of which the part `smoothing` is spread over all classes:
/// `ln Σ exp(x) − (1 − smoothing) · x[class] − smoothing · mean(x)`, PyTorch's `cross_entropy(label_smoothing=…)`.
fn smoothed_cross_entropy(
    logits: &Tensor,
    classes: &Tensor,
    smoothing: f64,
) -> candle_core::Result<Tensor> {
    let plain = cross_entropy(logits, classes)?;
    if smoothing == 0.0 {
        return Ok(plain);
    }
    let of_class = mean_all(&logits.gather(&classes.unsqueeze(1)?, 1)?)?;
    plain + ((of_class - mean_all(logits)?)? * smoothing)?
}

fn sum(x: &Tensor) -> candle_core::Result<f64> {
    in_f64(x)?.sum_all()?.to_scalar()
}

/// Rows whose largest logit is the class's.
fn hits(logits: &Tensor, classes: &Tensor) -> candle_core::Result<f64> {
    sum(&logits.argmax(D::Minus1)?.eq(classes)?)
}

impl<F: FnMut(&Tensor) -> candle_core::Result<Tensor>> Task for Classifier<'_, F> {
    fn step(&mut self, batch: &Batch<'_>) -> Result<()> {
        let (logits, loss, classes) = self.update(batch)?;
        let examples = batch.rows.len().max(1) as f64;
        self.unread.push(Reading::new(move || {
            let right = hits(&logits, &classes)?;
            Ok(vec![("loss", number(&loss)?), ("accuracy", right / examples)])
        }));
        Ok(())
    }

    fn numbers(&mut self) -> Result<Vec<Values>> {
        self.unread.read()
    }

    fn waits(&self) -> bool {
        !self.variables.device().is_cpu()
    }

    fn validate(&mut self, _: usize) -> Result<Values> {
        let Some(images) = self.validation else { return Ok(Values::new()) };
        let (loss, accuracy) = self.evaluate(images)?;
        Ok(vec![("validation_loss", loss), ("validation_accuracy", accuracy)])
    }

    fn snapshot(&self) -> Result<Tensors> {
        let mut all = Tensors::default();
        self.variables.save("model.", &mut all)?;
        self.optimiser.save("optimiser.", &mut all)?;
        Ok(all)
    }

    fn restore(&mut self, snapshot: &Tensors) -> Result<()> {
        self.variables.restore("model.", snapshot)?;
        self.optimiser.restore("optimiser.", snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::squares;
    use crate::optim::Sgd;

    #[test]
    fn mirrored_logits_are_means_of_both_views() {
        let (images, variables) = (squares(), Variables::new(0, &Device::Cpu));
        // the first column of the upper row, and the last
        let forward = |x: &Tensor| {
            let upper = x.narrow(2, 0, 1)?.flatten_from(1)?;
            Tensor::cat(&[upper.narrow(1, 0, 1)?, upper.narrow(1, 3, 1)?], 1)
        };
        let method = Method::Sgd(Sgd::default());
        let task = Classifier::new(forward, &variables, method, 0.1, &images, None).unwrap();
        let logits = task.mirror(true).logits(&images).unwrap();
        assert_eq!(logits, [[4.5, 4.5], [92.5, 92.5]]);
    }

    #[test]
    fn smoothed_labels_are_pytorchs() {
        // F.cross_entropy(x, c, label_smoothing=.1): lse(x) - .9 x[c] - .1 mean(x), by hand
        let x =
            candle_core::Var::new(&[[1.0f64, 2.0, 4.0], [0.0, -1.0, 0.5]], &Device::Cpu).unwrap();
        let classes = Tensor::new(&[2u32, 0], &Device::Cpu).unwrap();
        let loss = smoothed_cross_entropy(&x, &classes, 0.1).unwrap();
        let row = |x: [f64; 3], class: usize| {
            let lse = x.iter().map(|v| v.exp()).sum::<f64>().ln();
            lse - 0.9 * x[class] - 0.1 * x.iter().sum::<f64>() / 3.0
        };
        let expected = (row([1.0, 2.0, 4.0], 2) + row([0.0, -1.0, 0.5], 0)) / 2.0;
        assert!((loss.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12);
        let gradient = loss.backward().unwrap().get(&x).unwrap().to_vec2::<f64>().unwrap();
        let sum: f64 = [1.0f64, 2.0, 4.0].iter().map(|v| v.exp()).sum();
        // (softmax - .9 [class] - .1 / 3) / rows
        let expected = (4f64.exp() / sum - 0.9 - 0.1 / 3.0) / 2.0;
        assert!((gradient[0][2] - expected).abs() < 1e-12, "{gradient:?}");
    }
}
