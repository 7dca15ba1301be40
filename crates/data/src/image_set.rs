//! Images with classes and splits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use safetensors::Dtype;
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Artifact, Digest, Error, Files, Result};
use serde::{Deserialize, Serialize};

use crate::examples::Examples;
use crate::image::{Color, Image};
use crate::jpeg;
use crate::place;
use crate::tensor_file::{Mapped, TensorWriter};

/// Images, with classes and splits where they have them.
///
/// The images are encoded files (JPEG, PNG, GIF), decoded when asked for, or one tensor of samples
/// of equal size. Saved as `index.json` (colour, ids, classes, labels, splits) and either
/// `images/ID` for each or `pixels.safetensors` (`pixels`, u8, images × height × width ×
/// channels; mapped when read).
#[derive(Debug, Clone)]
pub struct ImageSet {
    examples: Examples,
    color: Color,
    pixels: Pixels,
}

#[derive(Debug, Clone)]
enum Pixels {
    Encoded(Arc<Vec<PathBuf>>),
    Packed { width: usize, height: usize, samples: Samples },
}

#[derive(Debug, Clone)]
enum Samples {
    Owned(Arc<Vec<u8>>),
    Mapped(Mapped),
}

impl Samples {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(samples) => samples,
            Self::Mapped(samples) => samples,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    color: Color,
    /// Whether the images are one tensor.
    packed: bool,
    examples: Examples,
}

const INDEX: &str = "index.json";
const PIXELS: &str = "pixels.safetensors";

impl ImageSet {
    /// A set of encoded files, one for each example, to be decoded to `color`.
    ///
    /// The ids name the files when the set is saved: relative paths with `/`, each once.
    pub fn encoded(examples: Examples, color: Color, files: Vec<PathBuf>) -> Result<Self> {
        examples.check()?;
        if files.len() != examples.len() {
            return Err(Error::message(format!(
                "expected {} image files, found {}",
                examples.len(),
                files.len()
            )));
        }
        let mut sorted: Vec<_> = examples.ids.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        for (i, id) in sorted.iter().enumerate() {
            let plain = |part: &str| {
                !part.is_empty() && part != "." && part != ".." && !part.contains('\\')
            };
            if !id.split('/').all(plain) || (i > 0 && sorted[i - 1] == *id) {
                return Err(Error::message(format!(
                    "`{id}`: expected a relative path with `/` that no other image has"
                )));
            }
        }
        Ok(Self { examples, color, pixels: Pixels::Encoded(Arc::new(files)) })
    }

    /// A set of images of one size; `samples` are images × height × width × channels.
    pub fn packed(
        examples: Examples,
        color: Color,
        width: usize,
        height: usize,
        samples: Vec<u8>,
    ) -> Result<Self> {
        let samples = Samples::Owned(Arc::new(samples));
        Self { examples, color, pixels: Pixels::Packed { width, height, samples } }.checked()
    }

    fn checked(self) -> Result<Self> {
        self.examples.check()?;
        if let Pixels::Packed { width, height, samples } = &self.pixels {
            let expected = self.len() * width * height * self.color.channels();
            let found = samples.bytes().len();
            if found != expected || width * height == 0 {
                return Err(Error::message(format!(
                    "expected {expected} samples ({} images of {width} × {height} × {}), found {found}",
                    self.len(),
                    self.color.channels()
                )));
            }
        }
        Ok(self)
    }

    /// Names, classes and splits.
    pub fn examples(&self) -> &Examples {
        &self.examples
    }

    /// The same images with other classes or splits.
    pub fn with_examples(&self, examples: Examples) -> Result<Self> {
        match &self.pixels {
            Pixels::Encoded(files) => Self::encoded(examples, self.color, files.to_vec()),
            Pixels::Packed { .. } => Self { examples, ..self.clone() }.checked(),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// The colour that images are decoded to.
    pub fn color(&self) -> Color {
        self.color
    }

    /// Width and height, where all images are known to have the same.
    pub fn size(&self) -> Option<(usize, usize)> {
        match self.pixels {
            Pixels::Packed { width, height, .. } => Some((width, height)),
            Pixels::Encoded(_) => None,
        }
    }

    /// Image `i`, decoded. The error names it.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn decode(&self, i: usize) -> Result<Image> {
        match &self.pixels {
            Pixels::Encoded(_) => {
                Image::decode(&self.content(i)?, self.color).map_err(Error::other)
            }
            Pixels::Packed { width, height, .. } => {
                Image::new(*width, *height, self.color, self.content(i)?.into_owned())
                    .map_err(Error::other)
            }
        }
        .doing(|| format!("image `{}`", self.examples.ids[i]))
    }

    /// The bytes that image `i` is kept as: its file, or its samples.
    pub fn content(&self, i: usize) -> Result<std::borrow::Cow<'_, [u8]>> {
        match &self.pixels {
            Pixels::Encoded(files) => {
                Ok(std::fs::read(&files[i]).at(&self.examples.ids[i])?.into())
            }
            Pixels::Packed { width, height, samples } => {
                let length = width * height * self.color.channels();
                Ok(samples.bytes()[i * length..(i + 1) * length].into())
            }
        }
    }

