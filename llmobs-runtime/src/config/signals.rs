//! What is to happen at a signal.

use std::time::Duration;

use super::Config;

impl Config {
    /// Shuts down at Ctrl-C (SIGINT) and at SIGTERM, within `timeout`: from 1 ms to 1 hour.
    /// There is no variable for it; default: signals are none of llmobs's business, and what
    /// waits when one ends the program is lost.
    ///
    /// What waits is sent, all clients that ask for it at the same time. Then the program ends by
    /// that very signal, as it would without this: no destructors run, spans that are open
    /// are lost, and who started the program sees the signal as its status. (The first
    /// process of a container is not ended by signals; it exits with 128 + the signal's
    /// number.) A SIGINT that comes a second or more after the first signal ends the program at once;
    /// other signals that come meanwhile change nothing, since `timeout`, systemd, docker and shells
    /// send one both to a process and to its group. Half a second is added where a subscriber of
    /// `tracing` or a processor blocks.
    ///
    /// It is for programs that handle neither signal. One that does, before or later, by
    /// `signal-hook`, `ctrlc`, `tokio::signal` or by hand, keeps that signal for itself, and
    /// drops the guard or calls [`shutdown`](crate::shutdown) on its way out; where it does so
    /// before, a warning says so. A signal that is ignored (`nohup`, or `&` in a script) stays so, which
    /// a line of the log says. In a forked child signals have their default effect until a client there
    /// asks again.
    ///
    /// Unix only: elsewhere it is a warning. A time out of range is an error when llmobs is
    /// enabled. Nothing happens at signals while llmobs is disabled.
    ///
    /// ```no_run
    /// # use llmobs_runtime as llmobs;
    /// use std::time::Duration;
    ///
    /// // Kubernetes waits 30 s after SIGTERM, `docker stop` 10 s.
    /// let config = llmobs::Config::from_env()?.shutdown_on_signals(Duration::from_secs(5));
    /// let _llmobs = config.enable()?;
    /// # Ok::<(), llmobs::ConfigError>(())
    /// ```
    pub fn shutdown_on_signals(mut self, timeout: Duration) -> Config {
        self.shutdown_on_signals = Some(timeout);
        self
    }
}
