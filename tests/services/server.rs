//! `ExtractLayer`, by itself and in axum.

use std::convert::Infallible;
use std::future::{Future, Ready, pending, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axum::http::{HeaderMap, Request, Response};
use axum::routing::post;
use llmobs::propagation::{self, ExtractLayer};
use llmobs::{Span, prelude::*};
use llmobs_tests::tree;
use serde_json::Value;
use tower::util::MapFutureLayer;
use tower::{Layer, Service, ServiceExt as _, service_fn};

use crate::{client, http, named, spans};

/// The headers of a span, and its id.
fn caller(name: &str) -> (HeaderMap, String) {
    let span = Span::workflow(name).session_id("s-1").start();
    let _in = span.enter();
    let mut headers = HeaderMap::new();
    propagation::inject(&mut headers).unwrap();
    (headers, span.context().unwrap().span_id().into_owned())
}

fn request(headers: HeaderMap) -> Request<()> {
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    request
}

async fn answer(_: Request<()>) -> Result<Response<()>, Infallible> {
    drop(Span::task("before").start());
    tokio::task::yield_now().await;
    drop(Span::task("after").start());
    Ok(Response::new(()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_goes_on_in_the_trace_of_each_caller() {
    let (server, seen) = client("server");
    let ours = server.clone();
    let handler = |body: String| async move {
        let span = Span::workflow(format!("answer to {body}")).start();
        async { tokio::task::yield_now().await }
            .in_span(&span)
            .await;
        drop(Span::task(format!("after {body}")).start());
        body
    };
    let app = axum::Router::new()
        .route("/", post(handler))
        .layer(ExtractLayer::new())
        .layer(MapFutureLayer::new(move |future| ours.scope_future(future)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await });

    let (caller, called) = client("caller");
    let http = http();
    let calls = (0..8).map(|number: u32| {
        let request = http.post(&url).body(number.to_string());
        caller.scope_future(async move {
            let span = Span::agent(format!("caller {number}"))
                .session_id(format!("s-{number}"))
                .start();
            let answer = request.send().in_span(&span).await.unwrap();
            assert_eq!(answer.text().await.unwrap(), number.to_string());
        })
    });
    futures::future::join_all(calls).await;
    // Over a connection that others have used before.
    let bare = http.post(&url).body("none").send().await.unwrap();
    assert!(bare.status().is_success());

    let called = spans(&caller, &called);
    let seen = spans(&server, &seen);
    for number in 0..8 {
        let caller = named(&called, &format!("caller {number}"));
        for name in [format!("answer to {number}"), format!("after {number}")] {
            let span = named(&seen, &name);
            assert_eq!(span["parent_id"], caller["span_id"], "{name}");
            assert_eq!(span["trace_id"], caller["trace_id"], "{name}");
            assert_eq!(span["session_id"], format!("s-{number}"));
            let apm = "apm_trace_id";
            assert_eq!(span["_dd"][apm], caller["_dd"][apm], "{name}");
            let attribution = &span["meta"]["agent_attribution"];
            assert_eq!(attribution["pagent_span_id"], caller["span_id"]);
        }
    }
    let alone = named(&seen, "answer to none");
    assert_eq!(alone["parent_id"], "undefined");
    assert_eq!(alone["session_id"], Value::Null);
}

#[tokio::test]
async fn every_poll_is_in_the_callers_trace() {
    let (client, memory) = client("app");
    client
        .scope_future(async {
            let (headers, _) = caller("client");
            let service = ExtractLayer::new().layer(service_fn(answer));
            let other = Span::workflow("other").start();
            let answered = service.oneshot(request(headers));
            answered.in_span(&other).await.unwrap();
            drop(Span::task("beside").start());
        })
        .await;
    let spans = spans(&client, &memory);
    let expected = "workflow client\n  task before\n  task after\nworkflow other\ntask beside\n";
    assert_eq!(tree(&spans), expected);
}

#[tokio::test]
async fn headers_that_tell_nothing_leave_what_is_current() {
    let (client, memory) = client("app");
    client
        .scope_future(async {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", "00-no-trace-01".parse().unwrap());
            headers.insert("x-datadog-trace-id", "-1".parse().unwrap());
            for headers in [HeaderMap::new(), headers] {
                let outer = Span::workflow("outer").start();
                let service = ExtractLayer::new().layer(service_fn(answer));
                let answered = service.oneshot(request(headers));
                answered.in_span(&outer).await.unwrap();
            }
        })
        .await;
    let expected = "workflow outer\n  task before\n  task after\n".repeat(2);
    assert_eq!(tree(&spans(&client, &memory)), expected);
}

#[test]
fn a_span_that_starts_in_call_and_one_in_a_drop_are_the_callers() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            drop(Span::task("drop").start());
        }
    }
    let (client, memory) = client("app");
    client.scope(|| {
        let (headers, _) = caller("client");
        let mut service = ExtractLayer::new().layer(service_fn(|_: Request<()>| {
            drop(Span::task("call").start());
            let last = Last;
            async {
                let _last = last;
                pending::<Result<Response<()>, Infallible>>().await
            }
        }));
        let mut future = Box::pin(service.call(request(headers)));
        let mut task = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut task).is_pending());
        drop(future);
        drop(Span::task("beside").start());
    });
    let expected = "workflow client\n  task call\n  task drop\ntask beside\n";
    assert_eq!(tree(&spans(&client, &memory)), expected);
}

