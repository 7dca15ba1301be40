//! One panel of a plot: ticks, spreads, dashed lines, series.

use super::axes::Ground;
use super::legend::marker;
use super::lines::{Marks, Panel, Point, Rule, Series, Spread};
use crate::color::{INK, MUTED, series_color};
use crate::font::{self, CAP_HEIGHT, Weight};
use crate::frame::{LABEL, SMALL};
use crate::scene::{Anchor, Item, Scene, Stroke, Text};
use crate::ticks::{Scale, Ticks, limits};
use crate::{Error, Result};

impl Panel {
    fn check(&self) -> Result<()> {
        if self.series.iter().all(|series| series.points.is_empty()) {
            return Err(Error::Empty("the plot", "point"));
        }
        for (name, axis, of) in
            [("x", &self.x, (|p| p.x) as fn(&Point) -> f64), ("y", &self.y, |p| p.y)]
        {
            let mut values = self.series.iter().flat_map(|series| &series.points).map(of);
            if axis.scale == Scale::Log
                && let Some(value) = values.find(|value| *value <= 0.0)
            {
                return Err(Error::Value(format!(
                    "the {name} axis is logarithmic and a value is {value}: expected values above 0"
                )));
            }
            if let Some((low, high)) = axis.limits
                && (!low.is_finite()
                    || !high.is_finite()
                    || low >= high
                    || (axis.scale == Scale::Log && low <= 0.0))
            {
                return Err(Error::Value(format!(
                    "the {name} axis cannot run from {low} to {high}: expected two numbers, the smaller first"
                )));
            }
        }
        Ok(())
    }

    fn x_ticks(&self, width: f64) -> Result<Ticks> {
        let values = || self.series.iter().flat_map(|series| &series.points).map(|point| point.x);
        let axis = &self.x;
        if !axis.categories.is_empty() {
            let major = axis.categories.iter().enumerate();
            let mut ticks =
                Ticks::at(Scale::Linear, (-0.5, axis.categories.len() as f64 - 0.5), &[]);
            ticks.major = major.map(|(place, name)| (place as f64, name.clone())).collect();
            return Ok(ticks);
        }
        let ends = axis.limits.or_else(|| limits(axis.scale, values()));
        let ends = ends.ok_or(Error::Empty("the x axis", "number"))?;
        let mut distinct: Vec<f64> = values().filter(|value| value.is_finite()).collect();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        // A grid of values that was tried is best read at these values; drawn ones are not.
        let is_short = |value: &f64| format!("{value:.3e}").parse() == Ok(*value);
        let grid = (2..=12).contains(&distinct.len()) && distinct.iter().all(is_short);
        if axis.scale == Scale::Log && grid {
            distinct.retain(|value| (ends.0..=ends.1).contains(value));
            return Ok(Ticks::at(axis.scale, ends, &distinct));
        }
        Ok(Ticks::new(axis.scale, ends, (width / 80.0) as usize))
    }

    fn y_ticks(&self, height: f64) -> Result<Ticks> {
        let points = self.series.iter().flat_map(|series| &series.points);
        let values = points.flat_map(|point| {
            let (low, high) = point.spread.unwrap_or((point.y, point.y));
            [point.y, low, high]
        });
        let rules = self.rules.iter().filter(|rule| !rule.upright).map(|rule| rule.at);
        let ends = self.y.limits.or_else(|| limits(self.y.scale, values.chain(rules)));
        let ends = ends.ok_or(Error::Empty("the y axis", "number"))?;
        Ok(Ticks::new(self.y.scale, ends, (height / 36.0) as usize))
    }

    pub(super) fn scene(
        &self,
        names: &[String],
        width: f64,
        height: f64,
        titled: bool,
    ) -> Result<Scene> {
        self.check()?;
        let mut scene = Scene::new(width, 0.0);
        let mut top = 0.0;
        if titled {
            let title = font::shorten(&self.title, LABEL, Weight::SemiBold, width);
            let text = Text {
                size: LABEL,
                weight: Weight::SemiBold,
                ..Text::new(0.0, LABEL * CAP_HEIGHT, title)
            };
            scene.text(text);
            top += LABEL + 8.0;
        }
        // The label of the y axis lies above it, where it can be read without turning one's head.
        if self.y.label.is_empty() {
            top += 6.0;
        } else {
            let label = font::shorten(&self.y.label, LABEL, Weight::Regular, width);
            scene.text(Text {
                size: LABEL,
                color: INK,
                ..Text::new(0.0, top + LABEL * CAP_HEIGHT, label)
            });
            top += LABEL + 10.0;
        }
        let y = self.y_ticks(height)?;
        let labels = Ground::label_room(&y);
        let (turned, over) =
            Ground::name_room(&self.x.categories, (width - labels - 12.0).max(40.0));
        // The first of turned names needs room to the left of its tick.
        let left =
            if turned { labels.max(Ground::hang(&self.x.categories, width)) } else { labels };
        let inner = (width - left - 12.0).max(40.0);
        let x_labels = (turned, over);
        let x = self.x_ticks(inner)?;
        let ground = Ground { left, top, width: inner, height, x, y, x_labels };
        ground.draw(&mut scene);
        ground.x_label(&mut scene, &self.x.label);
        for series in &self.series {
            self.draw_spread(&mut scene, &ground, series, index(names, series));
        }
        for rule in &self.rules {
            self.draw_rule(&mut scene, &ground, rule);
        }
        for series in &self.series {
            self.draw_series(&mut scene, &ground, series, index(names, series));
        }
        scene.height = ground.bottom() + ground.bottom_room(&self.x.label);
        Ok(scene)
    }

