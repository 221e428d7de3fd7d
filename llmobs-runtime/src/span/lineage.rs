//! The spans above a span, as far as it inherits from them after its start: the nearest agent (its
//! id, and its name as it is in the end), the nearest `llm` (the tools that it was given) and the
//! parent (its prompt).
//!
//! An open span points at their records, since what they say may still change. A record that was
//! encoded, and that children or contexts still refer to, [lets go](SpanInner::let_go) of its
//! parent: of an ancestor that has ended it keeps a copy of what is inherited ([`Lineage`]), and
//! only to one that is still open does it keep a reference. So whoever hands contexts on from span
//! to span, for days perhaps, holds as many records as spans were open at once, and not all that
//! there ever were. Of a chain of references between ended records each was made while the next
//! span was open, so that all spans of the chain were open together once.
//!
//! Locks are taken from a span to those above it, never the other way round.

use std::sync::Arc;

use super::{SpanData, SpanInner};
use crate::kind::SpanKind;
use crate::remote::RemoteAgent;
use crate::text::Text;
use crate::tool::ToolDefinition;

/// The spans above a span that its record refers to.
#[derive(Default)]
pub(crate) struct Above {
    /// Until the span is encoded, and `None` at a root.
    pub(super) parent: Option<Arc<SpanInner>>,
    /// The nearest agent, unless the parent is it.
    agent: Option<Arc<SpanInner>>,
    /// The nearest `llm`, unless the parent is it.
    llm: Option<Arc<SpanInner>>,
    /// The values that spans have left that had ended by the time their last descendant did.
    lineage: Option<Arc<Lineage>>,
}

/// The values that are inherited from spans that have ended and whose records are gone.
struct Lineage {
    agent: Option<EndedAgent>,
    /// Of the nearest `llm`.
    tools: Option<Arc<[ToolDefinition]>>,
}

#[derive(Clone)]
struct EndedAgent {
    span_id: u64,
    name: Text,
}

/// The nearest agent above a span.
pub(crate) struct AgentIds {
    pub(crate) span: String,
    pub(crate) name: Option<String>,
}

impl AgentIds {
    fn new(span_id: u64, name: Text) -> Self {
        Self {
            span: span_id.to_string(),
            name: Some(name.into()),
        }
    }
}

impl Above {
    /// The values that a span has from its parent as it starts. It has the parent's session if it has none of
    /// its own.
    #[inline]
    pub(super) fn inherit(&mut self, session: &mut Option<Arc<str>>) {
        let Self {
            parent: Some(parent),
            agent,
            llm,
            lineage,
        } = self
        else {
            return;
        };
        let data = parent.lock();
        if session.is_none() {
            session.clone_from(&data.session);
        }
        let above = &data.above;
        if parent.kind != SpanKind::Agent {
            *agent = above.nearest(SpanKind::Agent).cloned();
        }
        if parent.kind != SpanKind::Llm {
            *llm = above.nearest(SpanKind::Llm).cloned();
        }
        lineage.clone_from(&above.lineage);
    }

    /// The nearest span of one of the two kinds that are looked for, if its record is there.
    #[inline]
    fn nearest(&self, kind: SpanKind) -> Option<&Arc<SpanInner>> {
        let parent = self.parent.as_ref().filter(|parent| parent.kind == kind);
        parent.or(match kind {
            SpanKind::Agent => self.agent.as_ref(),
            _ => self.llm.as_ref(),
        })
    }

    pub(super) fn parent_id(&self) -> Option<u64> {
        Some(self.parent.as_ref()?.span_id)
    }

    /// The nearest agent in this process.
    fn agent(&self) -> Option<AgentIds> {
        if let Some(agent) = self.nearest(SpanKind::Agent) {
            return Some(AgentIds::new(agent.span_id, agent.current_name()));
        }
        let agent = self.lineage.as_ref()?.agent.clone()?;
        Some(AgentIds::new(agent.span_id, agent.name))
    }

    /// The nearest agent without a look into its record, which may be locked for ever.
    fn agent_at_its_start(&self) -> Option<(u64, &Text)> {
        if let Some(agent) = self.nearest(SpanKind::Agent) {
            return Some((agent.span_id, &agent.name));
        }
        let agent = self.lineage.as_ref()?.agent.as_ref()?;
        Some((agent.span_id, &agent.name))
    }

    /// The tools of the nearest `llm` as they are now.
    pub(super) fn tools(&self) -> Option<Arc<[ToolDefinition]>> {
        match self.nearest(SpanKind::Llm) {
            Some(llm) => llm.tools(),
            None => self.lineage.as_ref()?.tools.clone(),
        }
    }

