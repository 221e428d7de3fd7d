//! One trace through two services: the headers of a request carry it on.
//!
//!     cargo run --example distributed
//!
//! Both services run in this process, each with its own client of llmobs, and talk over a
//! connection of this machine with the least HTTP that can. In a program of yours a framework
//! does the talking; with the features `tower` (`propagation::ExtractLayer`, for axum and
//! others) and `reqwest-middleware` (`propagation::InjectMiddleware`) it carries the trace too.
//!
//! Events stay in memory, and end as one tree.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use llmobs::{Config, Destination, LlmObs, Memory, agent, llm, propagation, retrieval, tool};
use serde_json::Value;

type Headers = HashMap<String, String>;
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

// The service that calls.

#[agent(session_id = "visit-7")]
fn concierge(library: SocketAddr, question: &str) -> Result<String> {
    let found = ask_the_library(library, question)?;
    Ok(format!("The library says: {found}"))
}

#[tool(skip(library))]
fn ask_the_library(library: SocketAddr, question: &str) -> Result<String> {
    let mut headers = Headers::new();
    propagation::inject(&mut headers)?;

    let mut stream = TcpStream::connect(library)?;
    write_message(&mut stream, "POST / HTTP/1.1", &headers, question)?;
    let (_, answer) = read_message(&mut BufReader::new(stream))?;
    Ok(answer)
}

// The service that is called.

fn serve(listener: &TcpListener, llmobs: &LlmObs) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let (headers, question) = read_message(&mut BufReader::new(&stream))?;
    // What starts in the context is a child of the span that sent the headers.
    let context = propagation::extract(&headers);
    let answer = llmobs.scope(|| context.in_scope(|| summarise(&search(&question))));
    write_message(&mut stream, "HTTP/1.1 200 OK", &Headers::new(), &answer)
}

#[retrieval]
fn search(question: &str) -> Vec<String> {
    let word = question.split(' ').next_back().unwrap_or_default();
    vec![format!("{word}, volume one"), format!("{word}, revisited")]
}

#[llm(model_name = "template", model_provider = "example")]
fn summarise(books: &[String]) -> String {
    format!("see {}", books.join(" and "))
}

// HTTP, as little as will do.

fn write_message(
    stream: &mut TcpStream,
    start: &str,
    headers: &Headers,
    body: &str,
) -> io::Result<()> {
    let mut text = format!("{start}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes())
}

fn read_message(stream: &mut impl BufRead) -> io::Result<(Headers, String)> {
    let mut headers = Headers::new();
    for line in stream.by_ref().lines() {
        match line?.split_once(": ") {
            Some((name, value)) => headers.insert(name.to_owned(), value.to_owned()),
            None if headers.is_empty() => continue, // the first line
            None => break,
        };
    }
    let length = headers.get("content-length").map_or(Ok(0), |n| n.parse());
    let mut body = String::new();
    let length = length.map_err(io::Error::other)?;
    stream.take(length).read_to_string(&mut body)?;
    Ok((headers, body))
}

// Both, and what came of it.

fn client(service: &str, memory: &Memory) -> Result<LlmObs> {
    let config = Config::new().ml_app(service).service(service);
    Ok(config
        .destination(Destination::Memory(memory.clone()))
        .build()?)
}

fn print_tree(spans: &[Value], parent: &Value, depth: usize) {
    for span in spans.iter().filter(|span| span["parent_id"] == *parent) {
        let tags = span["tags"].as_array().into_iter().flatten();
        let mut services = tags.filter_map(|tag| tag.as_str()?.strip_prefix("service:"));
        let (kind, name) = (&span["meta"]["span"]["kind"], &span["name"]);
        println!(
            "{:24}{}{} {}",
            services.next().unwrap_or_default(),
            "  ".repeat(depth),
            kind.as_str().unwrap_or_default(),
            name.as_str().unwrap_or_default(),
        );
        print_tree(spans, &span["span_id"], depth + 1);
    }
}

fn main() -> Result<()> {
    let memory = Memory::new();
    let (front, library) = (client("front", &memory)?, client("library", &memory)?);

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let served = {
        let library = library.clone();
        thread::spawn(move || serve(&listener, &library))
    };
    let answer = front.scope(|| concierge(address, "Where do I read about ferns"))?;
    println!("{answer}\n");
    served.join().map_err(|_| "the library panicked")??;

    for client in [front, library] {
        client.shutdown(Duration::from_secs(5))?;
    }
    let spans = memory.spans();
    print_tree(&spans, &"undefined".into(), 0);
    let traces: Vec<&Value> = spans.iter().map(|span| &span["trace_id"]).collect();
    assert!(
        traces.windows(2).all(|pair| pair[0] == pair[1]),
        "one trace"
    );
    Ok(())
}
