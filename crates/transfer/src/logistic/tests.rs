use super::*;
use crate::synthetic;

/// Watches nothing.
fn on(_: usize, _: f64, _: f64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn each_step_is_told_and_may_be_the_last() {
    let (x, labels) = synthetic::clusters(60, 5, 3, 4);
    let rows = Rows::new(&x, 5).unwrap();
    let mut told = Vec::new();
    let watch = |step, loss, gradient| {
        told.push((step, loss, gradient));
        if step == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let ended = fit(rows, &labels, 3, Options::default(), watch).unwrap();
    assert_eq!(told.iter().map(|(step, ..)| *step).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(told.windows(2).all(|two| two[1].1 < two[0].1), "{told:?}");
    assert_eq!(told[3], (ended.steps, ended.loss, ended.gradient));
}

#[test]
fn the_gradient_is_that_of_the_objective() {
    let (x, labels) = synthetic::clusters(140, 6, 3, 1);
    let rows = Rows::new(&x, 6).unwrap();
    let problem = Problem::new(rows, &labels, 3, 0.7, &Scaling::new(rows, true));
    let w: Vec<f64> = (0..21).map(|i| f64::from(i % 5) * 0.3 - 0.5).collect();
    let (_, gradient) = problem.evaluate(&w);
    for i in 0..w.len() {
        let at = |step: f64| {
            let mut w = w.clone();
            w[i] += step;
            problem.evaluate(&w).0
        };
        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((gradient[i] - difference).abs() < 1e-8, "{i}: {} {difference}", gradient[i]);
    }
}

#[test]
fn reaches_the_minimum_with_the_same_bits_on_any_number_of_threads() {
    let (x, labels) = synthetic::clusters(300, 10, 4, 2);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let options = Options { tolerance: 1e-9, ..Options::default() };
        pool.install(|| fit(Rows::new(&x, 10).unwrap(), &labels, 4, options, on).unwrap())
    };
    let one = with(1);
    assert!(one.gradient <= 1e-9, "{} after {} steps", one.gradient, one.steps);
    assert_eq!(one.model, with(3).model);
}

/// x = [[0, 1], [1, 2], [2, 0.5], [3, 3], [0.5, 2.5], [2.5, 1]], y = [0, 1, 2, 1, 0, 2]:
/// sklearn.linear_model.LogisticRegression(C=2, tol=1e-10, max_iter=10000).fit(x, y).coef_
#[test]
fn equals_scikit_learn() {
    let x = [0.0, 1.0, 1.0, 2.0, 2.0, 0.5, 3.0, 3.0, 0.5, 2.5, 2.5, 1.0];
    let options = Options { c: 2.0, tolerance: 1e-10, ..Options::default() };
    let fit = fit(Rows::new(&x, 2).unwrap(), &[0, 1, 2, 1, 0, 2], 3, options, on).unwrap();
    for (ours, theirs) in fit
        .model
        .weights()
        .iter()
        .zip([-1.1490707, 0.208246, 0.3355196, 0.8045128, 0.813551, -1.0127588])
    {
        assert!((f64::from(*ours) - theirs).abs() < 1e-5, "{:?}", fit.model.weights());
    }
}

/// Features and labels that any language makes alike.
fn made(n: usize, d: usize, classes: usize) -> (Vec<f32>, Vec<usize>) {
    let x = (0..n * d).map(|i| {
        let x = ((i + 1) as f64).sin() * 1000.0;
        ((x - x.floor() + 0.3 * ((i / d % classes) as f64)) * (1.0 + (i % d) as f64)) as f32
    });
    (x.collect(), (0..n).map(|i| i % classes).collect())
}

/// scikit-learn 1.9.1:
///
/// ```python
/// def made(n, d, k):
///     i = np.arange(n * d); x = np.sin(i + 1.0) * 1000
///     x = (x - np.floor(x) + 0.3 * (i // d % k)) * (1 + i % d)
///     return x.astype(np.float32).astype(np.float64).reshape(n, d), np.arange(n) % k
/// for n, d, k, c, s in [(60, 3, 3, 1.0, 0), (60, 3, 3, 10.0, 1), (60, 3, 2, 0.5, 0), (60, 3, 2, 2.0, 1)]:
///     x, y = made(n, d, k)
///     z = StandardScaler().fit_transform(x) if s else x
///     m = LogisticRegression(C=c, tol=1e-12, max_iter=100000).fit(z, y)
///     print(m.predict_log_proba(z[:4]), log_loss(y, m.predict_proba(z)))
/// ```
#[test]
fn log_probabilities_equal_scikit_learn() {
    type Case = (usize, f64, bool, &'static [f64], f64);
    let cases: [Case; 4] = [
        (
            3,
            1.0,
            false,
            &[
                -0.10780497,
                -2.28590474,
                -7.57075903,
                -0.47660921,
                -1.03116448,
                -3.79320034,
                -2.89773287,
                -0.85009441,
                -0.65878959,
                -0.15523550,
                -1.94889548,
                -6.60381683,
            ],
            0.5290117961,
        ),
        (
            3,
            10.0,
            true,
            &[
                -0.04167405,
                -3.19866282,
                -13.94264914,
                -0.29723894,
                -1.35943434,
                -8.02399848,
                -5.76264779,
                -1.74463115,
                -0.19583509,
                -0.09038254,
                -2.44864542,
                -11.76110306,
            ],
            0.4524522371,
        ),
        (
            2,
            0.5,
            false,
            &[
                -0.06082307,
                -2.83004349,
                -0.79769275,
                -0.59850427,
                -0.09056551,
                -2.44662285,
                -0.67292113,
                -0.71379079,
            ],
            0.4021991895,
        ),
        (
            2,
            2.0,
            true,
            &[
                -0.01339384,
                -4.31964992,
                -0.48207622,
                -0.96102661,
                -0.04741199,
                -3.07249254,
                -0.77494186,
                -0.61753996,
            ],
            0.3641599481,
        ),
    ];
    for (classes, c, standardize, expected, loss) in cases {
        let (x, labels) = made(60, 3, classes);
        let rows = Rows::new(&x, 3).unwrap();
        let options = Options { c, standardize, tolerance: 1e-9, ..Options::default() };
        let fit = fit(rows, &labels, classes, options, on).unwrap();
        assert!(fit.gradient <= 1e-9, "{fit:?}");
        let decision = fit.model.decision(rows).unwrap();
        let mut found = Vec::new();
        let mut sum = 0.0;
        for (scores, &label) in decision.chunks_exact(classes).zip(&labels) {
            let all = scores.iter().map(|s| s.exp()).sum::<f64>().ln();
            found.extend(scores.iter().map(|s| s - all));
            sum += all - scores[label];
        }
        assert!((sum / 60.0 - loss).abs() < 1e-6, "{} {loss}", sum / 60.0);
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-5 * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
    }
}

#[test]
fn a_class_without_rows_is_refused() {
    let x = [0f32, 1.0, 2.0, 3.0];
    let fit = fit(Rows::new(&x, 2).unwrap(), &[0, 1], 3, Options::default(), on);
    assert_eq!(fit.unwrap_err().to_string(), "class 2 has no row to train on");
}
