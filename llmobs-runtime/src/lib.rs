//! stub
#[allow(dead_code)] // the exporters send them
mod container;
