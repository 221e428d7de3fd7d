//! How programs end, and what becomes of what waits: exits, forks, signals, and flushes from wherever they are asked
//! for. A program that ends is a process of its own, `program.rs`.

mod flushes;
#[cfg(unix)]
mod processes;
