//! The bounds: how large what is sent may be, how long it may take, and how much may wait.

use std::time::Duration;

use super::Config;

impl Config {
    /// The largest body of a request in bytes, envelopes included: `DD_LLMOBS_PAYLOAD_SIZE_BYTES`,
    /// from 4,096 to 5,000,000, which is the default. A request carries at most 1,000 events.
    ///
    /// What one event may have is a little less. A span that is larger is cut
    /// ([`event_size_bytes`](Config::event_size_bytes)); of an evaluation or feedback the reasoning
    /// and the metadata are cut in the same way, and if that is not enough it is refused with
    /// [`EvaluationError::TooLarge`](crate::EvaluationError::TooLarge) or
    /// [`FeedbackError::TooLarge`](crate::FeedbackError::TooLarge).
    ///
    /// A number out of range is an error when llmobs is enabled; in the variable it is a warning,
    /// and the default is used.
    pub fn payload_size_bytes(mut self, bytes: usize) -> Config {
        self.payload_size_bytes = Some(bytes);
        self
    }

    /// The largest span event in bytes of JSON: `DD_LLMOBS_EVENT_SIZE_BYTES`, from 1 to 5,000,000,
    /// which is the default. What fits into a request
    /// ([`payload_size_bytes`](Config::payload_size_bytes)) is a limit as well, and is a little less.
    ///
    /// One that is larger is sent with less, and no less than it must, in this order:
    ///
    /// 1. Media in base64 (`data:` URLs, [`MediaPart`](crate::MediaPart)s, the fields in which
    ///    providers have it), the largest first. In their place stands
    ///    `…[3000 bytes of image/png cut]`.
    /// 2. The longest strings, wherever they stand, each down to the same length. Head and tail
    ///    stay, with `…[1234 bytes cut]…` between them. Strings inside a JSON text count each for
    ///    itself, so that it stays JSON; no string is cut to less than 128 bytes.
    /// 3. Whole parts that are no strings, such as a list of a million numbers, the largest first:
    ///    entries of the metadata, input, output, tool definitions, links, a user's metrics and tags.
    ///    Input and output then say that they were dropped, as those of Datadog's SDKs do.
    ///
    /// Ids, kind, times, the counts of tokens and the tags that Datadog finds a span by always stay;
    /// a span of which that alone is more than this limit is sent if it fits into a request. The
    /// event's `collection_errors` are `["dropped_io"]`, [`Stats::cut`](crate::Stats::cut) counts it,
    /// and the first is logged with its name and size.
    ///
    /// A number out of range is an error when llmobs is enabled; in the variable it is a warning,
    /// and the default is used.
    pub fn event_size_bytes(mut self, bytes: usize) -> Config {
        self.event_size_bytes = Some(bytes);
        self
    }

    /// How long a request may take: `_DD_LLMOBS_WRITER_TIMEOUT` in seconds, from 1 ms to 1 hour,
    /// default 5 s.
    ///
    /// A time out of range is an error when llmobs is enabled; in the variable it is a warning, and
    /// the default is used.
    pub fn timeout(mut self, timeout: Duration) -> Config {
        self.timeout = Some(timeout);
        self
    }

    /// How old a batch may grow before it is sent: `_DD_LLMOBS_WRITER_INTERVAL` in seconds, from 1
    /// ms to 1 hour, default 1 s.
    ///
    /// A time out of range is an error when llmobs is enabled; in the variable it is a warning, and
    /// the default is used.
    pub fn flush_interval(mut self, interval: Duration) -> Config {
        self.flush_interval = Some(interval);
        self
    }

    /// How many events may wait for one destination, from 1 to 16,777,216, default 131,072; past
    /// that the newest is dropped and counted.
    ///
    /// There is no variable for it; a number out of range is an error when llmobs is enabled.
    pub fn max_events(mut self, events: usize) -> Config {
        self.max_events = Some(events);
        self
    }

    /// How many bytes of events may wait for one destination, at least 1, default 67,108,864 (64
    /// MiB); past that the newest is dropped and counted. Two requests of the size of
    /// [`payload_size_bytes`](Config::payload_size_bytes) are part of it, half of it at most: what
    /// is in flight is there twice.
    ///
    /// There is no variable for it; 0 is an error when llmobs is enabled.
    pub fn max_bytes(mut self, bytes: usize) -> Config {
        self.max_bytes = Some(bytes);
        self
    }
}
