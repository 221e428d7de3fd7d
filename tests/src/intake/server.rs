//! The connections: reads requests, asks for the answer, writes it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::message::{Ending, Reply, Request};
use super::{Handshake, Shared};

const MAX_HEADERS: usize = 100;

pub(super) async fn accept_tcp(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            if serve(&mut stream, &shared).await == Ending::Reset {
                let _ = stream.set_zero_linger();
            }
        });
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
                    }));
                    serve(&mut stream, &shared).await;
                }
                Err(error) => shared.handshake(Err(error.to_string())),
            }
        });
    }
}

#[cfg(unix)]
pub(super) async fn accept_unix(listener: tokio::net::UnixListener, shared: Arc<Shared>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move { serve(&mut stream, &shared).await });
    }
}

/// Serves one connection until it is to be closed, and says how.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, shared: &Shared) -> Ending {
    let mut connection = Connection {
        stream,
        buffer: Vec::with_capacity(64 * 1024),
    };
    loop {
        let request = match connection.read_request().await {
            Ok(Some(request)) => request,
            Ok(None) => return Ending::HangUp,
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

struct Head {
    bytes: usize,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// The next request, or none if the client has closed the connection between two.
    async fn read_request(&mut self) -> io::Result<Option<Request>> {
        let head = loop {
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
            if !self.read_more().await? {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        };
        self.buffer.drain(..head.bytes);
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
        Ok(Some(Request::new(
            head.method,
            head.path,
            head.headers,
            body,
        )))
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
                let written = self.stream.write_all(&reply.encode()).await;
                if written.is_err() || reply.lies_about_length() {
                    Ending::HangUp
                } else {
                    Ending::Answer
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
