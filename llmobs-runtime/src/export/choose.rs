//! Which destination: what the code says, else what is found.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Exporter;
use super::datadog::Datadog;
use super::journal::Journal;
use crate::config::{AgentAddress, Capture, Destination, Origin, Settings};
use crate::report;

/// Where a Datadog Agent puts its socket by default.
const DEFAULT_SOCKET: &str = "/var/run/datadog/apm.socket";
/// How often what was not there is looked for again, in flush intervals.
const LOOK_AGAIN: u32 = 10;
/// With the spool, how long is waited for an Agent that nobody has named.
const PRESUMED_AFTER: Duration = Duration::from_millis(400);

/// The destinations, at least one. Says in one line which they are.
pub(crate) async fn choose(settings: &Settings) -> Vec<Exporter> {
    let exporters: Vec<Exporter> = if settings.destinations.is_empty() {
        vec![find(settings).await]
    } else {
        let given = settings.destinations.iter();
        given
            .map(|destination| open(destination, settings))
            .collect()
    };
    report::info(|| {
        let names: Vec<String> = exporters.iter().map(Exporter::name).collect();
        let capture = match settings.capture {
            Capture::None => "none",
            Capture::Metadata => "metadata",
            Capture::Full => "full",
        };
        format!(
            "sending to {} as ml_app {:?}, capture {capture}{}",
            names.join(" and "),
            settings.ml_app,
            of_spool(&exporters, settings)
        )
    });
    exporters
}

/// The spool in the line that says where events go.
fn of_spool(exporters: &[Exporter], settings: &Settings) -> String {
    if !settings.spool {
        String::new()
    } else if exporters.iter().any(Exporter::is_remote) {
        format!(", spool {}", settings.dir.join("spool").display())
    } else {
        ", no spool: nothing here waits for a server".to_owned()
    }
}

fn open(destination: &Destination, settings: &Settings) -> Exporter {
    match destination {
        Destination::Agent => agent_only(settings),
        Destination::Agentless => datadog(Datadog::agentless(settings), settings),
        Destination::Journal => journal(settings),
        Destination::Memory(memory) => Exporter::Memory(memory.clone()),
    }
}

fn datadog(built: Result<Datadog, String>, settings: &Settings) -> Exporter {
    match built {
        Ok(datadog) => Exporter::Datadog(Box::new(datadog)),
        Err(reason) => {
            report::error(|| format!("{reason}: events go to the journal"));
            journal(settings)
        }
    }
}

/// An Agent that nothing else may stand in for: events wait for it.
fn agent_only(settings: &Settings) -> Exporter {
    let agent = Datadog::agent(&settings.agent.url, settings);
    datadog(agent.map(Datadog::without_substitute), settings)
}

async fn find(settings: &Settings) -> Exporter {
    match settings.agentless {
        Some(true) => return datadog(Datadog::agentless(settings), settings),
        Some(false) => return agent_only(settings),
        // An origin that takes the Agent's place needs no asking.
        _ if settings.override_origin.is_some() => return agent_only(settings),
        _ if settings.agent.named => {
            return datadog(Datadog::agent(&settings.agent.url, settings), settings);
        }
        _ => {}
    }
    // What is to be on disk within a second needs a place there.
    let longest = if settings.spool {
        PRESUMED_AFTER
    } else {
        Duration::MAX
    };
    match default_agent(settings, longest).await {
        Some(agent) => agent,
        None => without_agent(settings),
    }
}

/// An Agent at one of the default places, if one answers and has the proxy. Where none does, one that
/// has not answered within `longest` is presumed to be there until it is asked again.
async fn default_agent(settings: &Settings, longest: Duration) -> Option<Exporter> {
    let tcp = &settings.agent.url;
    let socket = Origin::Unix(DEFAULT_SOCKET.into());
    let has_socket = Path::new(DEFAULT_SOCKET).exists();
    let mut presumed = None;
    for url in [Some(tcp), has_socket.then_some(&socket)]
        .into_iter()
        .flatten()
    {
        let Ok(mut agent) = Datadog::agent(url, settings) else {
            continue;
        };
        match tokio::time::timeout(longest, agent.offers_proxy()).await {
            Ok(Ok(true)) => return Some(Exporter::Datadog(Box::new(agent))),
            Ok(_) => {}
            Err(_) => presumed = presumed.or(Some(agent)),
        }
    }
    let presumed = presumed?.presumed();
    Some(Exporter::Datadog(Box::new(presumed)))
}

