//! Figures that differ between rows, ready to stand in a page.

use std::collections::{BTreeMap, BTreeSet};

use sconce_core::Digest;
use sconce_core::store::{OutputRecord, Store};

use super::side::{Found, Side};
use crate::media_type::media_type;

/// So many figures one page holds at most; it also holds at most so many bytes of them.
const MOST: usize = 120;
const MOST_BYTES: usize = 40 << 20;

/// A figure of several rows.
#[derive(Debug)]
pub(crate) struct Group {
    /// What all have in common: `table.figure`, or a cell where sides are compared.
    pub(crate) title: String,
    pub(crate) pictures: Vec<Picture>,
}

#[derive(Debug)]
pub(crate) struct Picture {
    /// What tells it from the others of the group.
    pub(crate) label: String,
    pub(crate) media: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// The figures of these cells, side by side where they differ, and how many were left out.
///
/// Several sides are compared cell by cell; of one side the cells of a stage with each other.
pub(crate) fn differing(
    sides: &[Side],
    store: &Store,
    wanted: impl Fn(&Found) -> bool,
) -> (Vec<Group>, usize) {
    type Places = Vec<(String, Digest)>;
    let mut groups: BTreeMap<String, Places> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for side in sides {
        let labels = side.words(sides);
        for found in side.cells.iter().filter(|found| wanted(found)) {
            let Some(receipt) = &found.receipt else { continue };
            for (name, output) in receipt.outputs.iter().filter(|(_, one)| may_show(one)) {
                let output_name = if receipt.outputs.len() > 1 { name.as_str() } else { "" };
                let (title, label) = match sides.len() {
                    1 => (found.cell.stage.clone(), found.cell.coordinates.to_string()),
                    _ => (found.cell.to_string(), labels.clone()),
                };
                let title = match output_name.is_empty() {
                    true => title,
                    false => format!("{title}, {output_name}"),
                };
                if !groups.contains_key(&title) {
                    order.push(title.clone());
                }
                groups.entry(title).or_default().push((label, output.digest));
            }
        }
    }
    let (mut shown, mut left_out, mut count, mut size) = (Vec::new(), 0, 0, 0);
    for title in order {
        let Some(places) = groups.remove(&title) else { continue };
        let different: BTreeSet<&Digest> = places.iter().map(|(_, digest)| digest).collect();
        if different.len() < 2 {
            continue;
        }
        let mut pictures = Vec::new();
        for (label, digest) in &places {
            if count >= MOST || size > MOST_BYTES {
                left_out += 1;
                continue;
            }
            if let Some((media, bytes)) = picture(store, digest) {
                count += 1;
                size += bytes.len();
                pictures.push(Picture { label: label.clone(), media, bytes });
            }
        }
        if !pictures.is_empty() {
            shown.push(Group { title, pictures });
        }
    }
    (shown, left_out)
}

/// Whether an output may hold a picture: a figure, or files of a program.
fn may_show(output: &OutputRecord) -> bool {
    output.artifact == "figure" || (output.artifact == "files" && output.files <= 4)
}

/// The picture of an artifact that browsers show best.
fn picture(store: &Store, digest: &Digest) -> Option<(&'static str, Vec<u8>)> {
    let files = store.files(digest).ok()?;
    ["svg", "png", "gif", "jpg", "webp"].into_iter().find_map(|extension| {
        let is = |name: &str| name.rsplit_once('.').is_some_and(|(_, end)| end == extension);
        let (name, ..) = files.iter().find(|(name, ..)| is(name))?;
        Some((media_type(name)?, files.read(name).ok()?))
    })
}
