//! What follows from what a queue says, and does not say, of an element.

use std::time::{Duration, Instant};

use super::{Cause, Seen, State};

/// Answers without an element, before it can be lost.
const ANSWERS: u32 = 3;

/// What is known of an element over time.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    /// Since when answers do not name it, and how many those are.
    absent: Option<(Instant, u32)>,
    /// How it ended, and when that was heard.
    ended: Option<(Cause, Instant)>,
    /// Its last sign of life in the store, and when that was seen.
    beat: Option<(Vec<u8>, Instant)>,
    /// The queue's last words.
    pub(super) words: String,
    /// Whether the queue said that it runs.
    pub(super) runs: bool,
}

/// What is to be believed of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It waits or runs, or nobody can tell.
    Lives,
    /// It ended.
    Ended(Cause),
}

impl Sight {
    /// An answer of the queue came, with this of the element. `beats` is its sign of life.
    pub(super) fn answer(&mut self, now: Instant, seen: &[&Seen], beats: Option<Vec<u8>>) {
        self.feel(now, beats);
        // A batch that was taken twice has two jobs an element, of which one finds nothing to do: a
        // living one counts, then one that did not end well.
        let rank = |one: &&&Seen| match one.state {
            State::Runs => 0,
            State::Waits => 1,
            State::Ended(Cause::Well) => 3,
            State::Ended(_) => 2,
        };
        let Some(one) = seen.iter().min_by_key(rank) else {
            let (_, answers) = self.absent.get_or_insert((now, 0));
            *answers += 1;
            return;
        };
        self.absent = None;
        self.words.clone_from(&one.words);
        self.runs = one.state == State::Runs;
        match one.state {
            State::Waits | State::Runs => self.ended = None,
            State::Ended(cause) => match self.ended {
                Some((before, _)) if before == cause => {}
                _ => self.ended = Some((cause, now)),
            },
        }
    }

    /// A look at its sign of life, where no queue can be asked.
    pub(super) fn feel(&mut self, now: Instant, beats: Option<Vec<u8>>) {
        if let Some(beats) = beats {
            match &self.beat {
                Some((last, _)) if *last == beats => {}
                _ => self.beat = Some((beats, now)),
            }
        }
    }

    /// Whether it showed a sign of life not long ago.
    fn is_felt(&self, now: Instant, lost_after: Duration) -> bool {
        self.beat.as_ref().is_some_and(|(_, seen)| now.duration_since(*seen) < lost_after)
    }

    /// What is to be believed now.
    pub(super) fn verdict(&self, now: Instant, lost_after: Duration, late: Duration) -> Verdict {
        if let Some((cause, heard)) = self.ended {
            // One that was taken twice ends well at once where another job has the element.
            if cause == Cause::Well && self.is_felt(now, lost_after) {
                return Verdict::Lives;
            }
            // What it wrote last may not be to be seen yet.
            let over = now.duration_since(heard) >= late;
            return if over { Verdict::Ended(cause) } else { Verdict::Lives };
        }
        match self.absent {
            Some((since, answers))
                if answers >= ANSWERS
                    && now.duration_since(since) >= lost_after
                    && !self.is_felt(now, lost_after) =>
            {
                Verdict::Ended(Cause::Lost)
            }
            _ => Verdict::Lives,
        }
    }

    /// Whether a job that cannot be asked about gives no sign of life any more, after it gave one.
    pub(super) fn is_silent(&self, now: Instant, lost_after: Duration) -> bool {
        self.beat.is_some() && !self.is_felt(now, lost_after)
    }

    /// How many answers did not name it, one after the other, and for how long.
    pub(super) fn absences(&self, now: Instant) -> (u32, Duration) {
        self.absent
            .map_or((0, Duration::ZERO), |(since, answers)| (answers, now.duration_since(since)))
    }

