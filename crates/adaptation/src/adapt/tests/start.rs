//! Where a training begins: with whose weights and statistics.

use super::*;

/// Numbers of weights by name.
fn of_weights(weights: &Weights, name: &str) -> Vec<f32> {
    let tensors = Tensors::from_weights(weights, &Device::Cpu).unwrap();
    tensors.get(name).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn each_domain_goes_on_from_its_own_statistics() {
    let (source, target) = (bars(24, false), bars(32, true));
    let images = [&source, &target];
    let preprocessing = preprocessing();
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
    let trained = |seed: u64| {
        let folder = tempfile::tempdir().unwrap();
        let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(seed);
        let first = how(DANN_BN, Method::Vada(Vada::default()), &preprocessing);
        (adapt(&ctx, &first, &training(1), images).unwrap(), folder)
    };
    let (vada, _kept) = trained(7);
    let [source_weights, weights] = vada.weights.each_ref().map(Some);
    let dirt_t = Method::DirtT(DirtT { refresh: 2, ..DirtT::default() });
    let second = Adaptation { weights, source_weights, ..how(DANN_BN, dirt_t, &preprocessing) };
    let [mean, of_source] = ["features.1.running_mean", "source.features.1.running_mean"];
    let begun = |how: &Adaptation<'_>| {
        let prepared = Prepared::new(&ctx, how, images).unwrap();
        [mean, of_source]
            .map(|name| prepared.variables.get(name).unwrap().to_vec1::<f32>().unwrap())
    };
    let (of_vada, of_target) =
        (of_weights(&vada.weights[0], mean), of_weights(&vada.weights[1], mean));
    assert_ne!(of_vada, of_target);
    assert_eq!(begun(&second), [of_target.clone(), of_vada.clone()]);
    assert_eq!(
        begun(&Adaptation { source_weights: None, shared: None, ..second }),
        [of_target.clone(), of_target]
    );

    // the features have moved on, so the source is measured again
    let refined = adapt(&ctx, &second, &training(2), images).unwrap();
    let after = of_weights(&refined.weights[0], mean);
    assert!(after != of_vada && after != of_weights(&refined.weights[1], mean));

    // statistics of another network say nothing
    let (other, _kept) = trained(8);
    let other = Adaptation { source_weights: Some(&other.weights[0]), shared: None, ..second };
    let error = adapt(&ctx, &other, &training(1), images).err().unwrap().to_string();
    let expected = "input `source_weights`: expected the network of `weights` with the source's batch statistics, found another \
                    `features.0.weight`";
    assert_eq!(error, expected);
}

#[test]
fn weights_are_of_the_same_classes_and_images() {
    let (source, target) = (bars(24, false), bars(32, true));
    let preprocessing = preprocessing();
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(7);
    let first = how(DANN, Method::SourceOnly {}, &preprocessing);
    let adapted = adapt(&ctx, &first, &training(1), [&source, &target]).unwrap();
    let from = |weights: &Weights, per_domain: bool| {
        let weights = Some(weights);
        let how =
            Adaptation { weights, per_domain, ..how(DANN, Method::SourceOnly {}, &preprocessing) };
        match Prepared::new(&ctx, &how, [&source, &target]) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    let [_, weights] = adapted.weights;
    assert_eq!(from(&weights, false), "");
    let mut unnamed = weights.clone();
    unnamed.info.classes.clear();
    assert_eq!(from(&unnamed, false), "");
    let mut turned = weights.clone();
    turned.info.classes.swap(1, 2);
    assert_eq!(
        from(&turned, false),
        "input `weights`: expected weights of the source's classes in its order, found `falling` where it has `flat`"
    );
    // measured on other images, mean and deviation may be others
    let mut other = weights;
    other.info.preprocessing.mean[0] = 0.5;
    assert_eq!(from(&other, true), "");
    let error = from(&other, false);
    assert!(
        error.starts_with("input `weights`: expected weights that were trained with this stage's"),
        "{error}"
    );
    other.info.preprocessing.instance = true;
    assert!(from(&other, true).contains(r#""instance":true"#));
}
