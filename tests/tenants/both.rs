//! Code of one tenant inside of another's: a trace, a span and its evaluations belong to one.

use llmobs::{Annotation, Context, Evaluation, EvaluationError, Span, task, workflow};

use crate::{SOON, Tenant};

fn two() -> (Tenant, Tenant) {
    (Tenant::new("acme"), Tenant::new("globex"))
}

#[workflow]
fn outer(inner: &Tenant) {
    step("before");
    inner.run(|| {
        assert!(llmobs::export_span(None).is_none(), "no span is current");
        let nobody = llmobs::annotate(None, Annotation::new().tag("k", "v"));
        assert!(nobody.is_err());
        step("inside");
    });
    step("after");
}

#[task(name = name)]
fn step(name: &str) {
    llmobs::annotate(None, Annotation::new().tag("seen", true)).unwrap();
}

#[workflow]
async fn outer_async(inner: &Tenant) {
    step("before");
    let work = async {
        tokio::task::yield_now().await;
        step("inside");
        tokio::task::yield_now().await;
    };
    inner.client.scope_future(work).await;
    step("after");
}

#[test]
fn a_scope_inside_another_tenants_function_begins_without_a_span() {
    let (acme, globex) = two();
    acme.run(|| outer(&globex));
    let around = "workflow outer\n  task before\n  task after\n";
    assert_eq!(acme.tree(), around);
    assert_eq!(globex.tree(), "task inside\n");
    let (outer, inside) = (acme.span("outer"), globex.span("inside"));
    assert_ne!(outer["trace_id"], inside["trace_id"]);
    acme.assert_own(&[&globex]);
    globex.assert_own(&[&acme]);
}

#[tokio::test]
async fn so_it_is_for_a_future() {
    let (acme, globex) = two();
    let work = acme.client.scope_future(outer_async(&globex));
    work.await;
    let around = "workflow outer_async\n  task before\n  task after\n";
    assert_eq!(acme.tree(), around);
    assert_eq!(globex.tree(), "task inside\n");
    acme.assert_own(&[&globex]);
    globex.assert_own(&[&acme]);
}

#[test]
fn scopes_nest_and_each_is_as_it_was_afterwards() {
    let (acme, globex) = two();
    acme.run(|| {
        let root = Span::workflow("acme root").start();
        let _in = root.enter();
        globex.run(|| {
            let _in = Span::workflow("globex root").start().enter();
            // Coming back is another beginning: no span is current.
            acme.run(|| step("acme again"));
            // A root of the tenant that is in force.
            Context::root().in_scope(|| step("globex alone"));
            // A span that is made current takes its tenant along.
            Context::from(&root).in_scope(|| step("acme below"));
            step("globex below");
        });
        assert_eq!(llmobs::export_span(None), llmobs::export_span(&root));
        step("acme last");
    });
    let acme_tree = "workflow acme root\n  task acme below\n  task acme last\ntask acme again\n";
    assert_eq!(acme.tree(), acme_tree);
    let globex_tree = "workflow globex root\n  task globex below\ntask globex alone\n";
    assert_eq!(globex.tree(), globex_tree);
}

#[test]
fn a_panic_in_a_scope_gives_the_outer_one_back() {
    let (acme, globex) = two();
    acme.run(|| {
        let _in = Span::workflow("root").start().enter();
        let inner = || globex.run(|| panic!("as planned"));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(inner)).unwrap_err();
        step("after");
    });
    assert_eq!(acme.tree(), "workflow root\n  task after\n");
    assert_eq!(globex.tree(), "");
}

#[test]
fn an_evaluation_of_a_span_itself_goes_where_the_span_goes() {
    let (acme, globex) = two();
    let span = acme.run(|| Span::task("of acme").start());
    globex.run(|| {
        llmobs::submit_evaluation(&span, Evaluation::new("inside", 1)).unwrap();
        span.annotate(Annotation::new().tag("k", "v")).unwrap();
        let wrong = llmobs::submit_evaluation(&span, Evaluation::new("a b", 1));
        assert!(matches!(wrong, Err(EvaluationError::InvalidLabel { .. })));
    });
    // No client is in force here; the span has one all the same.
    llmobs::submit_evaluation(&span, Evaluation::new("outside", 1)).unwrap();
    span.finish().unwrap();
    llmobs::submit_evaluation(&span, Evaluation::new("ended", 1)).unwrap();
    assert_eq!(acme.labels(), ["inside", "outside", "ended"]);
    assert!(globex.labels().is_empty());
    let rejected = |tenant: &Tenant| tenant.client.stats().rejected;
    assert_eq!((rejected(&acme), rejected(&globex)), (1, 0));
    acme.assert_own(&[&globex]);
}

#[test]
fn ids_and_tags_name_no_tenant_and_go_with_the_one_in_force() {
    let (acme, globex) = two();
    let context = acme.run(|| {
        let _in = Span::task("of acme").start().enter();
        llmobs::export_span(None).unwrap()
    });
    globex.run(|| llmobs::submit_evaluation(&context, Evaluation::new("by_ids", 1)).unwrap());
    assert!(acme.labels().is_empty());
    assert_eq!(globex.labels(), ["by_ids"]);
    globex.assert_own(&[&acme]);
    acme.assert_own(&[&globex]);
}

#[test]
fn an_evaluation_of_a_span_whose_client_has_ended_is_counted_there() {
    let (acme, globex) = two();
    let span = acme.run(|| Span::task("of acme").start());
    acme.client.shutdown(SOON).unwrap();
    globex.run(|| {
        llmobs::submit_evaluation(&span, Evaluation::new("late", 1)).unwrap();
        span.finish().unwrap();
    });
    assert!(globex.labels().is_empty());
    let stats = acme.client.stats();
    for counts in [stats.spans(), stats.evaluations()] {
        assert_eq!((counts.made, counts.dropped_total()), (1, 1));
    }
    assert!(acme.intake.requests().is_empty());
}
