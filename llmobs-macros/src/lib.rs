//! The attributes of `llmobs`.
