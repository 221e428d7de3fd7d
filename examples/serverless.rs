//! A function that is frozen between its requests, as on AWS Lambda or Cloud Run: each
//! request flushes before it answers, and no longer than its own deadline allows.
//!
//!     cargo run --release --example serverless
//!
//! It prints what the flush adds to a request, against an intake on this machine that
//! answers at once. The last request meets one that hangs: the flush gives up in time, and
//! what waits goes out with the next request that the function gets, if it gets one.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use llmobs::{Config, FlushError, llm, workflow};

const REQUESTS: usize = 200;

/// What the platform keeps for its own end of a request.
const RESERVE: Duration = Duration::from_millis(50);

#[llm(model_name = "parrot", model_provider = "example")]
async fn ask(question: &str) -> String {
    // Stands for the request.
    std::future::ready(()).await;
    format!("You said: {question}")
}

#[workflow]
async fn answer(question: &str) -> String {
    ask(question).await
}

/// What the platform calls, until `deadline`. The answer does not depend on the flush.
async fn handle(question: &str, deadline: Instant) -> (String, Result<(), FlushError>) {
    let answer = answer(question).await;
    let left = deadline.saturating_duration_since(Instant::now());
    let flushed = llmobs::flush_async(left.saturating_sub(RESERVE)).await;
    (answer, flushed.map(drop))
}

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || intake(&listener));
    // Nothing goes out in between: the platform may freeze the program at any time.
    let config = Config::new().ml_app("serverless").agent_url(url);
    // Outside of the runtime, which it outlives.
    let _llmobs = config.flush_interval(Duration::from_secs(3600)).enable()?;
    serve_requests()
}

#[tokio::main(flavor = "current_thread")]
async fn serve_requests() -> Result<(), Box<dyn Error>> {
    // The first request pays for the look at the Agent and for the connection.
    let started = Instant::now();
    handle("Hello?", started + Duration::from_secs(3)).await.1?;
    println!("first request    {:>9.1?}", started.elapsed());

    let mut bare = Vec::new();
    let mut flushed = Vec::new();
    for _ in 0..REQUESTS {
        let started = Instant::now();
        answer("Hello?").await;
        bare.push(started.elapsed());
        let started = Instant::now();
        let deadline = started + Duration::from_secs(3);
        handle("Hello?", deadline).await.1?;
        flushed.push(started.elapsed());
    }
    for (name, mut times) in [("without a flush", bare), ("with a flush", flushed)] {
        times.sort();
        let (least, median) = (times[0], times[times.len() / 2]);
        println!("{name:<16} {median:>9.1?} median, {least:>9.1?} at the least");
    }
    let arrived = SPANS.load(Ordering::Relaxed);
    println!("{arrived} spans are there, of {}", 2 + REQUESTS * 4);

    HANGS.store(true, Ordering::Relaxed);
    let started = Instant::now();
    let (said, flushed) = handle("Still there?", started + Duration::from_millis(300)).await;
    let took = started.elapsed();
    println!("{said:?} after {took:.0?}, though the intake hangs: {flushed:?}");
    HANGS.store(false, Ordering::Relaxed);
    Ok(())
}

static HANGS: AtomicBool = AtomicBool::new(false);
static SPANS: AtomicUsize = AtomicUsize::new(0);

/// An Agent that counts spans.
fn intake(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || serve(stream));
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first)?;
        let mut header = String::new();
        while reader.read_line(&mut header)? > 2 {
            let (name, value) = header.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
            header.clear();
        }
        if first.is_empty() {
            return Ok(());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        while HANGS.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
        }
        let spans = String::from_utf8_lossy(&body)
            .matches(r#""parent_id""#)
            .count();
        SPANS.fetch_add(spans, Ordering::Relaxed);
        let body = r#"{"endpoints":["/evp_proxy/v2/"]}"#;
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
    }
}