/// As strict as tower lets a service be: a clone is not ready, and a call has to be allowed.
#[derive(Default)]
struct Strict {
    polls: u32,
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<()>> for Strict {
    type Response = u32;
    type Error = &'static str;
    type Future = Ready<Result<u32, &'static str>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.polls += 1;
        match self.polls {
            1 => {
                task.waker().wake_by_ref();
                Poll::Pending
            }
            2 => {
                self.ready = true;
                Poll::Ready(Ok(()))
            }
            _ => Poll::Ready(Err("worn out")),
        }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it is ready");
        ready(Ok(self.polls))
    }
}

fn is_ready<S: Service<Request<()>>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn the_layers_call_the_very_service_that_was_ready() {
    fn check<S>(mut service: S)
    where
        S: Service<Request<()>, Response = u32, Error = &'static str> + Clone,
    {
        assert!(is_ready(&mut service).is_pending());
        assert_eq!(is_ready(&mut service), Poll::Ready(Ok(())));
        let answer = futures::executor::block_on(service.call(Request::new(())));
        assert_eq!(answer, Ok(2));
        assert_eq!(is_ready(&mut service), Poll::Ready(Err("worn out")));
        assert!(is_ready(&mut service.clone()).is_pending());
    }
    check(ExtractLayer::new().layer(Strict::default()));
    check(propagation::InjectLayer::new().layer(Strict::default()));
}

#[test]
fn a_future_that_moves_between_threads_keeps_its_trace() {
    let (client, memory) = client("app");
    let (headers, parent) = client.scope(|| caller("client"));
    let mut service = ExtractLayer::new().layer(service_fn(answer));
    let future = service.call(request(headers));
    let mut future: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(client.scope_future(future));
    loop {
        let poll = std::thread::scope(|scope| {
            let poll = || {
                future
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
            };
            scope.spawn(poll).join().unwrap()
        });
        if poll.is_ready() {
            break;
        }
    }
    drop(future);
    let spans = spans(&client, &memory);
    for name in ["before", "after"] {
        assert_eq!(named(&spans, name)["parent_id"], parent);
    }
}

#[tokio::test]
async fn a_body_is_polled_outside_of_the_trace() {
    let (client, memory) = client("app");
    client
        .scope_future(async {
            let (headers, _) = caller("client");
            let service = service_fn(|_: Request<()>| async {
                let kept = llmobs::Context::current();
                Ok::<_, Infallible>((async || drop(Span::task("chunk").start()), kept))
            });
            let service = ExtractLayer::new().layer(service);
            let (body, kept) = service.oneshot(request(headers)).await.unwrap();
            body().await;
            body().in_context(kept).await;
        })
        .await;
    let expected = "workflow client\n  task chunk\ntask chunk\n";
    assert_eq!(tree(&spans(&client, &memory)), expected);
}

#[tokio::test]
async fn a_service_that_panics_leaves_nothing_current() {
    use futures::FutureExt as _;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    async fn in_poll(_: Request<()>) -> Result<Response<()>, Infallible> {
        drop(Span::task("poll").start());
        panic!("in a poll")
    }

    let (client, memory) = client("app");
    client
        .scope_future(async {
            let (headers, _) = caller("client");
            let in_call = |_: Request<()>| -> Ready<Result<Response<()>, Infallible>> {
                drop(Span::task("call").start());
                panic!("in call")
            };
            let mut service = ExtractLayer::new().layer(service_fn(in_call));
            let called = catch_unwind(AssertUnwindSafe(|| {
                drop(service.call(request(headers.clone())));
            }));
            assert!(called.is_err());
            drop(Span::task("after a call").start());

            let service = ExtractLayer::new().layer(service_fn(in_poll));
            let polled = AssertUnwindSafe(service.oneshot(request(headers)));
            assert!(polled.catch_unwind().await.is_err());
            drop(Span::task("after a poll").start());
        })
        .await;
    let expected =
        "workflow client\n  task call\n  task poll\ntask after a call\ntask after a poll\n";
    assert_eq!(tree(&spans(&client, &memory)), expected);
}
