//! Threads that share the parts of a loop, and stay awake for the next one.
//!
//! A training step is some hundred short loops with a little work of one thread between them. Rayon's threads go to sleep there, and
//! so does who waits for them: waking up takes as long as many a loop (a step of SqueezeNet's gradient took longer with two threads
//! than with one). So a team's threads look for the next loop for a while, giving way to whoever else wants the processor,
//! before they sleep. Who begins a loop does not wait for a thread that did not come in time.
//!
//! Inside rayon's pools, whose threads all have work already, loops are rayon's.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rayon::prelude::*;

/// Calls `task` with each number below `tasks`, on as many threads as rayon's pool here has, in any order.
///
/// Returns when all are done. A panic of a task is passed on, when no other runs any more.
pub fn each(tasks: usize, task: impl Fn(usize) + Sync) {
    let alone = tasks <= 1 || IN_LOOP.get();
    if alone || rayon::current_num_threads() == 1 {
        return (0..tasks).for_each(task);
    }
    let team = (rayon::current_thread_index().is_none()).then(Team::of_this_process).flatten();
    // another thread may have a loop going
    if !team.is_some_and(|team| team.run(tasks, &task)) {
        (0..tasks).into_par_iter().for_each(&task);
    }
}

/// Calls `task` with each of `parts`, on as many threads as rayon's pool here has, in any order.
pub fn all<P: Send>(parts: impl IntoIterator<Item = P>, task: impl Fn(P) + Sync) {
    let parts: Vec<Slot<P>> = parts.into_iter().map(|p| Slot(UnsafeCell::new(Some(p)))).collect();
    each(parts.len(), |i| {
        // SAFETY: `each` calls this once with each number.
        if let Some(part) = unsafe { (*parts[i].0.get()).take() } {
            task(part);
        }
    });
}

/// What `task` makes of each number below `tasks`, in their order.
pub fn map<R: Send>(tasks: usize, task: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let results: Vec<Slot<R>> = (0..tasks).map(|_| Slot(UnsafeCell::new(None))).collect();
    each(tasks, |i| {
        let result = task(i);
        // SAFETY: `each` calls this once with each number.
        unsafe { *results[i].0.get() = Some(result) };
    });
    results.into_iter().filter_map(|slot| slot.0.into_inner()).collect()
}

/// What only the task of its number touches.
struct Slot<T>(UnsafeCell<Option<T>>);

// SAFETY: each task has a slot of its own; what is in it was made, or is dropped, by another thread.
unsafe impl<T: Send> Sync for Slot<T> {}

thread_local! {
    /// Whether this thread is in a loop of a team: loops inside are its own.
    static IN_LOOP: Cell<bool> = const { Cell::new(false) };
}

/// How long a thread looks for the next loop before it sleeps: longer than what one thread does between two loops.
const AWAKE: Duration = Duration::from_millis(1);

/// Looks between two times that a waiting thread gives way.
const LOOKS: u32 = 64;

/// Parts of a loop that each thread takes, about: the last ones to be done are no longer than a share of it.
const TURNS: usize = 16;

/// In [`Team::state`]: the loop takes threads.
const OPEN: u64 = 1 << 31;

/// In [`Team::state`]: how many threads are in the loop.
const INSIDE: u64 = OPEN - 1;

struct Team {
    /// Whether a loop is going on.
    taken: AtomicBool,
    /// The number of the loop in the upper half, [`OPEN`], and [`INSIDE`].
    state: AtomicU64,
    /// The loop. Written by who has `taken` while the state is closed and nobody inside, read by those inside.
    work: UnsafeCell<Work>,
    next: AtomicUsize,
    helpers: Vec<Helper>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is written and read in turns, as its comment says; all else is for many threads.
unsafe impl Sync for Team {}

#[derive(Clone, Copy)]
struct Work {
    call: unsafe fn(*const (), usize),
    task: *const (),
    tasks: usize,
    /// Tasks that a thread takes at a time.
    each: usize,
}

#[derive(Default)]
struct Helper {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

/// # Safety
/// `task` points to an `F`.
unsafe fn call<F: Fn(usize)>(task: *const (), i: usize) {
    // SAFETY: the caller's.
    unsafe { (*task.cast::<F>())(i) }
}

impl Team {
    /// The team beside the threads that call it; none where the system gives no thread.
    fn of_this_process() -> Option<&'static Team> {
        static TEAM: OnceLock<Option<&'static Team>> = OnceLock::new();
        *TEAM.get_or_init(|| Team::start(rayon::current_num_threads() - 1))
    }

