//! A submission: the rows that are valid, the results of those that are not, and the way to
//! the results of all.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::result::{Rejection, RejectionCode, RowResult};
#[cfg(feature = "enabled")]
use super::send;
use crate::config::Settings;
use crate::report;
use crate::stats::EventKind;

pub(super) fn is_enabled(settings: &Settings) -> bool {
    settings.enabled && cfg!(feature = "enabled")
}

/// Says what of the configuration is not used.
pub(super) fn warn_of(settings: &Settings) {
    if is_enabled(settings) {
        for warning in &settings.warnings {
            report::warn(|| warning.to_string());
        }
    }
}

/// Why nothing is sent.
const DISABLED: &str = if cfg!(feature = "enabled") {
    "llmobs is disabled (DD_LLMOBS_ENABLED, or `enabled` in code)"
} else {
    "llmobs was built without its feature `enabled`"
};

/// A submission that is validated: the results of the rows that are not valid, and the rest
/// ready to be sent.
pub(super) struct Prepared {
    kind: EventKind,
    results: Vec<RowResult>,
    rows: Vec<Row>,
}

/// A valid row.
pub(super) struct Row {
    /// Its place in the input.
    pub(super) index: usize,
    pub(super) body: Body,
}

/// What is sent of a row.
pub(super) struct Body {
    pub(super) json: Vec<u8>,
    pub(super) made_ms: u64,
    /// The same for the documented Spans API, where there is such a form.
    pub(super) public: Option<Public>,
    /// The element of the row that is not sent as it was given.
    pub(super) flaw: Option<Rejection>,
}

/// A span in the documented form, and the application that stands around it there.
pub(super) struct Public {
    pub(super) ml_app: String,
    pub(super) json: Vec<u8>,
}

impl Body {
    /// The application of whose spans a request is.
    pub(super) fn application(&self) -> Option<&str> {
        self.public.as_ref().map(|public| &*public.ml_app)
    }

    /// The bytes of the larger form.
    pub(super) fn len(&self) -> usize {
        let public = self.public.as_ref().map_or(0, |public| public.json.len());
        self.json.len().max(public)
    }
}

impl Prepared {
    /// Validates the rows by what their `body` comes to.
    pub(super) fn of<R>(
        kind: EventKind,
        settings: &Settings,
        rows: impl IntoIterator<Item = R>,
        body: impl Fn(R) -> Result<Body, Rejection>,
    ) -> Self {
        let mut prepared = Self {
            kind,
            results: Vec::new(),
            rows: Vec::new(),
        };
        for row in rows {
            if is_enabled(settings) {
                prepared.add(body(row), settings);
            } else {
                let rejection = Rejection::new(RejectionCode::Disabled, DISABLED);
                prepared.results.push(rejection.into());
            }
        }
        prepared
    }

    fn add(&mut self, body: Result<Body, Rejection>, settings: &Settings) {
        let index = self.results.len();
        let body = body.and_then(|body| fitting(self.kind, body, settings));
        self.results.push(match body {
            Ok(body) => {
                self.rows.push(Row { index, body });
                RowResult::interrupted()
            }
            Err(rejection) => rejection.into(),
        });
    }

    pub(super) fn send(mut self, settings: &Settings) -> Vec<RowResult> {
        if !self.rows.is_empty() {
            #[cfg(feature = "enabled")]
            send::blocking(settings, self.kind, &self.rows, &mut self.results);
            #[cfg(not(feature = "enabled"))]
            let _ = (settings, &mut self);
        }
        self.results
    }

    pub(super) fn submission(self, settings: &Settings) -> Submission {
        let settings = settings.clone();
        Submission(Box::pin(async move {
            #[cfg(feature = "enabled")]
            if !self.rows.is_empty() {
                return send::detached(settings, self.kind, self.rows, self.results).await;
            }
            drop(settings);
            self.results
        }))
    }
}

/// Refuses what fits into no request.
fn fitting(kind: EventKind, body: Body, settings: &Settings) -> Result<Body, Rejection> {
    #[cfg(feature = "enabled")]
    let largest = send::largest_body(settings, kind, body.application());
    #[cfg(not(feature = "enabled"))]
    let largest = settings.payload_size_bytes;
    let largest = match kind {
        EventKind::Span => largest.min(settings.event_size_bytes),
        _ => largest,
    };
    if body.len() > largest {
        let reason = format!(
            "it has {} bytes as JSON; at most {largest} fit into a request",
            body.len()
        );
        return Err(Rejection::new(RejectionCode::TooLarge, reason));
    }
    Ok(body)
}

/// A submission on its way, which gives the results of its rows in the order of the input.
///
/// Made by [`EvaluationsClient::submit_async`](crate::EvaluationsClient::submit_async) and
/// [`SpansClient::submit_async`](crate::SpansClient::submit_async). It works on any executor,
/// since a thread of its own does the sending. Dropped before its end, it sends nothing
/// further; what was being sent may arrive.
#[must_use = "a submission is sent only when it is awaited"]
pub struct Submission(Pin<Box<dyn Future<Output = Vec<RowResult>> + Send>>);

impl Future for Submission {
    type Output = Vec<RowResult>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Submission")
    }
}
