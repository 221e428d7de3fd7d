//! The program's panic hook, which llmobs goes in front of, is the program's still. By itself, since a hook is
//! one for the whole process.

use std::panic::{catch_unwind, set_hook, take_hook};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use llmobs::{Config, Destination, Memory, task};

const SOON: Duration = Duration::from_secs(60);

#[task]
#[track_caller]
fn fails(message: &str) -> Result<u8, String> {
    if message.is_empty() {
        return Ok(1);
    }
    panic!("{message}")
}

/// What a program reports its panics with, on a thread of its own.
fn report(requests: Receiver<Sender<u8>>) {
    for answer in requests {
        answer.send(fails("").unwrap()).unwrap();
    }
}

#[test]
fn the_programs_hook_may_wait_for_an_annotated_function_and_may_be_changed() {
    let told = std::sync::Arc::new(Mutex::new(0));
    let (requests, received) = channel::<Sender<u8>>();
    let reporter = thread::spawn(move || report(received));
    let count = std::sync::Arc::clone(&told);
    set_hook(Box::new(move |_| {
        let (answer, answered) = channel();
        requests.send(answer).unwrap();
        *count.lock().unwrap() += answered.recv_timeout(SOON).unwrap();
    }));
    let memory = Memory::new();
    let config = Config::new()
        .ml_app("hooks")
        .destination(Destination::Memory(memory.clone()));
    let guard = config.enable().unwrap();

    catch_unwind(|| fails("first")).unwrap_err();
    assert_eq!(*told.lock().unwrap(), 1, "the program's hook is called");
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    catch_unwind(|| fails("silenced")).unwrap_err();
    set_hook(hook);
    catch_unwind(|| fails("second")).unwrap_err();
    assert_eq!(*told.lock().unwrap(), 2);

    // Ours goes with the program's, whose end of the channel goes with it.
    drop(take_hook());
    reporter.join().unwrap();
    llmobs::flush(SOON).unwrap();
    let spans = memory.spans();
    let errors = spans.iter().filter(|span| span["status"] == "error");
    let messages: Vec<_> = errors
        .map(|span| span["meta"]["error"]["message"].as_str().unwrap())
        .collect();
    let unseen = "the message of this panic cannot be seen below `#[track_caller]`";
    assert_eq!(messages, ["first", unseen, "second"]);
    drop(guard);
}
