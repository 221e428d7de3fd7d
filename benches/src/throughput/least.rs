//! The least that an event can cost who sends it: `serde_json` writes it, and a socket takes it. A
//! yardstick for the worker, of the same work on the same machine.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use llmobs::{Config, Destination, Memory};
use llmobs_bench_measure::thread_cpu;
use serde_json::Value;

use super::{answer, call, count};
use crate::Result;
use crate::sink::{Manner, Sink};

/// As many as llmobs puts into a request.
const BATCH: u64 = 1_000;

pub(super) struct Least {
    event: Value,
    body: Vec<u8>,
    stream: TcpStream,
    _sink: Sink,
}

impl Least {
    pub(super) fn start() -> Result<Self> {
        let sink = Sink::start(Manner::Answers)?;
        Ok(Self {
            event: event()?,
            body: Vec::new(),
            stream: TcpStream::connect(sink.address)?,
            _sink: sink,
        })
    }

    /// Nanoseconds of this thread's CPU time for an event.
    pub(super) fn measure(&mut self, events: u64) -> Result<f64> {
        let batches = events.div_ceil(BATCH);
        let start = thread_cpu();
        for _ in 0..batches {
            self.send()?;
        }
        Ok(count(thread_cpu() - start) / count(batches * BATCH))
    }

    fn send(&mut self) -> Result<()> {
        self.body.clear();
        for _ in 0..BATCH {
            serde_json::to_writer(&mut self.body, &self.event)?;
            self.body.push(b',');
        }
        let head = format!(
            "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
            self.body.len()
        );
        self.stream.write_all(head.as_bytes())?;
        self.stream.write_all(&self.body)?;
        let (mut answer, mut length) = ([0; 512], 0);
        while !answer[..length].ends_with(b"{}") {
            match self.stream.read(&mut answer[length..])? {
                0 => return Err("the intake has gone".into()),
                more => length += more,
            }
        }
        Ok(())
    }
}

/// The event that is measured, as it is on the wire.
fn event() -> Result<Value> {
    let memory = Memory::new();
    let client = Config::new()
        .ml_app("bench")
        .destination(Destination::Memory(memory.clone()))
        .build()?;
    client.scope(|| call(answer()));
    client.shutdown(Duration::from_secs(30))?;
    memory.spans().pop().ok_or_else(|| "no event".into())
}
