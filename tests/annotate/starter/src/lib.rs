//! A client for a program that asks for none: with `LLMOBS_STARTER` set, it is enabled before
//! `main`. Its events go to a port at which nobody listens.

use ctor::ctor;

#[ctor]
fn start() {
    if std::env::var_os("LLMOBS_STARTER").is_some() {
        let config = llmobs::Config::new()
            .ml_app("annotated")
            .agent_url("http://127.0.0.1:9");
        let guard = config.enable().expect("nothing but the above is set");
        std::mem::forget(guard);
    }
}