    fn draw_spread(&self, scene: &mut Scene, ground: &Ground, series: &Series, index: usize) {
        let color = series_color(index);
        let clamp = |value: f64| ground.at_y(value.clamp(ground.y.low, ground.y.high));
        let spreads: Vec<(f64, f64, f64)> = series
            .points
            .iter()
            .filter_map(|point| {
                point.spread.map(|(low, high)| (ground.at_x(point.x), clamp(low), clamp(high)))
            })
            .filter(|(x, low, high)| [x, low, high].iter().all(|value| value.is_finite()))
            .collect();
        match self.spread {
            Spread::Band if self.marks != Marks::Points => {
                let upper = spreads.iter().map(|(x, _, high)| (*x, *high));
                let lower = spreads.iter().rev().map(|(x, low, _)| (*x, *low));
                let points: Vec<_> = upper.chain(lower).collect();
                if spreads.len() > 1 {
                    scene.push(Item::Path {
                        points,
                        closed: true,
                        fill: Some(color.with_alpha(0.18)),
                        stroke: None,
                    });
                }
            }
            _ => {
                let stroke = Stroke::new(color, 1.5);
                for (x, low, high) in spreads {
                    scene.line((x, low), (x, high), stroke);
                    for y in [low, high] {
                        scene.line((x - 4.0, y), (x + 4.0, y), stroke);
                    }
                }
            }
        }
    }

    fn draw_series(&self, scene: &mut Scene, ground: &Ground, series: &Series, index: usize) {
        let within = |point: &&Point| {
            let inside = |place: f64| (-1e-9..=1.0 + 1e-9).contains(&place);
            inside(ground.x.place(point.x)) && inside(ground.y.place(point.y))
        };
        let shown: Vec<(f64, f64)> = series
            .points
            .iter()
            .filter(within)
            .map(|point| (ground.at_x(point.x), ground.at_y(point.y)))
            .collect();
        if self.marks != Marks::Points && shown.len() > 1 {
            let stroke = Some(Stroke::new(series_color(index), 2.0));
            scene.push(Item::Path { points: shown.clone(), closed: false, fill: None, stroke });
        }
        if self.marks != Marks::Line || shown.len() == 1 {
            for place in shown {
                marker(scene, index, place, 4.5);
            }
        }
    }

    /// A dashed line; its label stands where it hides least of the data.
    fn draw_rule(&self, scene: &mut Scene, ground: &Ground, rule: &Rule) {
        let stroke = Stroke { dash: Some((5.0, 4.0)), ..Stroke::new(MUTED, 1.2) };
        let (left, right, bottom) = (ground.left, ground.left + ground.width, ground.bottom());
        let place = if rule.upright { ground.x.place(rule.at) } else { ground.y.place(rule.at) };
        if !(0.0..=1.0).contains(&place) {
            return;
        }
        let label = font::shorten(&rule.label, SMALL, Weight::Regular, ground.width / 2.0 - 8.0);
        let text = |x, y, anchor| Text {
            size: SMALL,
            color: MUTED,
            anchor,
            ..Text::new(x, y, label.clone())
        };
        let below = SMALL * CAP_HEIGHT + 5.0;
        let candidates = if rule.upright {
            let x = ground.at_x(rule.at);
            scene.line((x, ground.top), (x, bottom), stroke);
            let (start, end) = (Anchor::Start, Anchor::End);
            let low = bottom - 8.0;
            let high = ground.top + below;
            [
                text(x + 6.0, low, start),
                text(x - 6.0, low, end),
                text(x + 6.0, high, start),
                text(x - 6.0, high, end),
            ]
        } else {
            let y = ground.at_y(rule.at);
            scene.line((left, y), (right, y), stroke);
            let (x, start, end) = ((left + 4.0, right - 4.0), Anchor::Start, Anchor::End);
            [
                text(x.1, y - 5.0, end),
                text(x.0, y - 5.0, start),
                text(x.1, y + below, end),
                text(x.0, y + below, start),
            ]
        };
        let hidden = |text: &Text| {
            let [a, b, c, d] = text.bounds();
            let inside = a >= left && b >= ground.top && c <= right && d <= bottom;
            let all = self.series.iter().flat_map(|series| &series.points);
            let points = all.filter(|point| {
                let (low, high) = point.spread.unwrap_or((point.y, point.y));
                let x = ground.at_x(point.x);
                let (top, end) = (ground.at_y(high.max(point.y)), ground.at_y(low.min(point.y)));
                x > a - 8.0 && x < c + 8.0 && end > b - 6.0 && top < d + 6.0
            });
            (!inside, points.count())
        };
        if let Some(best) = candidates.into_iter().min_by_key(hidden)
            && !label.is_empty()
        {
            scene.text(best);
        }
    }
}

fn index(names: &[String], series: &Series) -> usize {
    names.iter().position(|name| *name == series.name).unwrap_or(0)
}
