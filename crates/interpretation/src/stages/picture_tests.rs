//! The kinds that make pictures of a class, run as the engine runs them.

use sconce_core::{Context, Coordinates, Kind, Stage as _, Yields};
use sconce_data::{ImageSet, Metrics, Table};
use serde_json::{Value, json};

use super::{ClassVerdicts, VisualiseClass, VisualiseClassFourier};
use crate::testing::{Ran, images, pin, run, saved, squeezenet};

fn pixels(more: &Value) -> sconce_core::Result<Ran> {
    let (_w, weights) = saved(&squeezenet(64));
    let (_i, images) = saved(&images());
    let mut parameters =
        json!({ "weights": "weights", "class": "tarantula", "steps": 3, "show_every": 2 });
    if let (Some(parameters), Some(more)) = (parameters.as_object_mut(), more.as_object()) {
        parameters.extend(more.clone());
    }
    run::<VisualiseClass>(parameters, &[("weights", &weights), ("start", &images)])
}

fn fourier() -> Ran {
    let (_w, weights) = saved(&squeezenet(64));
    let parameters = json!({ "weights": "weights", "class": "76", "steps": 2 });
    run::<VisualiseClassFourier>(parameters, &[("weights", &weights)]).unwrap()
}

fn verdicts(pictures: &Ran) -> Ran {
    let (_w, weights) = saved(&squeezenet(64));
    let pictures = pictures.files("picture");
    run::<ClassVerdicts>(
        json!({ "images": "images", "weights": "weights", "transforms": 2 }),
        &[("images", &pictures), ("weights", &weights)],
    )
    .unwrap()
}

/// What the versions of the kinds give.
pub(super) fn pins() -> Vec<(Kind, String)> {
    let (plain, fourier) = (pixels(&json!({})).unwrap(), fourier());
    let verdicts = verdicts(&plain);
    vec![
        (Kind::of::<VisualiseClass>(), pin(plain.load::<Table>("history"))),
        (Kind::of::<VisualiseClassFourier>(), pin(fourier.load::<Table>("history"))),
        (Kind::of::<ClassVerdicts>(), pin(verdicts.load::<Metrics>("metrics"))),
    ]
}

#[test]
fn a_picture_its_frames_and_its_history() {
    let ran = pixels(&json!({})).unwrap();
    let picture: ImageSet = ran.load("picture");
    assert_eq!(picture.examples().ids, ["tarantula.png"]);
    assert_eq!(picture.examples().class_of(0), Some("tarantula"));
    let image = picture.decode(0).unwrap();
    assert_eq!((image.width(), image.height()), (64, 64));
    let frames: ImageSet = ran.load("frames");
    assert_eq!(frames.examples().ids, ["00000.png", "00002.png", "00003.png"]);
    assert_eq!(frames.decode(2).unwrap(), image);
    assert_ne!(frames.decode(1).unwrap(), image);
    let history: Table = ran.load("history");
    assert_eq!(history.numbers("iteration").unwrap(), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(history.values("image").unwrap()[2], &json!("00002.png"));
    assert!(history.values("image").unwrap()[1].is_null());
    let logits = history.numbers("logit").unwrap();
    assert!(logits[3] > logits[0], "{logits:?}");
    let metrics: Metrics = ran.load("metrics");
    assert!(metrics.get("probability").unwrap() <= 1.0);

    let ran = pixels(&json!({ "show_every": 0 })).unwrap();
    let alone: ImageSet = ran.load("frames");
    assert_eq!(alone.examples().ids, ["00003.png"]);
    assert_eq!(alone.decode(0).unwrap(), image, "frames change nothing");
}

#[test]
fn starts_from_a_photograph() {
    let from = |start: Value| {
        pixels(&json!({ "start": "start", "start_image": start, "steps": 0, "blur_every": 0 }))
    };
    let first = |ran: Ran| ran.load::<ImageSet>("picture").decode(0).unwrap();
    let by_default = first(from(json!(null)).unwrap());
    assert_eq!(first(from(json!("cat")).unwrap()), by_default);
    assert_eq!(first(from(json!("egyptian cat")).unwrap()), by_default);
    assert_ne!(first(from(json!("mirrored")).unwrap()), by_default);
    let said = |more: Value| pixels(&more).err().unwrap().to_string();
    assert_eq!(
        said(json!({ "start": "start", "start_image": "dog" })),
        "parameter `start_image`: no photograph is or shows `dog`; there are: cat, mirrored, pattern"
    );
    assert_eq!(
        said(json!({ "start_image": "cat" })),
        "parameter `start_image`: expected `start` beside it: the photographs"
    );
    assert_eq!(
        said(json!({ "learning_rate": 0 })),
        "parameter `learning_rate`: expected more than 0, found 0"
    );
    assert_eq!(said(json!({ "size": 8 })), "parameter `size`: expected 32 pixels or more, found 8");
    assert!(
        said(json!({ "class": "tarantul" })).starts_with("parameter `class`: expected the name")
    );
    assert!(said(json!({ "blurr": 1 })).contains("unknown field `blurr`"));
}

/// The columns say from which cell a picture is, so that a figure finds its row.
#[test]
fn verdicts_tell_where_pictures_are_from() {
    let (_w, weights) = saved(&squeezenet(64));
    let folder = tempfile::tempdir().unwrap();
    let ran = pixels(&json!({})).unwrap();
    let pictures = ran.files("picture");
    let at = |rate: f64| -> Coordinates {
        [("learning_rate".to_owned(), json!(rate))].into_iter().collect()
    };
    let ctx = Context::in_folder(folder.path(), ClassVerdicts::OUTPUTS).unwrap();
    let ctx = ctx
        .with_gathered("images", "pixels", at(5.0), pictures.clone())
        .with_gathered("images", "fourier", at(0.5), pictures)
        .with_input("weights", weights);
    let stage: ClassVerdicts =
        serde_json::from_value(json!({ "images": "images", "weights": "weights" })).unwrap();
    stage.run(&ctx).unwrap();
    let files = sconce_core::Files::from_folder(&ctx.folder(ClassVerdicts::VERDICTS)).unwrap();
    let table = <Table as sconce_core::Artifact>::load(&files).unwrap();
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let expected = [
        "stage",
        "learning_rate",
        "image",
        "target",
        "probability",
        "rank",
        "recognised",
        "prediction",
        "confidence",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        table.rows[1][..4],
        [json!("fourier"), json!("0.5"), json!("tarantula.png"), json!("tarantula")]
    );
    assert!(!stage.seeded());

    let unlabelled = sconce_data::Examples { ids: vec!["a".into()], ..Default::default() };
    let set = sconce_data::ImageSet::packed(
        unlabelled,
        sconce_data::Color::Rgb,
        64,
        64,
        vec![9; 64 * 64 * 3],
    );
    let (_u, unlabelled) = saved(&set.unwrap());
    let (_w, weights) = saved(&squeezenet(64));
    let error = run::<ClassVerdicts>(
        json!({ "images": "images", "weights": "weights" }),
        &[("images", &unlabelled), ("weights", &weights)],
    );
    let error = error.err().unwrap().to_string();
    assert!(error.contains("expected pictures with classes"), "{error}");
}