    /// All records that it refers to.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Arc<SpanInner>> {
        let Self {
            parent, agent, llm, ..
        } = self;
        [parent.take(), agent.take(), llm.take()]
            .into_iter()
            .flatten()
    }

    /// The values that a span of that kind still needs of it for those below, once it has been encoded.
    fn for_those_below(&self, kind: SpanKind) -> Self {
        let before = self.lineage.as_ref();
        let (mut open_agent, mut ended_agent) = (None, None);
        // An agent and an `llm` stand before those above them.
        if kind != SpanKind::Agent {
            match self.nearest(SpanKind::Agent) {
                Some(agent) => match agent.ended_agent() {
                    None => open_agent = Some(Arc::clone(agent)),
                    ended => ended_agent = ended,
                },
                None => ended_agent = before.and_then(|before| before.agent.clone()),
            }
        }
        let (mut open_llm, mut tools) = (None, None);
        if kind != SpanKind::Llm {
            match self.nearest(SpanKind::Llm) {
                Some(llm) if !llm.has_ended() => open_llm = Some(Arc::clone(llm)),
                _ => tools = self.tools(),
            }
        }
        let lineage = before.filter(|before| before.is(ended_agent.as_ref(), tools.as_ref()));
        let lineage = match lineage {
            Some(same) => Some(Arc::clone(same)),
            None if ended_agent.is_none() && tools.is_none() => None,
            None => Some(Arc::new(Lineage {
                agent: ended_agent,
                tools,
            })),
        };
        Self {
            parent: None,
            agent: open_agent,
            llm: open_llm,
            lineage,
        }
    }
}

impl Lineage {
    fn is(&self, agent: Option<&EndedAgent>, tools: Option<&Arc<[ToolDefinition]>>) -> bool {
        let id = |agent: &EndedAgent| agent.span_id;
        let same_tools = match (&self.tools, tools) {
            (Some(mine), Some(tools)) => Arc::ptr_eq(mine, tools),
            (None, None) => true,
            _ => false,
        };
        self.agent.as_ref().map(id) == agent.map(id) && same_tools
    }
}

impl SpanInner {
    /// The parent's id, in this process or in another one; `None` for a root.
    pub(crate) fn parent_id(&self, data: &SpanData) -> Option<u64> {
        let of_remote = || Some(self.remote()?.parent.as_ref()?.span);
        data.above.parent_id().or_else(of_remote)
    }

    /// The nearest agent above, in this process or in another one.
    pub(crate) fn agent(&self, data: &SpanData) -> Option<AgentIds> {
        if let Some(agent) = data.above.agent() {
            return Some(agent);
        }
        let agent = self.remote()?.agent.as_ref()?;
        Some(AgentIds {
            span: agent.span.clone(),
            name: agent.name.clone(),
        })
    }

    /// The nearest agent for spans below this one.
    pub(crate) fn agent_of_children(&self) -> Option<AgentIds> {
        let data = self.lock();
        if self.kind == SpanKind::Agent {
            return Some(AgentIds::new(self.span_id, data.name(self).clone()));
        }
        self.agent(&data)
    }

    /// As above, for a process that is forked off: with the agent's name at its start, since a lock
    /// that a thread of the parent held at the fork stays locked. So does this span's own, at the
    /// worst, and then nothing is known of an agent above it.
    pub(super) fn agent_for_forked(&self) -> Option<RemoteAgent> {
        let of = |(span, name): (u64, &Text)| RemoteAgent {
            span: span.to_string(),
            name: Some(name.to_string()),
        };
        if self.kind == SpanKind::Agent {
            return Some(of((self.span_id, &self.name)));
        }
        let data = self.data.try_lock().ok()?;
        data.above.agent_at_its_start().map(of)
    }

    fn has_ended(&self) -> bool {
        !self.is_open()
    }

    fn ended_agent(&self) -> Option<EndedAgent> {
        let data = self.lock();
        data.end.moment().map(|_| EndedAgent {
            span_id: self.span_id,
            name: data.name(self).clone(),
        })
    }

    /// Lets go of the records above this one, which has been encoded or will never be: those that
    /// refer to it still find here what they inherit.
    pub(crate) fn let_go(this: &Arc<Self>) {
        // Nobody else has it, and so nobody can get it.
        if Arc::strong_count(this) == 1 {
            return;
        }
        // Only here does it change after the start, and only once.
        let before = {
            let above = &this.lock().above;
            Above {
                parent: above.parent.clone(),
                agent: above.agent.clone(),
                llm: above.llm.clone(),
                lineage: above.lineage.clone(),
            }
        };
        let after = before.for_those_below(this.kind);
        let gone = std::mem::replace(&mut this.lock().above, after);
        // Not under the lock: a subscriber is told where a `tracing` span ends with its record.
        drop((before, gone));
    }
}

#[cfg(test)]
mod tests;
