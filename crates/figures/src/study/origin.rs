//! How a page was made: the command, versions, seeds, data, and the digest of all that it shows.

use std::fmt::Write as _;

use sconce_core::Digest;
use sconce_core::cell::Plain;
use sconce_core::stage::document::Origin;
use serde_json::Value;

use crate::svg::escape;

/// The section's anchor.
pub const ANCHOR: &str = "how-this-page-was-made";
/// Its heading.
pub const HEADING: &str = "How this page was made";

/// What the page shows, and the digest of its content.
pub type Shown = (String, Digest);

/// The section.
pub fn section(origin: &Origin, text: Digest, shown: &[Shown]) -> String {
    let mut out = format!("<section class=\"made\">\n<h2 id=\"{ANCHOR}\">{HEADING}</h2>\n");
    let command = command(origin);
    let _ = write!(
        out,
        "<p>Every number, figure and table above that is not marked as quoted was computed by the pipeline \
         <code>{}</code> and put in by reference. This makes the page anew:</p>\n\
         <pre><code>{}</code></pre>\n",
        escape(&origin.pipeline),
        escape(&command)
    );
    let profiles = match origin.profiles.as_slice() {
        [] => "none".to_owned(),
        profiles => profiles.join(", "),
    };
    let rows = [
        ("Sconce", origin.sconce.clone()),
        ("Profiles", profiles),
        ("Seed", origin.seed.to_string()),
        ("Text", text.short()),
    ];
    out.push_str("<div class=\"scroll\"><table>\n<tbody>\n");
    for (name, value) in rows {
        let _ = writeln!(out, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escape(&value));
    }
    out.push_str("</tbody>\n</table></div>\n");
    let sources: Vec<_> =
        origin.stages.iter().filter(|stage| !stage.parameters.is_null()).collect();
    if !sources.is_empty() {
        out.push_str("<details>\n<summary>Data</summary>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">stage</th><th scope=\"col\">kind</th><th scope=\"col\">parameters</th></tr></thead>\n<tbody>\n");
        for stage in sources {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
                escape(&stage.stage),
                escape(&stage.kind),
                escape(&written(&stage.parameters))
            );
        }
        out.push_str("</tbody>\n</table></div>\n</details>\n");
    }
    let _ = write!(
        out,
        "<details>\n<summary>Stages: {}</summary>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">stage</th><th scope=\"col\">kind and version</th><th scope=\"col\" class=\"number\">cells</th><th scope=\"col\">random</th></tr></thead>\n<tbody>\n",
        origin.stages.len()
    );
    for stage in &origin.stages {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><td>{}</td></tr>",
            escape(&stage.stage),
            escape(&stage.kind),
            stage.cells,
            if stage.seeded { "by the seed" } else { "" }
        );
    }
    out.push_str("</tbody>\n</table></div>\n</details>\n");
    let _ = write!(
        out,
        "<details>\n<summary>Digests of what is shown: {}</summary>\n<div class=\"scroll\"><table>\n<tbody>\n",
        shown.len()
    );
    for (name, digest) in shown {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td><code>{}</code></td></tr>",
            escape(name),
            digest.short()
        );
    }
    out.push_str("</tbody>\n</table></div>\n</details>\n</section>\n");
    out
}

/// The command that makes the page.
pub fn command(origin: &Origin) -> String {
    let mut command = format!("sconce run {} {}", quoted(&origin.file), quoted(&origin.stage));
    for profile in &origin.profiles {
        let _ = write!(command, " --profile {}", quoted(profile));
    }
    for set in &origin.sets {
        let _ = write!(command, " --set {}", quoted(set));
    }
    command
}

/// As a shell wants it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn written(parameters: &Value) -> String {
    let Some(entries) = parameters.as_object() else { return String::new() };
    let entries: Vec<String> =
        entries.iter().map(|(name, value)| format!("{name} = {}", Plain(value))).collect();
    entries.join(", ")
}
