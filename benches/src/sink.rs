//! An intake that does as little as one can: it reads what is posted and acknowledges it, or
//! reads and never answers. A process of its own, so that its CPU time is nobody else's.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Result;

#[derive(Clone, Copy, PartialEq)]
pub enum Manner {
    Answers,
    Hangs,
}

/// What came so far.
#[derive(Clone, Copy, Default)]
pub struct Received {
    pub requests: u64,
    pub bytes: u64,
    pub spans: u64,
}

/// Each span has one of these, as llmobs and as ddtrace write it.
const MARK: &[u8] = b"\"parent_id\":";

/// Serves until the process is ended; the address is the first line of the output.
pub fn run(manner: Manner) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let counts = Arc::new(Counts::default());
    for stream in listener.incoming() {
        let (stream, counts) = (stream?, Arc::clone(&counts));
        // A connection that breaks is the client's affair.
        std::thread::spawn(move || serve(stream, manner, &counts).ok());
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    bytes: AtomicU64,
    spans: AtomicU64,
}

fn serve(mut stream: TcpStream, manner: Manner, counts: &Counts) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(256 * 1024, stream.try_clone()?);
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let asks = line.clone();
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        let answer = if asks.starts_with("GET /info ") {
            r#"{"endpoints":["/v0.4/traces","/evp_proxy/v2/"]}"#.to_owned()
        } else if asks.starts_with("GET /received ") {
            let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let (requests, bytes, spans) =
                (of(&counts.requests), of(&counts.bytes), of(&counts.spans));
            format!("{requests} {bytes} {spans}")
        } else {
            let spans = memchr::memmem::find_iter(&body, MARK).count();
            counts.requests.fetch_add(1, Ordering::Relaxed);
            counts.bytes.fetch_add(length as u64, Ordering::Relaxed);
            counts.spans.fetch_add(spans as u64, Ordering::Relaxed);
            if manner == Manner::Hangs {
                continue;
            }
            "{}".to_owned()
        };
        let head = "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: ";
        stream.write_all(format!("{head}{}\r\n\r\n{answer}", answer.len()).as_bytes())?;
    }
}

/// The process of an intake; it ends with this value.
pub struct Sink {
    process: Child,
    pub address: SocketAddr,
}

impl Sink {
    pub fn start(manner: Manner) -> Result<Self> {
        let manner = match manner {
            Manner::Answers => "answers",
            Manner::Hangs => "hangs",
        };
        let mut process = Command::new(std::env::current_exe()?)
            .args(["sink", manner])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let out = process.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut address)?;
        let address = address.trim().parse()?;
        Ok(Self { process, address })
    }

    pub fn received(&self) -> Result<Received> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /received HTTP/1.1\r\n\r\n")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, numbers) = answer.rsplit_once("\r\n").ok_or("no answer")?;
        let mut numbers = numbers.split(' ').map(str::parse);
        let mut next = || numbers.next().ok_or("too few numbers");
        Ok(Received {
            requests: next()??,
            bytes: next()??,
            spans: next()??,
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // One that has gone already needs no end.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
