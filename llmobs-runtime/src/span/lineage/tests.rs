//! The spans above are kept as little as can be, and nothing that is inherited gets lost with the rest.

use std::sync::Weak;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::LlmObs;
use crate::annotation::Annotation;
use crate::builder::SpanBuilder;
use crate::builder::kinds::Kind;
use crate::config::{Config, Destination};
use crate::context::Context;
use crate::export::memory::Memory;
use crate::processor::Verdict;
use crate::prompt::Prompt;
use crate::span::Span;

const SOON: Duration = Duration::from_secs(60);

fn config(memory: &Memory) -> Config {
    let config = Config::new().ml_app("lineage").tracing_spans(false);
    config.destination(Destination::Memory(memory.clone()))
}

/// A client that keeps nothing of what it is given.
fn forgetful() -> LlmObs {
    let config = config(&Memory::new());
    config.processor(|_| Verdict::Drop).build().unwrap()
}

fn record(span: &Span) -> Weak<SpanInner> {
    span.inner().map(Arc::downgrade).unwrap()
}

fn alive(records: &[Weak<SpanInner>]) -> usize {
    let held = records.iter().filter(|record| record.strong_count() > 0);
    held.count()
}

fn tools(version: &str) -> Annotation {
    let tool = ToolDefinition::new("tool").version(version);
    Annotation::new().tool_definitions([tool])
}

#[test]
fn a_chain_of_contexts_is_flat() {
    let client = forgetful();
    let mut records = Vec::new();
    client.scope(|| {
        let mut context = Context::current();
        for step in 0..150_000 {
            let span = context.in_scope(|| Span::task("step").start());
            context = Context::from(&span);
            if step % 16 == 0 {
                records.push(record(&span));
            }
            span.finish().unwrap();
            drop(span);
            if step % 1_000 == 0 {
                client.flush(SOON).unwrap();
            }
        }
        client.flush(SOON).unwrap();
        // The root, which says what is true of the trace.
        assert_eq!(alive(&records), 1, "of {}", records.len());
        drop(context);
        assert_eq!(alive(&records), 0);
    });
}

/// An `llm` that calls an agent, within which the next turn begins.
#[test]
fn a_chain_of_agents_and_models_within_each_other_is_flat() {
    for overlapping in [false, true] {
        let client = forgetful();
        let mut records = Vec::new();
        client.scope(|| {
            let mut context = Context::current();
            let mut before: Vec<Span> = Vec::new();
            for turn in 0..2_000 {
                let spans: Vec<Span> = context.in_scope(|| {
                    let llm = Span::llm("model").start();
                    llm.annotate(tools("1")).unwrap();
                    let _in = llm.enter();
                    let agent = Span::agent(format!("agent {turn}")).start();
                    let _in = agent.enter();
                    let tool = Span::tool("tool").start();
                    let _in = tool.enter();
                    vec![Span::task("step").start(), tool, agent, llm]
                });
                records.extend(spans.iter().map(record));
                context = Context::from(&spans[2]);
                // With `overlapping` a turn's spans end only after the next one's have started.
                let ended = if overlapping {
                    std::mem::replace(&mut before, spans)
                } else {
                    spans
                };
                for span in ended {
                    span.finish().unwrap();
                }
                if turn % 10 == 0 {
                    client.flush(SOON).unwrap();
                }
            }
            drop(before);
            client.flush(SOON).unwrap();
            assert!(alive(&records) <= 12, "{} are alive", alive(&records));
            drop(context);
            assert_eq!(alive(&records), 0);
        });
    }
}

#[test]
fn spans_for_which_there_is_no_room_keep_no_others() {
    let memory = Memory::new();
    let client = config(&memory).max_events(1).build().unwrap();
    let mut records = Vec::new();
    client.scope(|| {
        let mut context = Context::current();
        for _ in 0..10_000 {
            let span = context.in_scope(|| Span::task("step").start());
            span.annotate(Annotation::new().input("x".repeat(1_000)))
                .unwrap();
            context = Context::from(&span);
            records.push(record(&span));
            span.finish().unwrap();
        }
        client.flush(SOON).unwrap();
        let dropped = client.stats().spans().dropped_total();
        assert!(dropped > 0, "nothing was refused");
        assert!(alive(&records) <= 2, "{} are alive", alive(&records));
    });
}

/// A span as the whole tree of all spans would have it.
struct Node {
    kind: SpanKind,
    parent: Option<usize>,
    root: usize,
    name: String,
    tools: Option<String>,
    prompt: Option<String>,
    session: Option<String>,
    /// The first session of its trace, if it is a root.
    first: Option<String>,
    context: Context,
    id: String,
    span: Option<Span>,
}

#[derive(Default)]
struct Tree(Vec<Node>);

impl Tree {
    fn above(&self, node: usize, kind: SpanKind) -> Option<&Node> {
        let mut above = self.0[node].parent;
        while let Some(next) = above {
            if self.0[next].kind == kind {
                return self.0.get(next);
            }
            above = self.0[next].parent;
        }
        None
    }

