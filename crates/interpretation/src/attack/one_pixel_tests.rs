use rand::RngExt;
use sconce_core::random::generator;

use super::analytic::Analytic;
use super::evolution::Costs;
use super::*;

fn minimise(bounds: &[(f64, f64)], generations: usize, cost: impl Fn(&[f64]) -> f64) -> Evolved {
    let mut rng = generator(7, "evolution");
    let population = (0..40)
        .map(|_| bounds.iter().map(|(a, b)| a + rng.random::<f64>() * (b - a)).collect())
        .collect();
    let evolution = Evolution { generations, weight: 0.5, crossover: 0.9 };
    let costs = |candidates: &[Vec<f64>]| {
        for (x, (low, high)) in candidates.iter().flat_map(|x| x.iter().zip(bounds)) {
            assert!((low..=high).contains(&x), "{x} is outside of {low}–{high}");
        }
        Ok(Costs { costs: candidates.iter().map(|x| cost(x)).collect(), enough: None })
    };
    evolution.minimise(bounds, population, &mut rng, costs).unwrap()
}

#[test]
fn evolution_finds_known_minima() {
    let sphere = minimise(&[(-5.0, 5.0); 4], 200, |x| {
        x.iter().enumerate().map(|(i, x)| (x - i as f64).powi(2)).sum()
    });
    assert!(sphere.cost < 1e-8 && (sphere.best[3] - 3.0).abs() < 1e-4, "{sphere:?}");
    assert_eq!((sphere.generations, sphere.evaluations), (200, 201 * 40));
    let rosenbrock = minimise(&[(-2.0, 2.0); 2], 200, |x| {
        100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2)
    });
    assert!(rosenbrock.cost < 1e-8 && (rosenbrock.best[0] - 1.0).abs() < 1e-3, "{rosenbrock:?}");
    // Many local minima; 0 at 0.
    let rastrigin = minimise(&[(-5.12, 5.12); 2], 200, |x| {
        let term = |x: &f64| x * x - 10.0 * (std::f64::consts::TAU * x).cos() + 10.0;
        x.iter().map(term).sum()
    });
    assert!(rastrigin.cost < 1e-6, "{rastrigin:?}");
    // At the edge of the bounds.
    let edge = minimise(&[(0.0, 1.0); 3], 200, |x| -x.iter().sum::<f64>());
    assert!(edge.cost < -2.98, "{edge:?}");
}

#[test]
fn evolution_never_gets_worse_and_ends_when_it_has_enough() {
    let costs: Vec<f64> = [0, 1, 5, 20]
        .map(|generations| {
            minimise(&[(-5.0, 5.0); 3], generations, |x| x.iter().map(|x| x * x).sum()).cost
        })
        .to_vec();
    assert!(costs.windows(2).all(|pair| pair[1] <= pair[0]) && costs[3] < costs[0], "{costs:?}");

    let mut rng = generator(7, "enough");
    let evolution = Evolution { generations: 50, weight: 0.5, crossover: 1.0 };
    let population: Vec<Vec<f64>> = (0..8).map(|i| vec![f64::from(i)]).collect();
    let mut calls = 0;
    let evolved = evolution.minimise(&[(0.0, 7.0)], population.clone(), &mut rng, |candidates| {
        calls += 1;
        Ok(Costs { costs: vec![1.0; candidates.len()], enough: (calls == 3).then_some(5) })
    });
    let evolved = evolved.unwrap();
    assert_eq!((evolved.generations, evolved.evaluations), (2, 24));
    let few =
        evolution.minimise(&[(0.0, 7.0)], population[..3].to_vec(), &mut rng, |_| unreachable!());
    assert!(few.unwrap_err().to_string().contains("4 or more"));
}

/// 2 × 4 × 5 samples; class 1 needs the pixel (2, 3) dark in channel 0 and bright in channel 1, and the more so the
/// better; other pixels do nothing.
fn one_place() -> impl Classifier {
    let score = |x: &[f32]| {
        let at = 2 * 5 + 3;
        (255.0 - x[at] + x[20 + at]) / 51.0 - 7.0
    };
    Analytic {
        shape: [2, 4, 5],
        unit: vec![1.0; 2],
        logits: move |x: &[f32]| vec![0.0, score(x)],
        jacobian: |_: &[f32]| unreachable!(),
    }
}

fn attack(pixels: usize, generations: usize) -> OnePixel {
    let evolution = Evolution { generations, weight: 0.5, crossover: 1.0 };
    OnePixel { pixels, population: 50, evolution }
}

#[test]
fn one_pixel_finds_the_place_and_the_colour() {
    let image: Vec<f32> = (0..40).map(|i| 100.0 + i as f32).collect();
    for (goal, pixels) in [(Goal::Leave(0), 1), (Goal::Reach(1), 1), (Goal::Reach(1), 3)] {
        let mut rng = generator(8, "one pixel");
        let found = attack(pixels, 100).run(&one_place(), &image, goal, &mut rng).unwrap();
        assert!(goal.is_met(&logits_of(&one_place(), found.image.clone()).unwrap(), 0.0));
        let distance = Distance::between(&found.image, &image, 2);
        assert!(distance.l0 <= pixels && distance.l0 > 0);
        assert_eq!(found.changes.len(), pixels);
        let hit =
            found.changes.iter().rfind(|change| (change.row, change.column) == (2, 3)).unwrap();
        assert_eq!(found.image[13], f32::from(hit.levels[0]));
        assert_eq!(found.image[33], f32::from(hit.levels[1]));
        assert_eq!(rounded(&found.image), found.image, "a file holds it");
        assert_eq!(found.evaluations, 50 * (found.generations + 1));
    }
}

#[test]
fn one_pixel_gives_up_when_its_generations_are_used_up() {
    let classifier = Analytic {
        shape: [1, 3, 3],
        unit: vec![1.0],
        logits: |x: &[f32]| vec![1.0, x.iter().sum::<f32>() * 1e-5],
        jacobian: |_: &[f32]| unreachable!(),
    };
    let mut rng = generator(9, "none");
    let found = attack(1, 20).run(&classifier, &[10.0; 9], Goal::Leave(0), &mut rng).unwrap();
    assert_eq!((found.generations, found.evaluations), (20, 50 * 21));
    // The best that can be done: white.
    assert!(found.changes[0].levels[0] > 250, "{found:?}");
    let wrong = attack(0, 5).run(&classifier, &[10.0; 9], Goal::Leave(0), &mut rng);
    assert!(wrong.is_err());
}
