//! The sixty cases that an attribute on a function has to stand: shapes of functions,
//! names, types, lints. `case_NN_…` tells which; where stable Rust allows no more, the
//! test pins what happens.

mod support;

mod spine;
