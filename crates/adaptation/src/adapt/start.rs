//! Where a network begins: with drawn parameters, or with those of weights.

use candle_core::Device;
use sconce_core::{Error, Result};
use sconce_data::{Preprocessing, Weights};
use sconce_models::Tensors;
use sconce_models::networks::two_domains::Statistics;
use sconce_models::networks::{Architecture, Fitted, LastLayer, fit};
use sconce_models::variables::{Origin, Variables};

use super::Adaptation;

/// Drawn parameters, or those of weights.
///
/// The domain head goes on too where it is there. The source's statistics begin with those of the source's weights; without
/// such weights with the target's, from where a method that trains on the source moves them.
pub(super) fn variables(
    how: &Adaptation<'_>,
    classes: &[String],
    seed: u64,
    device: &Device,
) -> Result<Variables> {
    let parameters = how.layout.domain_parameters(classes.len(), how.statistics);
    let Some(weights) = how.weights else {
        return Variables::drawn(&parameters, seed, device);
    };
    let begun = fitted(how, ("weights", weights), classes, device)?;
    let of_source = match how.source_weights {
        None => None,
        Some(weights) => {
            let of_source = fitted(how, ("source_weights", weights), classes, device)?;
            check_shared(&begun, &of_source)?;
            Some(of_source)
        }
    };
    let statistics = &of_source.as_ref().unwrap_or(&begun).tensors;
    let mut all = begun.tensors.clone();
    for parameter in &parameters {
        let plain = parameter.name.strip_prefix("source.");
        if let Some(tensor) = plain.and_then(|plain| statistics.find(plain)) {
            all.insert(parameter.name.clone(), tensor.clone());
        }
    }
    let there = |name: &str| all.contains(name);
    let origin = |p: &sconce_models::Parameter| match there(&p.name) {
        true => Origin::Trained,
        false => Origin::Drawn(p.init),
    };
    Variables::of(&parameters, &all, seed, device, origin)
}

/// The tensors of weights of this network and of these classes, with those of the domain head where they are there.
fn fitted(
    how: &Adaptation<'_>,
    (slot, weights): (&str, &Weights),
    classes: &[String],
    device: &Device,
) -> Result<Fitted> {
    let wrong = |message: String| Error::Input { slot: slot.to_owned(), message };
    let (expected, found) = (how.layout.name(), &weights.info.architecture);
    if expected != found {
        return Err(wrong(format!("expected weights of `{expected}`, found `{found}`")));
    }
    check_preprocessing(how, weights).map_err(&wrong)?;
    let tensors = Tensors::from_weights(weights, device)?;
    let mut fitted = fit(&how.layout, &tensors, LastLayer::Kept)?;
    let count = classes.len();
    if fitted.parameters.last().and_then(|p| p.shape.first()) != Some(&count) {
        return Err(wrong(format!("expected weights of {count} classes, as the source has")));
    }
    // Weights without names are taken at their word.
    let differ =
        weights.info.classes.iter().zip(classes).find(|(found, of_source)| found != of_source);
    if let Some((found, of_source)) = differ {
        return Err(wrong(format!(
            "expected weights of the source's classes in its order, found `{found}` where it has `{of_source}`"
        )));
    }
    for parameter in how.layout.domain_parameters(count, Statistics::Together) {
        if let (false, Some(tensor)) =
            (fitted.tensors.contains(&parameter.name), tensors.find(&parameter.name))
        {
            fitted.tensors.insert(parameter.name, tensor.clone());
        }
    }
    Ok(fitted)
}

/// Refuses weights that were trained on images of another preprocessing: they would be wrong in silence. Means and deviations
/// that are measured may be those of other images, and weights need not know how large their images were.
fn check_preprocessing(how: &Adaptation<'_>, weights: &Weights) -> Result<(), String> {
    let (found, wanted) = (&weights.info.preprocessing, how.preprocessing);
    // The same numbers by another scale are the same.
    let parts = |p: &Preprocessing| -> Vec<f32> {
        p.mean.iter().chain(&p.std).map(|value| value / p.scale).collect()
    };
    let (a, b) = (parts(found), parts(wanted));
    let alike = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs().max(1e-3);
    let measures = how.per_domain || (a.len() == b.len() && a.iter().zip(&b).all(alike));
    let fit = found.size.is_none()
        || (found.size, found.fit, found.filter) == (wanted.size, wanted.fit, wanted.filter);
    if measures && fit && found.channels == wanted.channels && found.instance == wanted.instance {
        return Ok(());
    }
    let text = |preprocessing| serde_json::to_string(preprocessing).unwrap_or_default();
    Err(format!(
        "expected weights that were trained with this stage's `preprocessing` and `standardise`, {}; found {}",
        text(wanted),
        text(found)
    ))
}

/// Refuses statistics of another network: they say nothing of what this one computes.
fn check_shared(target: &Fitted, source: &Fitted) -> Result<()> {
    for parameter in target.parameters.iter().filter(|parameter| parameter.trained) {
        let numbers = |of: &Fitted| {
            let tensor = of.tensors.get(&parameter.name)?.flatten_all();
            tensor.and_then(|tensor| tensor.to_vec1::<f32>()).map_err(Error::other)
        };
        if numbers(target)? != numbers(source)? {
            let message = format!(
                "expected the network of `weights` with the source's batch statistics, found another `{}`",
                parameter.name
            );
            return Err(Error::Input { slot: "source_weights".into(), message });
        }
    }
    Ok(())
}
