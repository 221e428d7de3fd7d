//! The connections: reads requests, asks for the answer, writes it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::message::{Ending, Reading, Reply, Request, Then};
use super::{Handshake, Shared};

const MAX_HEADERS: usize = 100;

pub(super) async fn serve_tcp(stream: TcpStream, shared: Arc<Shared>) {
    let _open = shared.connected();
    // Closed before it counts as closed.
    let mut stream = stream;
    let _ = stream.set_nodelay(true);
    if serve(&mut stream, &shared).await == Ending::Reset {
        let _ = stream.set_zero_linger();
    }
}

pub(super) async fn accept_tls(
    listener: TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
    shared: Arc<Shared>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            match acceptor.accept(stream).await {
                Ok(mut stream) => {
                    let (_, connection) = stream.get_ref();
                    shared.handshake(Ok(Handshake {
                        server_name: connection.server_name().map(str::to_owned),
                        version: connection
                            .protocol_version()
                            .map_or_else(String::new, |version| format!("{version:?}")),
                        suite: connection
                            .negotiated_cipher_suite()
                            .map_or_else(String::new, |suite| format!("{:?}", suite.suite())),
                    }));
                    serve(&mut stream, &shared).await;
                }
                Err(error) => shared.handshake(Err(error.to_string())),
            }
        });
    }
}

#[cfg(unix)]
pub(super) async fn serve_unix(stream: tokio::net::UnixStream, shared: Arc<Shared>) {
    let _open = shared.connected();
    let mut stream = stream;
    serve(&mut stream, &shared).await;
}

/// Serves one connection until it is to be closed, and says how.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, shared: &Shared) -> Ending {
    let mut connection = Connection {
        stream,
        buffer: Vec::with_capacity(64 * 1024),
    };
    loop {
        let request = match connection.read_request(shared).await {
            Ok(Read::Whole(request)) => request,
            Ok(Read::Ended(ending)) => return ending,
            Err(error) => {
                shared.broken(format!("broken request: {error}"));
                return Ending::HangUp;
            }
        };
        let stays_open = request.header("connection") != Some("close");
        let reply = shared.answer(request);
        let ending = connection.write(&reply).await;
        if ending != Ending::Answer || !stays_open {
            return ending;
        }
    }
}

struct Connection<'a, S> {
    stream: &'a mut S,
    /// Read and not yet used: the rest of a request, or the beginning of the next.
    buffer: Vec<u8>,
}

/// What came of reading a request.
enum Read {
    Whole(Request),
    /// The client has closed the connection between two, or the script ends it.
    Ended(Ending),
}

struct Head {
    bytes: usize,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// The next request.
    async fn read_request(&mut self, shared: &Shared) -> io::Result<Read> {
        let head = loop {
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
            if !self.read_more().await? {
                return if self.buffer.is_empty() {
                    Ok(Read::Ended(Ending::HangUp))
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        };
        self.buffer.drain(..head.bytes);
        let scripted = (head.method != "GET").then(|| shared.reading()).flatten();
        if let Some(reading) = scripted {
            return Ok(Read::Ended(self.read_badly(reading).await));
        }
        let body = if head
            .headers
            .get("transfer-encoding")
            .is_some_and(|coding| coding.contains("chunked"))
        {
            self.read_chunks().await?
        } else {
            let length = head
                .headers
                .get("content-length")
                .map_or(Ok(0), |length| length.parse());
            self.take(length.map_err(io::Error::other)?).await?
        };
        let request = Request::new(head.method, head.path, head.headers, body);
        Ok(Read::Whole(request))
    }

    /// Reads the body as the script has it; never all of it.
    async fn read_badly(&mut self, reading: Reading) -> Ending {
        match reading {
            Reading::ResetAfter(bytes) => {
                let _ = self.take(bytes).await;
                Ending::Reset
            }
            Reading::HangUpAfter(bytes) => {
                let _ = self.take(bytes).await;
                Ending::HangUp
            }
            Reading::Slowly(pause) => {
                let mut byte = [0];
                while self.stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
                    tokio::time::sleep(pause).await;
                }
                Ending::HangUp
            }
        }
    }

    async fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.take_line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
            if size == 0 {
                // Trailers, up to an empty line.
                while !self.take_line().await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size).await?);
            self.take_line().await?;
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        self.buffer
            .reserve(length.saturating_sub(self.buffer.len()));
        while self.buffer.len() < length {
            self.need_more().await?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    async fn take_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.take(end + 2).await?;
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.need_more().await?;
        }
    }

    async fn need_more(&mut self) -> io::Result<()> {
        if self.read_more().await? {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Whether anything came; a reset between two requests counts as the end, and so does a client that leaves TLS without
    /// a word.
    async fn read_more(&mut self) -> io::Result<bool> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(count) => Ok(count > 0),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn write(&mut self, reply: &Reply) -> Ending {
        if !reply.delay.is_zero() {
            tokio::time::sleep(reply.delay).await;
        }
        match reply.ending {
            Ending::Answer => {
                let written = self.write_answer(reply).await;
                match reply.then {
                    Then::Reset => Ending::Reset,
                    Then::HangUp => Ending::HangUp,
                    Then::GoOn if written.is_err() || reply.lies_about_length() => Ending::HangUp,
                    Then::GoOn => Ending::Answer,
                }
            }
            Ending::Hang => {
                while self.read_more().await.unwrap_or(false) {
                    self.buffer.clear();
                }
                Ending::HangUp
            }
            ending @ (Ending::HangUp | Ending::Reset) => ending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    async fn write_answer(&mut self, reply: &Reply) -> io::Result<()> {
        let answer = reply.encode();
        let Some((at_once, pause)) = reply.drips else {
            return self.stream.write_all(&answer).await;
        };
        let (at_once, bytes) = answer.split_at(at_once);
        self.stream.write_all(at_once).await?;
        for byte in bytes {
            self.stream.write_all(&[*byte]).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }
}

fn parse_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let mut by_name = BTreeMap::<String, String>::new();
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value).into_owned();
        by_name
            .entry(header.name.to_ascii_lowercase())
            .and_modify(|known| *known = format!("{known}, {value}"))
            .or_insert(value);
    }
    Ok(Some(Head {
        bytes: length,
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        headers: by_name,
    }))
}
