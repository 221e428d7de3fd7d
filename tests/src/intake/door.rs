//! Where an intake listens, and how it goes away and comes back at the same place.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use super::{Shared, server};

/// How many connections wait until they are accepted.
const BACKLOG: u32 = 1024;

/// What an intake does with those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Serves them.
    Up,
    /// Nobody listens; the connections that there were are closed.
    Down,
    /// The system takes a connection or two, which nobody accepts.
    Deaf,
}

/// A change of state, and where to say that it has taken place.
pub(super) type Change = (State, Done);
type Done = std::sync::mpsc::Sender<()>;

/// The test's end.
pub(super) struct Handle(pub(super) UnboundedSender<Change>);

impl Handle {
    pub(super) fn turn(&self, state: State) {
        let (done, is_done) = std::sync::mpsc::channel();
        self.0.send((state, done)).expect("the server runs");
        is_done.recv().expect("the server runs");
    }
}

/// A port of 127.0.0.1. While it is down, a socket that does not listen keeps the port.
pub(super) struct Port {
    address: SocketAddr,
    place: Place,
}

enum Place {
    Bound(TcpSocket),
    Listening(TcpListener),
}

impl Port {
    pub(super) fn reserve() -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        Port {
            address: socket.local_addr().expect("an address"),
            place: Place::Bound(socket),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Goes into a state.
    fn turn(self, state: State) -> Self {
        let Port { address, place } = self;
        let listen = |socket: TcpSocket, backlog| socket.listen(backlog).expect("a port of ours");
        let place = match (state, place) {
            (State::Down, Place::Listening(listener)) => {
                drop(listener);
                Place::Bound(bound(address))
            }
            (State::Deaf, Place::Bound(socket)) => Place::Listening(listen(socket, 1)),
            (State::Up, Place::Bound(socket)) => Place::Listening(listen(socket, BACKLOG)),
            (_, place) => place,
        };
        Port { address, place }
    }

    pub(super) async fn serve(
        mut self,
        mut state: State,
        mut changes: UnboundedReceiver<Change>,
        shared: Arc<Shared>,
    ) {
        let mut done = None::<Done>;
        loop {
            self = self.turn(state);
            if let Some(done) = done.take() {
                let _ = done.send(());
            }
            let change = match &self.place {
                Place::Listening(listener) if state == State::Up => {
                    let mut connections = JoinSet::new();
                    let change = loop {
                        tokio::select! {
                            change = changes.recv() => break change,
                            Ok((stream, _)) = listener.accept() => {
                                connections.spawn(server::serve_tcp(stream, Arc::clone(&shared)));
                            }
                        }
                    };
                    connections.shutdown().await;
                    change
                }
                _ => changes.recv().await,
            };
            let Some((next, asked)) = change else { return };
            (state, done) = (next, Some(asked));
        }
    }
}

/// A socket that holds an address and does not listen.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Connections of before must not keep the port from those to come.
    socket.set_reuseaddr(true).expect("an option of sockets");
    socket.bind(address).expect("a port of ours");
    socket
}

/// Serves at a Unix socket's path, which is gone while nobody listens.
#[cfg(unix)]
pub(super) async fn serve_unix(
    path: std::path::PathBuf,
    mut state: State,
    mut changes: UnboundedReceiver<Change>,
    shared: Arc<Shared>,
) {
    let mut done = None::<Done>;
    loop {
        let listener = (state == State::Up)
            .then(|| tokio::net::UnixListener::bind(&path).expect("a fresh path"));
        if let Some(done) = done.take() {
            let _ = done.send(());
        }
        let change = match listener {
            Some(listener) => {
                let mut connections = JoinSet::new();
                let change = loop {
                    tokio::select! {
                        change = changes.recv() => break change,
                        Ok((stream, _)) = listener.accept() => {
                            connections.spawn(server::serve_unix(stream, Arc::clone(&shared)));
                        }
                    }
                };
                connections.shutdown().await;
                let _ = std::fs::remove_file(&path);
                change
            }
            None => changes.recv().await,
        };
        let Some((next, asked)) = change else { return };
        (state, done) = (next, Some(asked));
    }
}
