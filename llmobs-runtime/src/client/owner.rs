//! Whose what is submitted is: a span that is given itself knows its client, as for its
//! children and annotations; ids may come from another process and name none.

use std::fmt;
use std::sync::Arc;

use super::ClientInner;
use crate::context;
use crate::span::Span;

/// The client of a span that was given itself.
#[derive(Clone)]
pub(crate) struct Owner(Arc<ClientInner>);

impl Owner {
    /// `None` for a span of a time when llmobs was not enabled.
    pub(crate) fn of(span: &Span) -> Option<Self> {
        span.inner().map(|span| Self(Arc::clone(&span.client)))
    }

    /// The client that takes what has this owner, or none.
    pub(super) fn client(owner: Option<&Self>) -> Option<Arc<ClientInner>> {
        match owner {
            // What refers to a global client that has ended means the next one.
            Some(Self(client)) if client.is_open() || !client.is_global() => {
                Some(Arc::clone(client)).filter(|client| !client.is_of_parent())
            }
            _ => context::current_client(),
        }
    }
}

impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Owner {}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.settings.ml_app, f)
    }
}
