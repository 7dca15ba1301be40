//! Kind `report`.

use schemars::JsonSchema;
use sconce_core::cell::Plain;
use sconce_core::{Context, Error, Inputs, Result, Stage, outputs};
use sconce_data::Figure;
use serde::{Deserialize, Serialize};

use super::pictures;
use crate::report::{self, Exhibit};

/// Puts figures and tables on one HTML page that needs nothing else: images are inlined, nothing is fetched.
///
/// Tables are shown as tables, animations as GIF, all else as PNG; under each stands its stage with its place along
/// the axes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The figures in order: `["table", "curve[*]"]`.
    pub figures: Inputs<Figure>,
    /// Above all.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Paragraphs below the title, divided by empty lines.
    #[serde(default)]
    pub text: String,
    /// Pixels of the figures' PNG files for each CSS pixel.
    #[serde(default = "pictures::density")]
    pub density: f64,
}

outputs! { Report:
    /// The page.
    FIGURE: Figure = "figure";
}

impl Stage for Report {
    const KIND: &'static str = "report";
    const VERSION: u32 = 2;

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)?;
        if self.figures.edges().is_empty() {
            return Err(Error::parameter("figures", "expected at least one figure"));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let mut exhibits = Vec::new();
        for from in ctx.inputs(&self.figures)? {
            let figure = &from.artifact;
            let Some(body) = pictures::body(figure, self.density) else {
                let names: Vec<&str> = figure.files.keys().map(String::as_str).collect();
                return Err(Error::Input {
                    slot: "figures".to_owned(),
                    message: format!(
                        "`{}`: expected a html, gif or png file, found: {}",
                        from.stage,
                        names.join(", ")
                    ),
                });
            };
            let coordinates = from.coordinates.iter();
            exhibits.push(Exhibit {
                name: from.stage.clone(),
                coordinates: coordinates
                    .map(|(axis, value)| (axis.to_owned(), Plain(value).to_string()))
                    .collect(),
                caption: figure.caption.clone(),
                bodies: vec![body],
            });
        }
        let report =
            report::Report { title: self.title.clone(), description: self.text.clone(), exhibits };
        ctx.write(Self::FIGURE, &Figure::new(&self.title).with("report.html", report.html()))
    }
}
