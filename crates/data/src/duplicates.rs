//! Images of the same content.

use std::collections::BTreeMap;

use sconce_core::{Digest, Error, Result};
use serde_json::{Value, json};

use crate::examples::Examples;
use crate::image_set::ImageSet;
use crate::metrics::Metrics;
use crate::table::{Column, Table};

/// Groups of images with the same content: two or more places each, in order.
///
/// The content is the file's bytes, or the samples of packed images: the same picture encoded
/// twice is not found.
pub fn groups(images: &ImageSet) -> Result<Vec<Vec<usize>>> {
    let mut places: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
    for (i, digest) in images.digests()?.into_iter().enumerate() {
        places.entry(digest).or_default().push(i);
    }
    let mut groups: Vec<_> = places.into_values().filter(|group| group.len() > 1).collect();
    groups.sort();
    Ok(groups)
}

/// The groups as a table: one row for each image, with `group`, `image`, `class` and `split`.
pub fn table(examples: &Examples, groups: &[Vec<usize>]) -> Result<Table> {
    let mut table = Table::new(vec![
        Column::integer("group"),
        Column::text("image"),
        Column::text("class"),
        Column::text("split"),
    ]);
    table.caption = "Images of the same content".to_owned();
    for (number, group) in groups.iter().enumerate() {
        for &i in group {
            let name = |name: Option<&str>| name.map_or(Value::Null, Value::from);
            table.push(vec![
                json!(number + 1),
                json!(examples.ids[i]),
                name(examples.class_of(i)),
                name(examples.split_of(i)),
            ])?;
        }
    }
    Ok(table)
}

/// Counts: `duplicates` (copies beyond the first of each content), and of the groups those
/// `across_splits`, `across_classes` and `across_splits_and_classes`.
pub fn counts(examples: &Examples, groups: &[Vec<usize>]) -> Metrics {
    let differ = |column: &[u32], group: &[usize]| {
        !column.is_empty() && group.iter().any(|&i| column[i] != column[group[0]])
    };
    let count = |splits: bool, classes: bool| {
        let counts = |group: &&Vec<usize>| {
            (!splits || differ(&examples.split, group))
                && (!classes || differ(&examples.labels, group))
        };
        groups.iter().filter(counts).count() as f64
    };
    let copies: usize = groups.iter().map(|group| group.len() - 1).sum();
    let mut metrics = Metrics::default();
    metrics.set("images", examples.len() as f64);
    metrics.set("duplicates", copies as f64);
    metrics.set("across_splits", count(true, false));
    metrics.set("across_classes", count(false, true));
    metrics.set("across_splits_and_classes", count(true, true));
    metrics
}

/// The examples that stay when the copies in `table` (of [`table`]) are dropped.
///
/// With `only_across_splits` an example goes when an earlier split has its content: a test image
/// that is in the training set. Otherwise the first of each content stays.
pub fn kept(examples: &Examples, table: &Table, only_across_splits: bool) -> Result<Vec<usize>> {
    let place: BTreeMap<&str, usize> =
        examples.ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
    if only_across_splits && examples.splits.is_empty() {
        return Err(Error::message("expected splits: these examples have none"));
    }
    let mut groups: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (group, id) in table.values("group")?.into_iter().zip(table.values("image")?) {
        let (Some(group), Some(id)) = (group.as_i64(), id.as_str()) else {
            return Err(Error::message("expected a table of kind `duplicates`"));
        };
        // An image that is not among the examples was dropped before.
        if let Some(&i) = place.get(id) {
            groups.entry(group).or_default().push(i);
        }
    }
    let mut stays = vec![true; examples.len()];
    for mut group in groups.into_values() {
        let split = |i: usize| examples.split.get(i).copied().unwrap_or_default();
        group.sort_by_key(|&i| (split(i), i));
        for &i in group.iter().skip(1) {
            stays[i] = only_across_splits && split(i) == split(group[0]);
        }
    }
    Ok((0..examples.len()).filter(|&i| stays[i]).collect())
}
