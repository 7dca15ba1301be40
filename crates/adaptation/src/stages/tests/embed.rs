//! Places of images in a plane, and what they say.

use super::*;

fn places(ran: &Ran) -> Vec<[f64; 2]> {
    let table: Table = ran.load("embedding");
    let (x, y) = (table.numbers("x").unwrap(), table.numbers("y").unwrap());
    x.into_iter().zip(y).map(|(x, y)| [x, y]).collect()
}

#[test]
fn the_seed_changes_what_the_docs_say() {
    let drawn = json!({ "max_images": 20 });
    let ids = |ran: &Ran| -> Vec<String> {
        let table: Table = ran.load("embedding");
        let ids = table.values("id").unwrap();
        ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    for (more, seed_counts) in [
        (json!({ "init": "pca" }), true),
        (json!({ "init": "random" }), true),
        (json!({ "method": "pca" }), false),
    ] {
        let with = |seed| places(&embedded(seed, more.clone()).unwrap());
        assert_eq!(with(1), with(1), "{more}");
        assert_eq!(with(1) != with(2), seed_counts, "{more}");
    }
    let (a, b) = (embedded(1, drawn.clone()).unwrap(), embedded(2, drawn).unwrap());
    assert_eq!((ids(&a).len(), ids(&b).len()), (40, 40));
    assert_ne!(ids(&a), ids(&b));
}

#[test]
fn neighbours_of_three_clusters_stay_together() {
    let ran = embedded(3, json!({ "steps": 500 })).unwrap();
    let table: Table = ran.load("embedding");
    assert_eq!(table.rows[0][1], "MNIST");
    assert_eq!(table.rows[40][1], "MNIST-M");
    assert_eq!(table.rows[40][2], "cat");
    let places = places(&ran);
    let classes = table.values("class").unwrap();
    let distance =
        |i: usize, j: usize| (places[i][0] - places[j][0]).hypot(places[i][1] - places[j][1]);
    let of_its_class = |&i: &usize| {
        let others = (0..80).filter(|j| *j != i);
        let nearest = others.min_by(|a, b| distance(i, *a).total_cmp(&distance(i, *b))).unwrap();
        classes[nearest] == classes[i]
    };
    assert_eq!((0..80).filter(of_its_class).count(), 80);
    let metrics: Metrics = ran.load("metrics");
    assert!(metrics.get("trustworthiness").unwrap() > 0.9);
    assert!(metrics.get("kl_divergence").unwrap() > 0.0);
    // both domains lie about the same centres
    assert_eq!(metrics.get("class_agreement").unwrap(), 1.0);
    assert!((0.8..1.2).contains(&metrics.get("domain_mixing").unwrap()), "{metrics:?}");
    let error = embedded(0, json!({ "domains": ["one"] })).err().unwrap().to_string();
    assert_eq!(error, "parameter `domains`: expected a name for each of 2 features, found 1");
}

#[test]
fn how_domains_lie_is_told_where_there_are_several_and_their_classes_are_known() {
    let parameters = json!({
        "features": "features", "domains": ["one"], "split": "", "perplexity": 5, "steps": 10,
    });
    let (_a, alone) = saved(&features(0));
    let ran = run::<Embed>(parameters, &[("features", &alone)]).unwrap();
    let metrics: Metrics = ran.load("metrics");
    assert!(metrics.get("domain_mixing").is_err() && metrics.get("class_agreement").is_err());

    let parameters = json!({ "features": "features", "split": "", "perplexity": 5, "steps": 10 });
    let unlabelled = features(1).examples().without_labels();
    let (_b, unlabelled) = saved(&features(1).with_examples(unlabelled).unwrap());
    let inputs = [("features", &alone), ("features", &unlabelled)];
    let metrics: Metrics = run::<Embed>(parameters, &inputs).unwrap().load("metrics");
    assert!(metrics.get("domain_mixing").is_ok() && metrics.get("class_agreement").is_err());
}

#[test]
fn images_that_cannot_be_placed_are_told_before() {
    let said = |more: Value| embedded(0, more).err().unwrap().to_string();
    assert_eq!(
        said(json!({ "max_images": 100_000 })),
        "parameter `max_images`: the distances of all pairs of images are kept: expected at most 10000, so that there are no \
         more than 10000 of all domains, found 100000"
    );
    // two domains at most half as many each
    let two = |max_images: usize| -> Embed {
        serde_json::from_value(json!({ "features": ["a", "b"], "max_images": max_images })).unwrap()
    };
    two(5000).check().unwrap();
    let error = two(5001).check().unwrap_err().to_string();
    assert!(error.contains("expected at most 5000"), "{error}");
    assert_eq!(two(500).resources().memory, sconce_core::Resources::GIB);
    assert!(two(5000).resources().memory > 2 * 8 * 10_000 * 10_000);
    assert_eq!(
        said(json!({ "split": "test" })),
        "parameter `split`: expected a split `test`, but the examples have no splits"
    );
}
