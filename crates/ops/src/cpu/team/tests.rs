use super::*;

/// Loops run beside each other and inside each other; each task once, whatever thread does it.
fn once(run: impl Fn(usize, &(dyn Fn(usize) + Sync))) {
    for tasks in [0, 1, 2, 3, 17, 1000] {
        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        run(tasks, &|i| {
            counts[i].fetch_add(1, Ordering::Relaxed);
        });
        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{tasks} tasks");
    }
}

#[test]
fn each_task_is_done_once_however_long_the_threads_waited() {
    let team = Team::start(3).unwrap();
    let pauses = [0, 0, 100, 3000, 0, 900, 1000, 1100];
    for micros in pauses.into_iter().cycle().take(400) {
        once(|tasks, task| assert!(team.run(tasks, &task)));
        std::thread::sleep(Duration::from_micros(micros));
    }
    let state = team.state.load(Ordering::SeqCst);
    assert_eq!(state & (OPEN | INSIDE), 0);
}

#[test]
fn all_threads_take_part_in_a_long_loop() {
    let team = Team::start(2).unwrap();
    let threads = Mutex::new(std::collections::BTreeMap::new());
    // the first tasks wait for each other, so that each has a thread of its own
    let barrier = std::sync::Barrier::new(3);
    let task = |_| {
        let id = format!("{:?}", std::thread::current().id());
        let first = !threads.lock().unwrap().contains_key(&id);
        *threads.lock().unwrap().entry(id).or_insert(0) += 1;
        if first {
            barrier.wait();
        }
    };
    assert!(team.run(300, &task));
    let threads = threads.into_inner().unwrap();
    assert_eq!((threads.len(), threads.values().sum::<i32>()), (3, 300));
}

#[test]
fn a_second_loop_is_told_that_the_team_is_taken() {
    let team = Team::start(1).unwrap();
    let done = AtomicUsize::new(0);
    let outer = |_| {
        assert!(!team.run(5, &|_| panic!("a loop inside a loop")));
        done.fetch_add(1, Ordering::Relaxed);
    };
    assert!(team.run(4, &outer));
    assert_eq!(done.into_inner(), 4);
}

#[test]
fn loops_inside_loops_and_beside_loops_are_done() {
    let total = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    once(|tasks, task| each(tasks, task));
                    each(7, |_| {
                        each(9, |_| {
                            total.fetch_add(1, Ordering::Relaxed);
                        })
                    });
                }
            });
        }
    });
    assert_eq!(total.into_inner(), 4 * 50 * 63);
}

#[test]
fn a_panic_is_passed_on_when_nobody_uses_the_loop_any_more() {
    let team = Team::start(2).unwrap();
    for _ in 0..50 {
        let inside = AtomicUsize::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            team.run(100, &|i| {
                inside.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_micros(10));
                inside.fetch_sub(1, Ordering::SeqCst);
                assert!(i != 40, "task 40");
            })
        }));
        let message = *caught.unwrap_err().downcast::<&str>().unwrap();
        assert_eq!((message, inside.load(Ordering::SeqCst)), ("task 40", 0));
        // and the next loop is as if nothing had been
        once(|tasks, task| assert!(team.run(tasks, &task)));
    }
}

#[test]
fn results_stand_in_order_and_parts_are_moved() {
    let squares = map(1000, |i| i * i);
    assert!(squares.iter().enumerate().all(|(i, &square)| square == i * i));
    let mut values = vec![0; 1000];
    all(values.chunks_mut(7).enumerate(), |(i, part)| part.fill(i));
    assert!(values.iter().enumerate().all(|(i, &value)| value == i / 7));
    // in a pool of rayon's, too
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(pool.install(|| map(100, |i| i)), (0..100).collect::<Vec<_>>());
}
