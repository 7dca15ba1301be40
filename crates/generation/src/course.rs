//! What is kept of a training on its way: numbers of updates, and images from the same noise.

use candle_core::{Device, Tensor};
use sconce_core::{Error, Result};
use sconce_data::{Color, Column, Examples, ImageSet, Table};
use sconce_models::Tensors;
use sconce_models::networks::dcgan::GanLosses;
use serde_json::{Value, json};

use crate::verdict::{Signs, Verdict, last_tenth, nearest};

/// Images that diversity is measured of, at most.
pub(crate) const COMPARED: usize = 256;

/// What is kept of a training on its way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Course {
    /// Updates of a record: its numbers are their means.
    record_every: usize,
    /// Sums of the record in the making, and its updates.
    sums: [f64; 6],
    count: usize,
    /// Updates done, and the means of the last of them.
    records: Vec<(usize, [f64; 6])>,
    /// Updates done, and samples of images.
    looks: Vec<(usize, Vec<u8>)>,
    /// [`nearest`] of real images.
    real_distance: f64,
    /// Numbers in an image.
    size: usize,
    /// The update after which a loss, a weight or an image was no number.
    pub(crate) diverged: Option<usize>,
}

impl Course {
    /// None yet.
    pub(crate) fn new(record_every: usize, size: usize, real_distance: f64) -> Self {
        Self { record_every, size, real_distance, ..Self::default() }
    }

    /// Takes in update number `step`, counted from 1.
    pub(crate) fn push(&mut self, step: usize, losses: &GanLosses) {
        for (sum, value) in self.sums.iter_mut().zip(losses.numbers()) {
            *sum += value;
        }
        self.count += 1;
        if self.count == self.record_every {
            self.end_record(step);
        }
    }

    /// Ends the record in the making after `step` updates, of however few it is the mean: they are not to be lost with the last one.
    pub(crate) fn end_record(&mut self, step: usize) {
        if self.count > 0 {
            self.records.push((step, self.sums.map(|sum| sum / self.count as f64)));
            (self.sums, self.count) = ([0.0; 6], 0);
        }
    }

    /// Takes in images after `step` updates.
    pub(crate) fn look(&mut self, step: usize, samples: Vec<u8>) {
        self.looks.push((step, samples));
    }

    /// The updates before the last look.
    pub(crate) fn last_look(&self) -> Option<usize> {
        self.looks.last().map(|(step, _)| *step)
    }

    fn diversity(&self, samples: &[u8]) -> f64 {
        let some = &samples[..samples.len().min(COMPARED * self.size)];
        // Where most real images are there twice, no image is too near to another one.
        if self.real_distance == 0.0 { 1.0 } else { nearest(some, self.size) / self.real_distance }
    }

    /// What a verdict after `records` records and `looks` looks at images sees.
    fn signs_at(&self, records: usize, looks: usize) -> Signs {
        let rankings: Vec<f64> =
            self.records[..records].iter().map(|(_, row)| GanLosses::of(*row).ranking).collect();
        let last = self.looks[..looks].last();
        Signs {
            diverged: self.diverged.is_some(),
            ranking: last_tenth(&rankings),
            diversity: last.map_or(1.0, |(_, samples)| self.diversity(samples)),
        }
    }

    /// What a verdict sees now.
    pub(crate) fn signs(&self) -> Signs {
        self.signs_at(self.records.len(), self.looks.len())
    }

    /// A row each `record_every` updates, and one for the rest: means of their numbers.
    pub(crate) fn losses(&self) -> Result<Table> {
        let mut columns = vec![Column::integer("step")];
        columns.extend(GanLosses::NAMES.map(Column::number));
        let mut table = Table::new(columns);
        for (step, row) in &self.records {
            let numbers = row.iter().map(|&number| json!(number));
            table.push(std::iter::once(json!(step)).chain(numbers).collect::<Vec<Value>>())?;
        }
        Ok(table)
    }

