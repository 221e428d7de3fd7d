//! What the tests share: a local intake, the goldens, the comparison of bodies.