    /// Forgets what was not seen: the batch was handed over anew.
    pub(super) fn begin_again(&mut self) {
        self.absent = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: Duration = Duration::from_secs(300);
    const LATE: Duration = Duration::from_secs(60);

    /// A name, answers, the second of the verdict, and the verdict.
    type Row<'a> = (&'a str, &'a [(u64, Option<State>)], u64, Verdict);

    fn seen(state: State) -> Seen {
        Seen { name: "b".to_owned(), element: 0, job: "1".to_owned(), state, words: String::new() }
    }

    /// A verdict after answers at seconds; `None` for one that does not name the element.
    fn after(answers: &[(u64, Option<State>)], at: u64) -> Verdict {
        let start = Instant::now();
        let mut sight = Sight::default();
        for (second, state) in answers {
            let told: Vec<Seen> = state.iter().map(|state| seen(*state)).collect();
            let told: Vec<&Seen> = told.iter().collect();
            sight.answer(start + Duration::from_secs(*second), &told, None);
        }
        sight.verdict(start + Duration::from_secs(at), LOST, LATE)
    }

    #[test]
    fn failure_is_a_state_that_was_told_or_a_long_absence() {
        use Cause::{Cancelled, Failed, Lost, Memory, Time};
        use State::{Ended, Runs, Waits};
        let table: &[Row<'_>] = &[
            ("no answer ever", &[], 10_000, Verdict::Lives),
            ("waits", &[(0, Some(Waits))], 10_000, Verdict::Lives),
            (
                "missing for minutes, and back",
                &[(0, Some(Runs)), (10, None), (150, None), (290, None), (305, Some(Runs))],
                400,
                Verdict::Lives,
            ),
            (
                "missing in one answer, then no answers",
                &[(0, Some(Runs)), (10, None)],
                10_000,
                Verdict::Lives,
            ),
            ("missing in two answers", &[(10, None), (10_000, None)], 10_000, Verdict::Lives),
            (
                "missing in many answers, shortly",
                &[(0, None), (1, None), (2, None), (3, None)],
                299,
                Verdict::Lives,
            ),
            (
                "missing in several answers, long",
                &[(0, Some(Runs)), (10, None), (20, None), (310, None)],
                310,
                Verdict::Ended(Lost),
            ),
            (
                "forgotten after its end",
                &[(0, Some(Ended(Failed))), (10, None), (20, None)],
                61,
                Verdict::Ended(Failed),
            ),
            ("results may be late", &[(0, Some(Ended(Failed)))], 59, Verdict::Lives),
            (
                "preempted and put back",
                &[(0, Some(Runs)), (5, Some(Ended(Lost))), (9, Some(Waits))],
                100,
                Verdict::Lives,
            ),
            ("out of memory", &[(0, Some(Ended(Memory)))], 60, Verdict::Ended(Memory)),
            ("time", &[(0, Some(Ended(Time)))], 60, Verdict::Ended(Time)),
            ("cancelled", &[(0, Some(Ended(Cancelled)))], 60, Verdict::Ended(Cancelled)),
        ];
        for (name, answers, at, expected) in table {
            assert_eq!(after(answers, *at), *expected, "{name}");
        }
    }

    #[test]
    fn who_gives_signs_of_life_is_not_lost() {
        let start = Instant::now();
        let mut sight = Sight::default();
        for second in (0..=900).step_by(10) {
            let now = start + Duration::from_secs(second);
            sight.answer(now, &[], Some(second.to_string().into_bytes()));
            assert_eq!(sight.verdict(now, LOST, LATE), Verdict::Lives);
        }
        let still = Some(b"900".to_vec());
        let later = start + Duration::from_secs(1199);
        sight.answer(later, &[], still.clone());
        assert_eq!(sight.verdict(later, LOST, LATE), Verdict::Lives);
        let later = start + Duration::from_secs(1200);
        sight.answer(later, &[], still);
        assert_eq!(sight.verdict(later, LOST, LATE), Verdict::Ended(Cause::Lost));
    }

    #[test]
    fn of_two_jobs_the_living_one_counts() {
        let now = Instant::now();
        let (runs, well) = (seen(State::Runs), seen(State::Ended(Cause::Well)));
        let failed = seen(State::Ended(Cause::Killed));
        let mut sight = Sight::default();
        sight.answer(now, &[&well, &runs], None);
        assert_eq!(sight.verdict(now + LATE, LOST, LATE), Verdict::Lives);
        sight.answer(now, &[&well, &failed], None);
        assert_eq!(sight.verdict(now + LATE, LOST, LATE), Verdict::Ended(Cause::Killed));
    }
}