    /// Starts `helpers` threads, which end with the process.
    fn start(helpers: usize) -> Option<&'static Team> {
        let team: &'static Team = Box::leak(Box::new(Team {
            taken: AtomicBool::new(false),
            state: AtomicU64::new(0),
            work: UnsafeCell::new(Work {
                call: call::<fn(usize)>,
                task: std::ptr::null(),
                tasks: 0,
                each: 1,
            }),
            next: AtomicUsize::new(0),
            helpers: (0..helpers).map(|_| Helper::default()).collect(),
            panic: Mutex::new(None),
        }));
        let mut started = 0;
        for (i, helper) in team.helpers.iter().enumerate() {
            let name = format!("sconce-team-{i}");
            let thread = std::thread::Builder::new().name(name).spawn(move || team.help(helper));
            let Ok(thread) = thread else { break };
            started += usize::from(helper.thread.set(thread.thread().clone()).is_ok());
        }
        (started > 0).then_some(team)
    }

    /// Runs a loop; false, and nothing done, where another one is going on.
    fn run<F: Fn(usize) + Sync>(&self, tasks: usize, task: &F) -> bool {
        if self.taken.swap(true, Ordering::Acquire) {
            return false;
        }
        let threads = self.helpers.len() + 1;
        let work = Work {
            call: call::<F>,
            task: std::ptr::from_ref(task).cast(),
            tasks,
            each: (tasks / (threads * TURNS)).max(1),
        };
        // SAFETY: this thread has `taken`, and the last loop ended when nobody was inside.
        unsafe { *self.work.get() = work };
        self.next.store(0, Ordering::Relaxed);
        let number = (self.state.load(Ordering::Relaxed) >> 32) + 1;
        self.state.store(number << 32 | OPEN, Ordering::SeqCst);
        for helper in &self.helpers {
            // either this sees that the helper sleeps, or the helper sees the loop: both are in one order
            if helper.asleep.load(Ordering::SeqCst)
                && helper.asleep.swap(false, Ordering::SeqCst)
                && let Some(thread) = helper.thread.get()
            {
                thread.unpark();
            }
        }
        self.take_part(work);
        self.state.fetch_and(!OPEN, Ordering::Relaxed);
        let mut looks = 0;
        while self.state.load(Ordering::Acquire) & INSIDE != 0 {
            wait(&mut looks);
        }
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.taken.store(false, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        true
    }

    /// Does parts of the loop until none is left.
    fn take_part(&self, work: Work) {
        IN_LOOP.set(true);
        let part = || {
            loop {
                let from = self.next.fetch_add(work.each, Ordering::Relaxed);
                for i in from..work.tasks.min(from.saturating_add(work.each)) {
                    // SAFETY: the closure lives until `run` returns, which waits for all who take part.
                    unsafe { (work.call)(work.task, i) };
                }
                if from >= work.tasks {
                    break;
                }
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(part)) {
            // nobody begins another part
            self.next.store(work.tasks, Ordering::Relaxed);
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
        IN_LOOP.set(false);
    }

    /// A helper's life.
    fn help(&self, me: &Helper) -> ! {
        let mut last = 0;
        loop {
            last = self.enter(me, last);
            // SAFETY: nobody writes it while this thread is inside.
            let work = unsafe { *self.work.get() };
            self.take_part(work);
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for a loop after the one numbered `last`, and goes inside; its number.
    fn enter(&self, me: &Helper, last: u64) -> u64 {
        let (mut since, mut looks) = (None, 0);
        loop {
            let state = self.state.load(Ordering::SeqCst);
            if state & OPEN != 0 && state >> 32 != last {
                let inside = (Ordering::Acquire, Ordering::Relaxed);
                if self.state.compare_exchange_weak(state, state + 1, inside.0, inside.1).is_ok() {
                    me.asleep.store(false, Ordering::Relaxed);
                    return state >> 32;
                }
                continue;
            }
            if me.asleep.load(Ordering::Relaxed) {
                std::thread::park();
                if !me.asleep.load(Ordering::Relaxed) {
                    (since, looks) = (None, 0);
                }
                continue;
            }
            wait(&mut looks);
            if looks == 0 && since.get_or_insert_with(Instant::now).elapsed() > AWAKE {
                // the state is looked at once more before sleep
                me.asleep.store(true, Ordering::SeqCst);
            }
        }
    }
}

/// A moment; now and then, when `looks` is 0 again, others' turn.
fn wait(looks: &mut u32) {
    *looks = (*looks + 1) % LOOKS;
    if *looks == 0 {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests;
