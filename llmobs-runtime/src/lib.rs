//! stub
#[allow(dead_code, unused_imports)] // the client and the exporters read it
mod config;
#[allow(dead_code)] // the exporters send them
mod container;

pub use config::{Capture, Config, ConfigError, ConfigWarning, Destination};
