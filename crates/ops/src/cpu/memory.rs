//! An allocator that keeps large blocks for the next who asks: the system takes them back and hands out fresh pages, whose
//! faults are up to a third of a training step.
//!
//! A program asks for it with
//!
//! ```
//! use sconce_ops::memory::Reusing;
//!
//! #[global_allocator]
//! static MEMORY: Reusing = Reusing::new();
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// Bytes from which a block is kept: as a power of two, and as a number.
const SMALLEST_POWER: u32 = 17;
const SMALLEST: usize = 1 << SMALLEST_POWER;
/// Sizes of blocks between a power of two and the next: a block is at most an eighth larger than asked for.
const STEPS: usize = 8;
const STEPS_POWER: u32 = STEPS.trailing_zeros();
/// Powers of two that have lists of their own; what is larger goes to the system.
const POWERS: usize = 20;
/// Bytes kept at most. When a block would exceed them, all are given back, so that blocks of past sizes go.
const MOST: usize = 2 << 30;
/// Of every kept block: a cache line, so that no vector straddles two.
const ALIGNMENT: usize = 64;
/// Bytes of a huge page, and alignment of blocks that have room for several.
const HUGE: usize = 2 << 20;

/// Keeps up to 2 GiB of freed blocks of 128 KiB and more; everything else is the system's.
#[derive(Debug)]
pub struct Reusing {
    kept: Mutex<Kept>,
}

/// Freed blocks by size: each begins with the address of the next.
#[derive(Debug)]
struct Kept {
    first: [*mut Block; POWERS * STEPS],
    bytes: usize,
}

#[derive(Debug)]
struct Block {
    next: *mut Block,
}

// SAFETY: the blocks belong to nobody else; who takes one out owns it, on any thread.
unsafe impl Send for Kept {}

/// A list, and the layout of its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Class {
    index: usize,
    layout: Layout,
}

impl Class {
    /// That of blocks for this layout, if they are kept.
    fn of(layout: Layout) -> Option<Self> {
        if layout.size() < SMALLEST || layout.align() > ALIGNMENT {
            return None;
        }
        let power = layout.size().ilog2();
        let step = power - STEPS_POWER;
        // as many steps above the power of two as are needed; the last of them is the next power
        let steps = (layout.size() - (1 << power)).div_ceil(1 << step);
        let index = ((power - SMALLEST_POWER) as usize) * STEPS + steps;
        let size = (1usize << power) + (steps << step);
        Self::with(index, size)
    }

    /// That of a list.
    fn at(index: usize) -> Option<Self> {
        let power = SMALLEST_POWER + (index / STEPS) as u32;
        Self::with(index, (1 << power) + ((index % STEPS) << (power - STEPS_POWER)))
    }

    fn with(index: usize, size: usize) -> Option<Self> {
        let alignment = if size >= 2 * HUGE { HUGE } else { ALIGNMENT };
        let layout = Layout::from_size_align(size, alignment).ok()?;
        (index < POWERS * STEPS).then_some(Self { index, layout })
    }

    /// A block from the system.
    fn fresh(self) -> *mut u8 {
        // SAFETY: the size is not zero.
        let block = unsafe { System.alloc(self.layout) };
        #[cfg(target_os = "linux")]
        if !block.is_null() && self.layout.align() == HUGE {
            use rustix::mm::{Advice, madvise};
            // SAFETY: advice changes no content. Without it the block is only slower.
            let _ = unsafe { madvise(block.cast(), self.layout.size(), Advice::LinuxHugepage) };
        }
        block
    }
}

impl Reusing {
    /// Keeps nothing yet.
    pub const fn new() -> Self {
        Self { kept: Mutex::new(Kept { first: [null_mut(); POWERS * STEPS], bytes: 0 }) }
    }

    /// Gives all kept blocks back to the system.
    #[cfg(test)]
    fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A kept block, or null.
    fn take(&self, class: Class) -> *mut u8 {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let block = kept.first[class.index];
        if !block.is_null() {
            // SAFETY: `put` wrote it, and the block was nobody's since.
            kept.first[class.index] = unsafe { (*block).next };
            kept.bytes -= class.layout.size();
        }
        block.cast()
    }

    fn put(&self, class: Class, block: *mut u8) {
        let block: *mut Block = block.cast();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + class.layout.size() > MOST {
            kept.clear();
        }
        // SAFETY: a freed block, aligned and large enough.
        unsafe { (*block).next = kept.first[class.index] };
        kept.first[class.index] = block;
        kept.bytes += class.layout.size();
    }
}

impl Kept {
    fn clear(&mut self) {
        for (index, first) in self.first.iter_mut().enumerate() {
            while let (false, Some(class)) = (first.is_null(), Class::at(index)) {
                let block = *first;
                // SAFETY: `put` wrote `next` and the block is nobody's; it came from the system in this class's layout.
                unsafe {
                    *first = (*block).next;
                    System.dealloc(block.cast(), class.layout);
                }
            }
        }
        self.bytes = 0;
    }
}

