//! Classifiers whose logits and derivatives are written down.

use sconce_core::Result;

use super::{Classifier, Pulled};

/// `logits(x)` and `jacobian(x)` (classes × samples).
pub(super) struct Analytic<F, G> {
    pub(super) shape: [usize; 3],
    pub(super) unit: Vec<f32>,
    pub(super) logits: F,
    pub(super) jacobian: G,
}

impl<F, G> Classifier for Analytic<F, G>
where
    F: Fn(&[f32]) -> Vec<f32> + Sync,
    G: Fn(&[f32]) -> Vec<Vec<f32>> + Sync,
{
    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn input_unit(&self) -> Vec<f32> {
        self.unit.clone()
    }

    fn logits(&self, images: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        Ok(images.iter().map(|x| (self.logits)(x)).collect())
    }

    fn pull_back(
        &self,
        images: &[Vec<f32>],
        weights: &dyn Fn(usize, &[f32]) -> Vec<f32>,
    ) -> Result<Vec<Pulled>> {
        let pull = |(i, x): (usize, &Vec<f32>)| {
            let logits = (self.logits)(x);
            let mut gradient = vec![0.0; x.len()];
            for (weight, row) in weights(i, &logits).iter().zip((self.jacobian)(x)) {
                gradient.iter_mut().zip(row).for_each(|(g, d)| *g += weight * d);
            }
            Pulled { logits, gradient }
        };
        Ok(images.iter().enumerate().map(pull).collect())
    }
}

/// `rows · x + bias` of grey images of one row.
pub(super) fn linear(rows: Vec<Vec<f32>>, bias: Vec<f32>) -> impl Classifier {
    let jacobian = rows.clone();
    Analytic {
        shape: [1, 1, rows[0].len()],
        unit: vec![1.0],
        logits: move |x: &[f32]| {
            let dot = |row: &Vec<f32>| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
            rows.iter().zip(&bias).map(|(row, b)| dot(row) + b).collect()
        },
        jacobian: move |_: &[f32]| jacobian.clone(),
    }
}

/// Two samples; class 1 inside an ellipse around (170, 120), class 0 outside.
pub(super) fn ellipse() -> impl Classifier {
    Analytic {
        shape: [1, 1, 2],
        unit: vec![1.0],
        logits: |x: &[f32]| {
            let (a, b) = ((x[0] - 170.0) / 60.0, (x[1] - 120.0) / 25.0);
            vec![0.0, 3.0 * (1.0 - a * a - b * b)]
        },
        jacobian: |x: &[f32]| {
            let (a, b) = ((x[0] - 170.0) / 60.0, (x[1] - 120.0) / 25.0);
            vec![vec![0.0; 2], vec![-6.0 * a / 60.0, -6.0 * b / 25.0]]
        },
    }
}
