//! What is kept on disk: where, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

use super::Config;

impl Config {
    /// The folder of the journal and the spool: `LLMOBS_DIR`, default `.llmobs` in the working
    /// directory. A relative path is seen from the working directory in which llmobs is enabled;
    /// a later change of that changes nothing.
    ///
    /// It is made for its owner alone, with a `.gitignore` that keeps all of it out of commits; in a
    /// folder that is there already, the same is done for the folders in it that are made.
    /// An empty path, or one with a NUL in it, is an error when llmobs is enabled. It is made when
    /// there is something to write, so never when llmobs is disabled.
    pub fn dir(mut self, path: impl Into<PathBuf>) -> Config {
        self.dir = Some(path.into());
        self
    }

    /// Whether what waits for delivery is kept on disk, so that it survives an intake that is down
    /// and the end of the process. `LLMOBS_SPOOL`, default false.
    ///
    /// Then every batch is written to `spool/` in the [folder](Config::dir) before it is sent, at
    /// most half a second after the end of its oldest span. A file takes no more batches half a minute
    /// after some of it was acknowledged, and goes when all of it is. What an earlier process left,
    /// because it was killed or had no more time, is sent first, by the next one that sends to the same
    /// place with the same key. It may be sent twice. The files hold the events in full, and never the
    /// key. There is a spool for an Agent and for the intake; the journal is on disk by itself.
    ///
    /// An Agent that nobody has named and that takes longer than 0.4 s to say what it offers has its
    /// place there meanwhile. What is made faster than the worker writes it is bounded by
    /// [`max_events`](Config::max_events) and [`max_bytes`](Config::max_bytes), as without a spool.
    ///
    /// The files are not synced: they survive the process, not a power failure. Where they cannot be
    /// written, events wait in memory as they do without a spool.
    pub fn spool(mut self, spool: bool) -> Config {
        self.spool = Some(spool);
        self
    }

    /// How many bytes the [spool](Config::spool) of one destination may have: at least 65,536, 1 GiB
    /// by default. Past that the oldest events go first, and are counted
    /// ([`DropReason::SpoolFull`](crate::DropReason::SpoolFull)), a file of an eighth of this or
    /// 16 MiB at a time.
    ///
    /// Any other number is an error.
    pub fn spool_max_bytes(mut self, bytes: u64) -> Config {
        self.spool_max_bytes = Some(bytes);
        self
    }

    /// How long anything may wait in the [spool](Config::spool), 1 second to 24 hours, 24 hours by
    /// default; and how old a span may be when it is sent, with a spool or without. What is older is
    /// dropped and counted ([`DropReason::Expired`](crate::DropReason::Expired)): Datadog takes no
    /// older spans.
    ///
    /// Any other time is an error.
    pub fn spool_max_age(mut self, age: Duration) -> Config {
        self.spool_max_age = Some(age);
        self
    }
}
