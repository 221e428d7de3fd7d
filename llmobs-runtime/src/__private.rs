//! What expanded macros call. Not API.
