//! A proxy's password, which stands in the environment of the process: each test runs in a process of its own.

use std::time::Duration;

use llmobs::{Config, Destination};
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;

use crate::keys::{assert_hidden, percent_encoded};
use crate::{again, client, is_child, make_span, witness};

const PASSWORD: &str = "pa$sw/0rd-of-the-proxy";

/// Sends one span by the proxy of the environment, which does not get through, and prints all that is said.
fn child(origin: &str) {
    witness::listen();
    let client = client(
        Config::new()
            .destination(Destination::Agentless)
            .api_key("0123456789abcdef0123456789abcdef")
            .override_origin(origin),
    );
    make_span(&client);
    let flushed = client.flush(Duration::from_secs(2));
    println!("{flushed:?} {:?} {client:?}", client.stats());
    let _ = client.shutdown(Duration::from_millis(10));
    println!("{}", witness::said());
}

/// What the child said.
fn told(test: &str, proxy: &str, origin: &str) -> String {
    let proxy = proxy.replace(
        "http://",
        &format!("http://mallory:{}@", percent_encoded(PASSWORD)),
    );
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"];
    let mut vars = names.map(|name| (name, &*proxy)).to_vec();
    vars.push(("LLMOBS_TEST_URL", origin));
    again(test, &vars)
}

/// A proxy that lets nobody through and says back all that it was told.
fn echoing() -> Intake {
    let mut proxy = Intake::start();
    proxy.allow_violations();
    proxy.script(|request| {
        let authorization = request
            .header("proxy-authorization")
            .unwrap_or("no authorization");
        Reply::status(407).body(format!("{authorization} is not mallory's {PASSWORD}"))
    });
    proxy
}

#[test]
fn a_proxy_that_echoes_its_password_does_not_write_it_into_the_log() {
    if is_child() {
        return child(&std::env::var("LLMOBS_TEST_URL").unwrap());
    }
    let proxy = echoing();
    let test = "proxies::a_proxy_that_echoes_its_password_does_not_write_it_into_the_log";
    let told = told(test, proxy.url(), "http://intake.invalid");
    let sent = proxy.requests()[0]
        .header("proxy-authorization")
        .map(str::to_owned);
    assert!(sent.is_some_and(|sent| sent.starts_with("Basic ")));
    assert!(told.contains("407") && told.contains("[hidden]"), "{told}");
    assert_hidden(&told, PASSWORD);
}

#[test]
fn a_proxy_that_makes_no_tunnel_does_not_write_its_password_into_the_log() {
    if is_child() {
        return child(&std::env::var("LLMOBS_TEST_URL").unwrap());
    }
    let proxy = echoing();
    let test = "proxies::a_proxy_that_makes_no_tunnel_does_not_write_its_password_into_the_log";
    let told = told(test, proxy.url(), "https://intake.invalid");
    let requests = proxy.requests();
    assert_eq!(
        (&*requests[0].method, &*requests[0].path),
        ("CONNECT", "intake.invalid:443")
    );
    // The key is for the other end of the tunnel.
    assert!(
        requests
            .iter()
            .all(|request| request.header("dd-api-key").is_none())
    );
    assert!(told.contains("tried again"), "{told}");
    assert_hidden(&told, PASSWORD);
}

#[test]
fn a_proxy_that_is_not_there_does_not_write_its_password_into_the_log() {
    if is_child() {
        return child(&std::env::var("LLMOBS_TEST_URL").unwrap());
    }
    let test = "proxies::a_proxy_that_is_not_there_does_not_write_its_password_into_the_log";
    let told = told(test, "http://127.0.0.1:9", "http://intake.invalid");
    assert!(told.contains("tried again"), "{told}");
    assert_hidden(&told, PASSWORD);
}
