//! `InjectLayer` and `InjectMiddleware`.

use std::convert::Infallible;

use axum::http::{HeaderMap, Request};
use llmobs::propagation::{InjectLayer, extract};
use llmobs::{Span, prelude::*};
use llmobs_tests::{Intake, Reply};
use serde_json::json;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{client, http};

/// What a client's service got.
async fn received(request: Request<()>) -> Result<HeaderMap, Infallible> {
    Ok(request.headers().clone())
}

/// A server of somebody else.
fn service() -> Intake {
    let mut service = Intake::start();
    service.allow_violations();
    service.script(|_| Reply::json(json!({})));
    service
}

#[tokio::test]
async fn a_tower_client_sends_what_is_current_where_it_is_called() {
    let (client, _memory) = client("app");
    client
        .scope_future(async {
            let span = Span::tool("search").start();
            let mut stale = Request::new(());
            let headers = stale.headers_mut();
            headers.insert("x-datadog-trace-id", "7".parse().unwrap());
            headers.insert("tracestate", "dd=p:stale,other=1".parse().unwrap());
            let call = InjectLayer::new()
                .layer(service_fn(received))
                .oneshot(stale);
            let headers = call.in_span(&span).await.unwrap();
            assert_eq!(extract(&headers).span_context(), span.context());
            let state = headers["tracestate"].to_str().unwrap();
            assert!(state.ends_with(",other=1"), "{state}");
            assert!(!state.contains("stale"), "{state}");
        })
        .await;
}

#[tokio::test]
async fn without_a_span_a_tower_request_goes_out_as_it_is() {
    let (client, _memory) = client("app");
    let call = async {
        let service = InjectLayer::new().layer(service_fn(received));
        service.oneshot(Request::new(())).await
    };
    let headers = client.scope_future(call).await.unwrap();
    assert!(headers.is_empty(), "{headers:?}");
    assert_eq!(client.stats().rejected, 0);
}

#[tokio::test]
async fn a_reqwest_client_sends_what_is_current_where_it_is_called() {
    let (client, _memory) = client("app");
    let service = service();
    let span = client.scope(|| Span::tool("search").session_id("s-1").start());
    let sent = http().post(service.url()).body("{}").send().in_span(&span);
    assert!(sent.await.unwrap().status().is_success());
    let headers = service.requests()[0].headers.clone();
    let headers: std::collections::HashMap<_, _> = headers.into_iter().collect();
    assert_eq!(extract(&headers).span_context(), span.context());
    assert!(headers["x-datadog-tags"].contains("_dd.p.llmobs_sid=s-1"));
}

#[tokio::test]
async fn without_a_span_a_reqwest_request_goes_out_as_it_is() {
    let (client, _memory) = client("app");
    let service = service();
    let sent = http().get(service.url()).send();
    let answer = client.scope_future(sent).await.unwrap();
    assert!(answer.status().is_success());
    let request = &service.requests()[0];
    for name in ["traceparent", "tracestate", "x-datadog-tags"] {
        assert_eq!(request.header(name), None);
    }
    assert_eq!(client.stats().rejected, 0);
}
