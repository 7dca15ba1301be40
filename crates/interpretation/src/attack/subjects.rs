//! The images that are attacked, and how the outcomes are written.

use std::time::Instant;

use sconce_core::{Context, Error, Result};
use sconce_data::{Color, Examples, Image, ImageSet, Metrics, SameClasses, Table};

use super::outcome;
use super::{Attacked, Distance, Goal, Outcome, Target, Verdict, logits_of, rounded};
use crate::Model;

/// An image that is attacked.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Its place in the image set.
    pub(crate) place: usize,
    /// Its name.
    pub(crate) id: String,
    /// Its levels, fitted to the network.
    pub(crate) levels: Vec<f32>,
    /// Channels, height and width.
    pub(crate) shape: [usize; 3],
    /// What it is to be taken for.
    pub(crate) goal: Goal,
    /// What it is taken for.
    pub(crate) before: Verdict,
}

/// Which images are attacked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    /// The split; empty for all images.
    pub(crate) split: &'a str,
    /// Images at most, evenly spread over the split.
    pub(crate) count: Option<usize>,
    /// Whether images that the network does not take for what they are labelled are left out, before they are counted.
    pub(crate) correct: bool,
    /// Which of the network's classes the images' are, where no name tells.
    pub(crate) classes: &'a SameClasses,
    /// What they are to be taken for.
    pub(crate) target: &'a Target,
}

/// The images that `choice` names.
///
/// # Errors
/// When there is no such split, class or label, or an image cannot be read.
pub(crate) fn choose(
    ctx: &Context,
    model: &Model,
    images: &ImageSet,
    choice: Choice<'_>,
) -> Result<Vec<Subject>> {
    let examples = images.examples();
    let mut places = match choice.split {
        "" => (0..images.len()).collect(),
        split => examples.in_split(split)?,
    };
    if choice.correct {
        let truth = model.true_classes(images, &places, choice.classes)?;
        let mut correct = Vec::new();
        for (done, (&place, truth)) in places.iter().zip(truth).enumerate() {
            if done % 64 == 0 {
                ctx.check_cancelled()?;
            }
            let predicted =
                model.predict(&model.inputs(images, &[place])?).map_err(Error::other)?;
            if predicted.first() == Some(&truth) {
                correct.push(place);
            }
        }
        ctx.metric("clean_accuracy", correct.len() as f64 / places.len().max(1) as f64);
        if correct.is_empty() && !places.is_empty() {
            return Err(Error::Input {
                slot: "images".into(),
                message: format!(
                    "no image to attack: the network takes none of the {} for what it is labelled (`correct = true`)",
                    places.len()
                ),
            });
        }
        places = correct;
    }
    if let Some(count) = choice.count.filter(|count| *count < places.len()) {
        places = (0..count).map(|i| places[i * places.len() / count]).collect();
    }
    if places.is_empty() {
        return Err(Error::Input { slot: "images".into(), message: "no image to attack".into() });
    }
    let subject = |(turn, &place): (usize, &usize)| {
        let (levels, shape) = Attacked::levels(model, images, place)?;
        let logits =
            logits_of(&Attacked::new(model, shape, &|| ctx.check_cancelled()), levels.clone())?;
        let id = examples.ids[place].clone();
        let goal = choice.target.goal((turn, &id), &logits, &model.outputs(), ctx.seed())?;
        Ok(Subject { place, id, levels, shape, goal, before: Verdict::of(&logits) })
    };
    places.iter().enumerate().map(subject).collect()
}

/// A changed image on its way to an [`Outcome`].
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    /// The image, in levels.
    pub(crate) levels: Vec<f32>,
    /// Steps of the method.
    pub(crate) iterations: usize,
    /// Images that the network judged.
    pub(crate) evaluations: Option<usize>,
    /// Words on what was changed.
    pub(crate) note: Option<String>,
}

/// What became of `subject`, and the changed image as a file holds it.
///
/// # Errors
/// When the image cannot be written to a file and read again.
pub(crate) fn judge(
    classifier: &Attacked<'_>,
    subject: &Subject,
    label: Option<&str>,
    changed: Changed,
) -> Result<(Outcome, Image)> {
    let image = classifier.image(&changed.levels)?;
    let channels = subject.shape[0];
    let outcome = Outcome {
        id: subject.id.clone(),
        label: label.map(str::to_owned),
        goal: subject.goal,
        before: subject.before,
        after: Verdict::of(&logits_of(classifier, changed.levels.clone())?),
        rounded: Verdict::of(&classifier.logits_of_file(&image)?),
        distance: Distance::between(&changed.levels, &subject.levels, channels),
        rounded_distance: Distance::between(&rounded(&changed.levels), &subject.levels, channels),
        iterations: changed.iterations,
        evaluations: changed.evaluations,
        note: changed.note,
    };
    Ok((outcome, image))
}

/// What the kinds that attack images yield.
pub(crate) struct Report {
    /// The changed images, as 8-bit files hold them.
    pub(crate) fooled: ImageSet,
    /// The same images before, as the network was given them.
    pub(crate) originals: ImageSet,
    /// A row an image.
    pub(crate) results: Table,
    /// Success and means over the images.
    pub(crate) metrics: Metrics,
    /// Seconds in all and for an image.
    pub(crate) timings: Metrics,
}

/// Puts together what became of all `subjects`.
///
/// # Errors
/// When images differ in size, or one cannot be written to a file and read again.
pub(crate) fn report(
    ctx: &Context,
    model: &Model,
    images: &ImageSet,
    subjects: &[Subject],
    judged: &[(Outcome, Image)],
    started: Instant,
) -> Result<Report> {
    let seconds = started.elapsed().as_secs_f64();
    let places: Vec<usize> = subjects.iter().map(|subject| subject.place).collect();
    let examples = images.examples().select(&places);
    let fooled = judged.iter().map(|(_, image)| image);
    let originals = subjects
        .iter()
        .map(|subject| Attacked::new(model, subject.shape, &|| Ok(())).image(&subject.levels))
        .collect::<Result<Vec<_>>>()?;
    let outcomes: Vec<Outcome> = judged.iter().map(|(outcome, _)| outcome.clone()).collect();
    let metrics = outcome::metrics(&outcomes);
    for name in ["success", "rounded_success", "l2"] {
        if let Ok(value) = metrics.get(name) {
            ctx.metric(name, value);
        }
    }
    let mut timings = Metrics::default();
    timings.set("seconds", seconds);
    timings.set("seconds_an_image", seconds / outcomes.len().max(1) as f64);
    Ok(Report {
        fooled: packed(&examples, fooled)?,
        originals: packed(&examples, originals.iter())?,
        results: outcome::table(&outcomes, &|class| model.class_name(class as u32))?,
        metrics,
        timings,
    })
}

fn packed<'a>(examples: &Examples, images: impl Iterator<Item = &'a Image>) -> Result<ImageSet> {
    let mut samples = Vec::new();
    let mut first: Option<(usize, usize, Color)> = None;
    for image in images {
        let shape = (image.width(), image.height(), image.color());
        if *first.get_or_insert(shape) != shape {
            return Err(Error::parameter(
                "size",
                "the images have different sizes and the weights come without one: expected a number of pixels",
            ));
        }
        samples.extend_from_slice(image.samples());
    }
    let (width, height, color) = first.unwrap_or((1, 1, Color::Rgb));
    ImageSet::packed(examples.clone(), color, width, height, samples)
}
