//! Functions of a crate of edition 2018, where other rules hold for paths, for what
//! closures capture, and for how long temporaries live.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Mutex;

use llmobs::{prompt, task, workflow};

/// `async` is a word of this edition, `dyn` may be left out.
#[workflow]
pub async fn asynchronous(
    text: &str,
    mut count: usize,
) -> Result<usize, Box<dyn std::error::Error>> {
    count += text.parse::<usize>()?;
    Ok(count)
}

/// A temporary of the last expression lives as long as the statement that it is in.
#[task]
pub fn temporary_at_the_end(mut list: Vec<u8>, lock: &Mutex<u8>) -> u8 {
    list.push(1);
    let shared = Mutex::new(list);
    let length = shared.lock().unwrap().len() as u8;
    *lock.lock().unwrap() + length
}

#[task]
pub fn borrow_at_the_end(mut cell: RefCell<Vec<u8>>) -> usize {
    cell.get_mut().push(1);
    cell.borrow().len()
}

#[task]
pub async fn borrow_at_the_end_async(mut cell: RefCell<Vec<u8>>) -> usize {
    cell.get_mut().push(1);
    cell.borrow().len()
}

/// Notes when it is dropped.
pub struct Noisy<'a>(pub &'static str, pub &'a RefCell<Vec<&'static str>>);

impl Noisy<'_> {
    fn length(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Noisy<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

pub fn bare(log: &RefCell<Vec<&'static str>>) -> usize {
    let _local = Noisy("local", log);
    Noisy("temporary", log).length()
}

#[task(skip(log))]
pub fn spanned(log: &RefCell<Vec<&'static str>>) -> usize {
    let _local = Noisy("local", log);
    Noisy("temporary", log).length()
}

#[task(skip(log))]
pub async fn spanned_async(log: &RefCell<Vec<&'static str>>) -> usize {
    let _local = Noisy("local", log);
    Noisy("temporary", log).length()
}

#[allow(
    clippy::manual_async_fn,
    reason = "a shape that people write, which clippy sees as it stands"
)]
#[task]
pub fn future<'a>(text: &'a str) -> impl Future<Output = usize> + 'a {
    async move { text.len() }
}

/// A lock that a value takes is open again behind the statement.
pub fn prompted(text: &str, lock: &Mutex<u8>) -> (String, String) {
    let text = prompt!("p", "{{text}}{{dyn}}{{n}}", text, dyn = 1, n = lock.lock().unwrap()).text();
    (
        text,
        prompt!(file = "prompt.txt", text = lock.lock().unwrap()).text(),
    )
}

#[task(stream)]
pub async fn stream<'a>(
    text: &'a str,
    mut words: Vec<&'a str>,
) -> Result<Box<dyn Iterator<Item = &'a str> + 'a>, String> {
    words.extend(text.split(' '));
    Ok(Box::new(words.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    #[test]
    fn case_15_edition_2018() {
        assert_eq!(block_on(asynchronous("2", 1)).unwrap(), 3);
        assert_eq!(temporary_at_the_end(vec![], &Mutex::new(1)), 2);
        assert_eq!(borrow_at_the_end(RefCell::default()), 1);
        assert_eq!(block_on(borrow_at_the_end_async(RefCell::default())), 1);
        assert_eq!(block_on(future("ab")), 2);
        let prompted = prompted("a", &Mutex::new(2));
        assert_eq!(prompted, ("a12".to_owned(), "A 2.".to_owned()));
        assert_eq!(block_on(stream("b c", vec!["a"])).unwrap().count(), 3);
    }

    #[test]
    fn case_46_temporaries_live_as_long_as_in_the_bare_function() {
        let order = |run: &dyn Fn(&RefCell<Vec<&'static str>>) -> usize| {
            let log = RefCell::default();
            run(&log);
            log.into_inner()
        };
        let expected = order(&bare);
        assert_eq!(expected, ["local", "temporary"]);
        assert_eq!(order(&spanned), expected);
        assert_eq!(order(&|log| block_on(spanned_async(log))), expected);
        let client = llmobs::Config::new()
            .ml_app("edition")
            .destination(llmobs::Destination::Memory(llmobs::Memory::new()))
            .build()
            .unwrap();
        assert_eq!(client.scope(|| order(&spanned)), expected);
    }
}