/// The next choice where there is no Agent: the intake if there is a key, else the journal.
pub(crate) fn without_agent(settings: &Settings) -> Exporter {
    if settings.api_key.is_some() {
        if settings.site_has_product() {
            return datadog(Datadog::agentless(settings), settings);
        }
        report::error(|| {
            format!(
                "DD_SITE is {:?}, which has no LLM Observability intake: events go to the journal",
                settings.site
            )
        });
        return journal(settings);
    }
    let exporter = match journal(settings) {
        Exporter::Journal(journal) if may_find_agent(&settings.agent) => {
            Exporter::JournalMeanwhile(journal, AgentWatch::new(settings))
        }
        other => other,
    };
    report::info(|| {
        format!(
            "no Agent with the proxy of LLM Observability answers at {}, and DD_API_KEY is not \
             set: events go to the journal",
            settings.agent.url.display()
        )
    });
    exporter
}

fn may_find_agent(agent: &AgentAddress) -> bool {
    !agent.named
}

fn journal(settings: &Settings) -> Exporter {
    match Journal::open(&settings.dir) {
        Ok(journal) => Exporter::Journal(journal),
        Err(error) => {
            let reason = format!(
                "the journal in {} cannot be written ({error})",
                settings.dir.display()
            );
            report::error(|| format!("{reason}: events are dropped, and counted, until it can"));
            Exporter::Nowhere {
                reason,
                next: look_again(settings),
            }
        }
    }
}

/// The journal, if it is time to try it again and it can be written by now.
pub(super) fn journal_again(next: &mut Instant, settings: &Settings) -> Option<Exporter> {
    if Instant::now() < *next {
        return None;
    }
    *next = look_again(settings);
    let journal = Journal::open(&settings.dir).ok()?;
    report::info(|| format!("the {} can be written now", journal.name()));
    Some(Exporter::Journal(journal))
}

fn look_again(settings: &Settings) -> Instant {
    Instant::now() + settings.flush_interval * LOOK_AGAIN
}

/// Remembers when an Agent was last looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AgentWatch {
    next: Instant,
}

impl AgentWatch {
    fn new(settings: &Settings) -> Self {
        Self {
            next: look_again(settings),
        }
    }

    pub(super) async fn look(&mut self, settings: &Settings) -> Option<Exporter> {
        if Instant::now() < self.next {
            return None;
        }
        *self = Self::new(settings);
        let agent = default_agent(settings, Duration::MAX).await?;
        report::info(|| format!("an Agent has appeared: sending to {}", agent.name()));
        Some(agent)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config::Config;
    use crate::export::{Outcome, Sent};
    use crate::stats::EventKind;

    /// An Agent that takes connections and never answers, and that nobody has named.
    fn hanging(config: &Config) -> (TcpListener, Settings) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut settings = config.settings().unwrap();
        settings.agent.named = false;
        settings.agent.url = Origin::Http(format!("http://{}", listener.local_addr().unwrap()));
        (listener, settings)
    }

    fn block_on<R>(future: impl Future<Output = R>) -> R {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn with_the_spool_an_agent_that_takes_long_is_presumed_until_it_is_asked_again() {
        let (_listener, settings) = hanging(&Config::new().spool(true).api_key("0123456789abcdef"));
        block_on(async {
            let mut found = find(&settings).await;
            assert!(
                found.name().starts_with("agent http://127.0.0.1:"),
                "{}",
                found.name()
            );
            assert!(found.spool_folder(&settings).is_some());
            let outcome = found.export(EventKind::Span, &[], &Sent::default()).await;
            assert!(matches!(outcome, Outcome::Elsewhere));
            assert!(found.substitute(&settings).name().starts_with("intake "));
        });
    }

    #[test]
    fn without_the_spool_it_is_none() {
        let (_listener, settings) = hanging(&Config::new().api_key("0123456789abcdef"));
        let found = block_on(find(&settings));
        assert!(found.name().starts_with("intake "), "{}", found.name());
    }
}