    /// A row a look at images: their diversity, and what the verdict was then; none before the first record. A last row, without
    /// images, tells a divergence.
    pub(crate) fn verdicts(&self) -> Result<Table> {
        let mut table = Table::new(vec![
            Column::integer("step"),
            Column::number("diversity"),
            Column::number("ranking"),
            Column::text("verdict"),
        ]);
        for (i, (step, _)) in self.looks.iter().enumerate() {
            let records = self.records.iter().filter(|(at, _)| at <= step).count();
            // a look is of networks that are numbers
            let signs = Signs { diverged: false, ..self.signs_at(records, i + 1) };
            let verdict = Verdict::of(signs).map(|verdict| verdict.to_string());
            table.push(vec![
                json!(step),
                json!(signs.diversity),
                json!(signs.ranking),
                json!(verdict),
            ])?;
        }
        if let Some(step) = self.diverged {
            let verdict = Verdict::Diverged.to_string();
            table.push(vec![
                json!(step),
                Value::Null,
                json!(self.signs().ranking),
                json!(verdict),
            ])?;
        }
        Ok(table)
    }

    /// All images, a split a look: `step 100/00000`, ….
    pub(crate) fn images(
        &self,
        side: usize,
        color: Color,
        (classes, labels): (&[String], &[u32]),
    ) -> Result<ImageSet> {
        let mut examples = Examples { classes: classes.to_vec(), ..Examples::default() };
        let mut all = Vec::new();
        for (step, samples) in &self.looks {
            let count = samples.len() / self.size.max(1);
            let split = format!("step {step}");
            let of: Vec<u32> = (0..count).map(|i| labels.get(i).copied().unwrap_or(0)).collect();
            examples.add_split(&split, of);
            all.extend_from_slice(samples);
        }
        if labels.is_empty() {
            examples.labels.clear();
        }
        ImageSet::packed(examples, color, side, side, all)
    }

    /// Puts all into a snapshot of the training.
    pub(crate) fn save(&self, into: &mut Tensors) -> Result<()> {
        let mut insert = |name: String, tensor: candle_core::Result<Tensor>| {
            tensor.map(|tensor| into.insert(name, tensor)).map_err(Error::other)
        };
        let cpu = &Device::Cpu;
        let mut now = vec![self.count as f64, self.diverged.map_or(-1.0, |at| at as f64)];
        now.extend(self.sums);
        insert("course.now".into(), Tensor::new(now, cpu))?;
        if !self.records.is_empty() {
            let rows = self.records.iter();
            let rows: Vec<f64> =
                rows.flat_map(|(step, row)| std::iter::once(*step as f64).chain(*row)).collect();
            insert("course.records".into(), Tensor::from_vec(rows, (self.records.len(), 7), cpu))?;
        }
        for (step, samples) in &self.looks {
            insert(format!("course.look.{step}"), Tensor::new(samples.as_slice(), cpu))?;
        }
        Ok(())
    }

