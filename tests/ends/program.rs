//! The program that the tests of this folder start: it ends in the way that its first argument names. The second
//! one is where its events go.

#[cfg(unix)]
mod unix;

fn main() {
    #[cfg(unix)]
    unix::main();
}