    fn start(&mut self, parent: Option<usize>, kind: SpanKind, session: Option<String>) {
        fn begin<K: Kind>(span: SpanBuilder<K>, session: Option<&String>) -> Span {
            span.session_id(session.cloned()).start()
        }

        let at = self.0.len();
        let name = match kind {
            SpanKind::Tool => "tool".to_owned(),
            _ => format!("span {at}"),
        };
        let root = parent.map_or(at, |parent| self.0[parent].root);
        let of_parent = parent.and_then(|parent| self.0[parent].session.clone());
        let of_trace = || self.0.get(root)?.first.clone();
        let inherited = of_parent.or_else(of_trace);
        let context = match parent {
            Some(parent) => match &self.0[parent].span {
                Some(open) => Context::from(open),
                None => self.0[parent].context.clone(),
            },
            None => Context::current(),
        };
        let of = session.as_ref();
        let span = context.in_scope(|| match kind {
            SpanKind::Tool => begin(Span::tool(&name), of),
            SpanKind::Llm => begin(Span::llm(&name), of),
            SpanKind::Agent => begin(Span::agent(&name), of),
            _ => begin(Span::task(&name), of),
        });
        self.0.push(Node {
            kind,
            parent,
            root,
            name,
            tools: None,
            prompt: None,
            session: session.clone().or(inherited),
            first: None,
            context: Context::from(&span),
            id: span.context().unwrap().span_id().into_owned(),
            span: Some(span),
        });
        if let Some(session) = session {
            self.0[root].first.get_or_insert(session);
        }
    }

    fn annotate(&mut self, at: usize, random: &mut fastrand::Rng) {
        let node = &mut self.0[at];
        let said = format!("said {}", random.u32(..));
        let annotation = match random.u8(..4) {
            0 if node.kind == SpanKind::Llm => {
                node.tools = Some(said.clone());
                tools(&said)
            }
            1 => {
                node.prompt = Some(said.clone());
                Annotation::new().prompt(Prompt::new(said).template("t"))
            }
            2 if node.kind == SpanKind::Agent => {
                node.name.clone_from(&said);
                Annotation::new().name(said)
            }
            _ => {
                node.session = Some(said.clone());
                let root = node.root;
                self.0[root].first.get_or_insert(said.clone());
                Annotation::new().tag("session_id", said)
            }
        };
        let span = self.0[at].span.as_ref().unwrap();
        span.annotate(annotation).unwrap();
    }

    /// Ends a span and compares its event.
    fn end(&mut self, at: usize, client: &LlmObs, memory: &Memory) {
        let span = self.0[at].span.take().unwrap();
        span.finish().unwrap();
        drop(span);
        client.flush(SOON).unwrap();
        let event = memory.spans().pop().unwrap();
        memory.clear();
        let node = &self.0[at];
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        assert_eq!(text("/span_id"), Some(&*node.id));
        let parent = node
            .parent
            .map_or("undefined", |parent| &*self.0[parent].id);
        assert_eq!(text("/parent_id"), Some(parent));
        assert_eq!(text("/session_id"), node.session.as_deref());
        let agent = self.above(at, SpanKind::Agent);
        let id = text("/meta/agent_attribution/pagent_span_id");
        assert_eq!(id, agent.map(|agent| &*agent.id));
        let name = text("/meta/agent_attribution/pagent_name");
        assert_eq!(name, agent.map(|agent| &*agent.name));
        if node.kind == SpanKind::Tool {
            let version = self
                .above(at, SpanKind::Llm)
                .and_then(|llm| llm.tools.as_deref());
            assert_eq!(text("/meta/tool/version"), version);
        }
        if node.kind == SpanKind::Llm {
            let of_parent = || self.0[node.parent?].prompt.as_deref();
            let prompt = node.prompt.as_deref().or_else(of_parent);
            assert_eq!(text("/meta/input/prompt/id"), prompt);
        }
    }
}

#[test]
fn what_is_inherited_is_the_same_in_whatever_order_spans_start_change_and_end() {
    for seed in 0..6 {
        let memory = Memory::new();
        let client = config(&memory).build().unwrap();
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut tree, mut open, mut records) = (Tree::default(), Vec::new(), Vec::new());
        client.scope(|| {
            for _ in 0..1_200 {
                match random.u8(..10) {
                    0..4 if open.len() < 8 => {
                        let count = tree.0.len();
                        let recent = count.saturating_sub(5)..count;
                        // Mostly below what there is, be it open or not.
                        let parent = match recent.is_empty() || random.u8(..200) == 0 {
                            true => None,
                            false if !open.is_empty() && random.bool() => {
                                random.choice(&open).copied()
                            }
                            false => Some(random.usize(recent)),
                        };
                        let kinds = [
                            SpanKind::Tool,
                            SpanKind::Llm,
                            SpanKind::Agent,
                            SpanKind::Task,
                        ];
                        let kind = random.choice(kinds).unwrap();
                        let session = (random.u8(..20) == 0).then(|| format!("session {count}"));
                        tree.start(parent, kind, session);
                        records.push(record(tree.0[count].span.as_ref().unwrap()));
                        open.push(count);
                        if let Some(old) = count.checked_sub(5) {
                            tree.0[old].context = Context::root();
                        }
                    }
                    4..7 if !open.is_empty() => {
                        let at = random.usize(..open.len());
                        tree.annotate(open[at], &mut random);
                    }
                    7.. if !open.is_empty() => {
                        let at = random.usize(..open.len());
                        tree.end(open.swap_remove(at), &client, &memory);
                    }
                    _ => {}
                }
            }
            for at in open.drain(..) {
                tree.end(at, &client, &memory);
            }
            client.flush(SOON).unwrap();
            let (alive, all) = (alive(&records), records.len());
            assert!(
                all > 200 && alive <= 30,
                "seed {seed}: {alive} of {all} are alive"
            );
        });
    }
}
