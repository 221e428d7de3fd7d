//! Against software that we did not write: the feature `peers`, run by `.ci/run`.
//!
//! `LLMOBS_PEERS_PYTHON` names a Python that has `ddapm-test-agent` and `ddtrace` (see
//! CONTRIBUTING.md).

mod distributed;
mod lapdog;
mod past;
mod proxy;
mod quickstart;
mod tls;