    /// Digests of [`content`](Self::content) of all images, computed in parallel.
    pub fn digests(&self) -> Result<Vec<Digest>> {
        let digest = |i| self.content(i).map(|content| Digest::of(&content));
        (0..self.len()).into_par_iter().map(digest).collect()
    }

    /// The images `chosen`, in that order.
    pub fn select(&self, chosen: &[usize]) -> Result<Self> {
        let examples = self.examples.select(chosen);
        match &self.pixels {
            Pixels::Encoded(files) => Self::encoded(
                examples,
                self.color,
                chosen.iter().map(|&i| files[i].clone()).collect(),
            ),
            Pixels::Packed { width, height, .. } => {
                let mut samples = Vec::new();
                for &i in chosen {
                    samples.extend_from_slice(&self.content(i)?);
                }
                Self::packed(examples, self.color, *width, *height, samples)
            }
        }
    }

    /// Applies `prepare` to the images `chosen` in parallel, `batch` at a time: an iterator over
    /// the batches, each in order, of which one is in memory.
    ///
    /// `prepare` gets the place in the set and the decoded image. A batch with broken images is
    /// an error that names them all.
    pub fn batches<'a, T: Send>(
        &'a self,
        chosen: &'a [usize],
        batch: usize,
        prepare: impl Fn(usize, Image) -> Result<T> + Sync + 'a,
    ) -> impl ExactSizeIterator<Item = Result<Vec<T>>> + 'a {
        chosen.chunks(batch.max(1)).map(move |places| {
            let results: Vec<Result<T>> = places
                .par_iter()
                .map(|&i| self.decode(i).and_then(|image| prepare(i, image)))
                .collect();
            all_or_errors(results)
        })
    }

    /// Decodes every image once and throws it away: an error that names all broken ones. Gives the
    /// places of JPEG files that lack their end marker; no pixel is missing.
    ///
    /// `progress` gets the number of images done now and then.
    pub fn check_images(
        &self,
        mut progress: impl FnMut(usize) -> Result<()>,
    ) -> Result<Vec<usize>> {
        /// Enough for all threads, few enough to be stopped soon.
        const BATCH: usize = 256;
        let mut errors = Vec::new();
        let mut without_end = Vec::new();
        let all: Vec<_> = (0..self.len()).collect();
        for places in all.chunks(BATCH) {
            let check = |&i: &usize| {
                self.decode(i)?;
                let encoded = matches!(self.pixels, Pixels::Encoded(_));
                Ok::<_, Error>((encoded && jpeg::lacks_end(&self.content(i)?)).then_some(i))
            };
            for checked in places.par_iter().map(check).collect::<Vec<_>>() {
                match checked {
                    Ok(place) => without_end.extend(place),
                    Err(error) => errors.push(error),
                }
            }
            progress(places[places.len() - 1] + 1)?;
        }
        all_or_errors(errors.into_iter().map(Err::<(), _>).collect())?;
        Ok(without_end)
    }
}

/// All values, or one error that lists all errors.
fn all_or_errors<T>(results: Vec<Result<T>>) -> Result<Vec<T>> {
    let mut values = Vec::with_capacity(results.len());
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    match errors.len() {
        0 => Ok(values),
        1 => Err(errors.remove(0)),
        n => {
            let lines: Vec<_> = errors.iter().map(|error| format!("\n  {error}")).collect();
            Err(Error::message(format!("{n} images cannot be used:{}", lines.concat())))
        }
    }
}

impl Artifact for ImageSet {
    const TYPE: &'static str = "image set";

    fn load(files: &Files) -> Result<Self> {
        let Index { color, packed, examples } = files.read_json(INDEX)?;
        if !packed {
            let path = |id: &String| files.path(&format!("images/{id}")).map(Path::to_owned);
            let paths = examples.ids.iter().map(path).collect::<Result<_>>()?;
            return Self::encoded(examples, color, paths);
        }
        let (samples, shape) = Mapped::open(files, PIXELS, "pixels", Dtype::U8)?;
        let [n, height, width, channels] = shape[..] else {
            return Err(Error::message(format!(
                "{PIXELS}: expected images × height × width × channels, found shape {shape:?}"
            )));
        };
        if n != examples.len() || channels != color.channels() {
            return Err(Error::message(format!(
                "{PIXELS}: expected {} images of {} channels, found shape {shape:?}",
                examples.len(),
                color.channels()
            )));
        }
        let samples = Samples::Mapped(samples);
        Self { examples, color, pixels: Pixels::Packed { width, height, samples } }.checked()
    }

    fn save(&self, folder: &Path) -> Result<()> {
        let packed = matches!(self.pixels, Pixels::Packed { .. });
        let index = Index { color: self.color, packed, examples: self.examples.clone() };
        let path = folder.join(INDEX);
        std::fs::write(&path, serde_json::to_vec(&index)?).at(&path)?;
        match &self.pixels {
            Pixels::Encoded(files) => {
                let images = folder.join("images");
                self.examples
                    .ids
                    .iter()
                    .zip(files.iter())
                    .try_for_each(|(id, file)| place::copy(file, &images.join(id)))
            }
            Pixels::Packed { width, height, samples } => {
                let shape = [self.len(), *height, *width, self.color.channels()];
                let mut file =
                    TensorWriter::create(folder.join(PIXELS), "pixels", Dtype::U8, &shape)?;
                file.push(samples.bytes())?;
                file.finish()
            }
        }
    }
}
