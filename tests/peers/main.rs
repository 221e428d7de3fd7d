//! Against software that we did not write: the feature `peers`, run by `.ci/run`.
//!
//! `LLMOBS_PEERS_PYTHON` names a Python that has `ddapm-test-agent` (see CONTRIBUTING.md).

mod lapdog;
mod past;
mod proxy;
mod quickstart;
mod tls;