    /// Takes over what a snapshot holds.
    pub(crate) fn restore(&mut self, from: &Tensors) -> Result<()> {
        let numbers = |name: &str| {
            from.get(name)?.flatten_all().and_then(|t| t.to_vec1::<f64>()).map_err(Error::other)
        };
        let now = numbers("course.now")?;
        let [count, diverged, sums @ ..] = now.as_slice() else {
            return Err(Error::message("the checkpoint holds no course"));
        };
        self.count = *count as usize;
        self.diverged = (*diverged >= 0.0).then_some(*diverged as usize);
        self.sums.iter_mut().zip(sums).for_each(|(sum, saved)| *sum = *saved);
        self.records.clear();
        if from.contains("course.records") {
            for row in numbers("course.records")?.chunks_exact(7) {
                let mut values = [0.0; 6];
                values.copy_from_slice(&row[1..]);
                self.records.push((row[0] as usize, values));
            }
        }
        let looks = from.iter().filter_map(|(name, tensor)| {
            let step: usize = name.strip_prefix("course.look.")?.parse().ok()?;
            Some(tensor.to_vec1::<u8>().map(|samples| (step, samples)))
        });
        self.looks = looks.collect::<candle_core::Result<_>>().map_err(Error::other)?;
        self.looks.sort_unstable_by_key(|(step, _)| *step);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history of 20 records and four looks: rankings and brightnesses of images as they are given.
    fn history(ranking: impl Fn(usize) -> f64, spread: impl Fn(usize) -> u8) -> Course {
        // real images are 100 apart
        let mut course = Course::new(1, 1, 100.0);
        for step in 1..=20 {
            course.push(step, &GanLosses { ranking: ranking(step), ..GanLosses::default() });
            if step % 5 == 0 {
                course.look(step, (0..3).map(|i| i * spread(step)).collect());
            }
        }
        course
    }

    #[test]
    fn made_up_courses_get_their_verdicts() {
        let verdicts = |course: &Course| {
            let table = course.verdicts().unwrap();
            let said = table.values("verdict").unwrap();
            assert_eq!(
                said[said.len() - 1],
                &json!(Verdict::of(course.signs()).unwrap().to_string())
            );
            said.into_iter().map(|verdict| verdict.as_str().unwrap().to_owned()).collect()
        };
        let all = |verdict: &str| vec![verdict.to_owned(); 4];
        let well: Vec<String> = verdicts(&history(|_| 0.9, |_| 80));
        assert_eq!(well, all("stable"));
        assert_eq!(verdicts(&history(|_| 1.0, |_| 80)), all("discriminator wins"));
        assert_eq!(verdicts(&history(|_| 0.1, |_| 80)), all("generator wins"));
        // at the limits of ranking, and beside them
        assert_eq!(verdicts(&history(|_| 0.998, |_| 80)), all("discriminator wins"));
        assert_eq!(verdicts(&history(|_| 0.9979, |_| 80)), all("stable"));
        assert_eq!(verdicts(&history(|_| 0.25, |_| 80)), all("generator wins"));
        assert_eq!(verdicts(&history(|_| 0.2501, |_| 80)), all("stable"));
        // a quarter of the distance of real images, and a little more
        assert_eq!(verdicts(&history(|_| 0.9, |_| 25)), all("mode collapse"));
        assert_eq!(verdicts(&history(|_| 0.9, |_| 26)), all("stable"));
        // each look is judged by what was before it: a game that is lost and won back
        let turns = history(
            |step| if step <= 10 { 1.0 } else { 0.8 },
            |step| if step == 20 { 9 } else { 80 },
        );
        assert_eq!(
            verdicts(&turns),
            ["discriminator wins", "discriminator wins", "stable", "mode collapse"]
        );
        // of 20 records the last two count
        let late = history(|step| if step < 20 { 0.9 } else { 1.0 }, |_| 80);
        assert_eq!(verdicts(&late)[3], "stable");
        assert!((late.signs().ranking.unwrap() - 0.95).abs() < 1e-12);

        let mut broken = history(|_| 0.9, |_| 80);
        broken.diverged = Some(12);
        broken.looks.truncate(2);
        assert_eq!(verdicts(&broken), ["stable", "stable", "diverged"]);
    }

    /// Three updates are fewer than a record has.
    #[test]
    fn short_courses_are_judged_by_what_there_is() {
        let mut course = Course::new(10, 1, 100.0);
        course.look(0, vec![7; 3]);
        assert_eq!(Verdict::of(course.signs()), None);
        for (step, ranking) in [(1, 0.9), (2, 0.8), (3, 0.7)] {
            course.push(step, &GanLosses { ranking, ..GanLosses::default() });
        }
        assert_eq!(course.losses().unwrap().rows.len(), 0);
        course.end_record(3);
        course.end_record(3);
        course.look(3, vec![0, 80, 160]);
        let losses = course.losses().unwrap();
        assert_eq!(losses.numbers("step").unwrap(), [3.0]);
        assert!((losses.numbers("ranking").unwrap()[0] - 0.8).abs() < 1e-12);
        let verdicts = course.verdicts().unwrap();
        assert_eq!(verdicts.values("verdict").unwrap(), [&Value::Null, &json!("stable")]);
        assert_eq!(verdicts.values("ranking").unwrap()[0], &Value::Null);
    }

    #[test]
    fn diversity_is_that_of_real_images_where_these_are_the_same() {
        let mut course = Course::new(1, 1, 0.0);
        course.look(0, vec![7; 4]);
        assert_eq!(course.signs().diversity, 1.0);
    }
}