impl Default for Reusing {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: a block of a class comes from the system in the class's layout, which holds the asked one, and goes back in the
// same; until it is freed no list has it. Nothing here panics, and the lock is not held while the system allocates.
unsafe impl GlobalAlloc for Reusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = Class::of(layout) else {
            // SAFETY: the caller's.
            return unsafe { System.alloc(layout) };
        };
        let block = self.take(class);
        if block.is_null() { class.fresh() } else { block }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = Class::of(layout) else {
            // SAFETY: the caller's.
            return unsafe { System.alloc_zeroed(layout) };
        };
        let block = self.take(class);
        if block.is_null() {
            // SAFETY: the size is not zero.
            return unsafe { System.alloc_zeroed(class.layout) };
        }
        // SAFETY: the block has at least this size.
        unsafe { block.write_bytes(0, layout.size()) };
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match Class::of(layout) {
            Some(class) => self.put(class, block),
            // SAFETY: the caller's: `alloc` had it from the system in this layout.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's: `size` is in bounds for the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (Class::of(layout), Class::of(wanted)) {
            // SAFETY: the caller's.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some(old), Some(new)) if old == new => block,
            // SAFETY: `block` and `target` hold the smaller of both sizes and do not overlap.
            _ => unsafe {
                let target = self.alloc(wanted);
                if !target.is_null() {
                    target.copy_from_nonoverlapping(block, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                target
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 4).unwrap()
    }

    fn filled(memory: &Reusing, size: usize, with: u8) -> *mut u8 {
        // SAFETY: a size above zero, written in full.
        unsafe {
            let block = memory.alloc(layout(size));
            block.write_bytes(with, size);
            block
        }
    }

    fn content(block: *mut u8, size: usize) -> &'static [u8] {
        // SAFETY: the tests read what they wrote and have not freed.
        unsafe { std::slice::from_raw_parts(block, size) }
    }

    #[test]
    fn blocks_of_a_class_hold_all_its_sizes() {
        let mut last = None;
        for size in (SMALLEST..4 * SMALLEST).step_by(97).chain([1 << 30, (1 << 30) + 1]) {
            let class = Class::of(layout(size)).unwrap();
            assert!(class.layout.size() >= size && class.layout.size() <= size + size / 8 + 1);
            assert_eq!(Class::at(class.index), Some(class), "{size}");
            assert!(last <= Some(class.index), "{size}");
            last = Some(class.index);
        }
        assert_eq!(Class::of(layout(SMALLEST - 1)), None);
        assert_eq!(Class::of(layout(1 << 40)), None);
        assert_eq!(Class::of(Layout::from_size_align(SMALLEST, 4096).unwrap()), None);
    }

    #[test]
    fn a_freed_block_serves_the_next_of_its_class() {
        let memory = Reusing::new();
        let (a, b) = (filled(&memory, 200_000, 1), filled(&memory, 200_000, 2));
        assert_ne!(a, b);
        assert_eq!(a.align_offset(ALIGNMENT), 0);
        // SAFETY: each is freed once, in its layout.
        unsafe {
            memory.dealloc(a, layout(200_000));
            let c = memory.alloc_zeroed(layout(199_000));
            assert_eq!(a, c);
            assert!(content(c, 199_000).iter().all(|&v| v == 0));
            assert!(content(b, 200_000).iter().all(|&v| v == 2));
            memory.dealloc(c, layout(199_000));
            memory.dealloc(b, layout(200_000));
        }
        assert!(memory.kept.lock().unwrap().bytes >= 400_000);
        memory.clear();
        assert_eq!(memory.kept.lock().unwrap().bytes, 0);
    }

    #[test]
    fn growing_and_shrinking_keep_the_content() {
        let memory = Reusing::new();
        let sizes = [100, 150_000, 150_100, 1_000_000, 5_000_000, 140_000, 60];
        let mut block = filled(&memory, sizes[0], 7);
        for pair in sizes.windows(2) {
            // SAFETY: the block has the first of both sizes; what it grew by is written.
            unsafe {
                block = memory.realloc(block, layout(pair[0]), pair[1]);
                let both = pair[0].min(pair[1]);
                assert!(content(block, both).iter().all(|&v| v == 7), "{pair:?}");
                block.write_bytes(7, pair[1]);
            }
        }
        // SAFETY: its last size.
        unsafe { memory.dealloc(block, layout(60)) };
        memory.clear();
    }

    #[test]
    fn no_more_is_kept_than_said() {
        let memory = Reusing::new();
        let size = MOST / 4;
        // not written: their pages cost nothing
        // SAFETY: sizes above zero; each is freed once.
        unsafe {
            let blocks = [(); 6].map(|()| memory.alloc(layout(size)));
            for block in blocks {
                memory.dealloc(block, layout(size));
                assert!(memory.kept.lock().unwrap().bytes <= MOST);
            }
        }
        assert_eq!(memory.kept.lock().unwrap().bytes, 2 * size);
        memory.clear();
    }

    #[test]
    fn threads_never_share_a_block() {
        let memory = Reusing::new();
        std::thread::scope(|scope| {
            for id in 1..=4u8 {
                let memory = &memory;
                scope.spawn(move || {
                    for round in 0..if cfg!(miri) { 3 } else { 300 } {
                        let size = SMALLEST + 20_000 * (round % 3);
                        let blocks = [(); 3].map(|()| filled(memory, size, id));
                        std::thread::yield_now();
                        for block in blocks {
                            assert!(content(block, size).iter().all(|&v| v == id));
                            // SAFETY: freed once.
                            unsafe { memory.dealloc(block, layout(size)) };
                        }
                    }
                });
            }
        });
        memory.clear();
    }
}
