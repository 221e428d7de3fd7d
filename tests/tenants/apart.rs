//! What one tenant makes goes to its own account, whatever the others do meanwhile.

use std::thread;

use llmobs::prelude::*;
use llmobs::{
    Config, Context, Destination, Evaluation, EvaluationsClient, Memory, Span, llm, workflow,
};

use crate::{SOON, Tenant, config};

#[llm(name = "ask")]
fn ask(tenant: &str) -> String {
    let evaluation = Evaluation::new("about", tenant);
    llmobs::submit_evaluation(llmobs::export_span(None), evaluation).unwrap();
    tenant.to_owned()
}

#[workflow]
fn answer(tenant: &str) -> String {
    ask(tenant)
}

#[workflow]
async fn answer_async(tenant: &'static str) -> String {
    tokio::task::yield_now().await;
    let spawned = tokio::spawn(async move { ask(tenant) }.in_current_context());
    tokio::task::yield_now().await;
    spawned.await.unwrap()
}

fn tenants() -> [Tenant; 3] {
    ["acme", "globex", "initech"].map(Tenant::new)
}

#[test]
fn threads_of_several_tenants_send_each_to_its_own_account() {
    const ROUNDS: usize = 50;
    let tenants = tenants();
    thread::scope(|threads| {
        for tenant in tenants.iter().chain(&tenants) {
            threads.spawn(|| {
                for _ in 0..ROUNDS {
                    tenant.run(|| answer(tenant.name));
                }
            });
        }
        // One thread serves them all in turn.
        threads.spawn(|| {
            for tenant in (0..ROUNDS).flat_map(|_| &tenants) {
                tenant.run(|| answer(tenant.name));
            }
        });
    });
    let all = tenants.each_ref();
    for tenant in all {
        assert_eq!(
            tenant.tree(),
            "workflow answer\n  llm ask\n".repeat(3 * ROUNDS)
        );
        assert_eq!(tenant.labels().len(), 3 * ROUNDS);
        tenant.assert_own(&all);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_several_tenants_send_each_to_its_own_account() {
    let tenants = tenants();
    let mut tasks = Vec::new();
    for tenant in (0..30).flat_map(|_| &tenants) {
        let work = tenant.client.scope_future(answer_async(tenant.name));
        tasks.push(tokio::spawn(work));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let all = tenants.each_ref();
    for tenant in all {
        tenant.client.flush_async(SOON).await.unwrap();
        assert_eq!(
            tenant.tree(),
            "workflow answer_async\n  llm ask\n".repeat(30)
        );
        assert_eq!(tenant.labels().len(), 30);
        tenant.assert_own(&all);
    }
}

#[tokio::test]
async fn futures_of_several_tenants_in_one_task_do_not_mix() {
    let tenants = tenants();
    let all = tenants.each_ref();
    let work = all.map(|tenant| tenant.client.scope_future(answer_async(tenant.name)));
    futures::future::join_all(work).await;
    for tenant in all {
        assert_eq!(tenant.tree(), "workflow answer_async\n  llm ask\n");
        tenant.assert_own(&all);
    }
}

#[test]
fn a_key_is_in_no_debug() {
    let tenant = Tenant::new("acme");
    let build = || config("acme", "key-of-acme", &tenant.intake).header("x-relay", "key-of-acme");
    let span = tenant.run(|| Span::llm("ask").start());
    let context = tenant.run(|| {
        let _in = span.enter();
        Context::current()
    });
    let in_span = format!("{:?}", span.enter());
    let target = llmobs::EvaluationTarget::from(&span);
    drop(span.finish());
    let flushed = tenant.client.flush(SOON);
    let future = tenant.client.scope_future(async {});
    let offline = EvaluationsClient::new(build()).unwrap();
    let wrong = config("acme", "key-of-acme\n", &tenant.intake).build();
    let wrong = wrong.unwrap_err();
    let shown = [
        format!("{:?} {:?}", build(), build().build().unwrap()),
        format!("{:?} {:#?}", tenant.client, tenant.client),
        format!("{span:?} {context:?} {in_span} {target:?} {future:?}"),
        format!("{flushed:?} {:?} {offline:?}", tenant.client.stats()),
        format!("{wrong:?} {wrong}"),
    ];
    for text in shown {
        assert!(!text.contains("key-of"), "{text}");
    }
    tenant.assert_own(&[]);
}

#[test]
fn tenants_may_share_a_folder_and_have_files_of_their_own() {
    let dir = std::env::temp_dir().join(format!("llmobs-tenants-{}", std::process::id()));
    let journal = |name: &str| {
        let config = Config::new().ml_app(name).dir(&dir);
        config.destination(Destination::Journal).build().unwrap()
    };
    let clients = [journal("acme"), journal("globex")];
    for _ in 0..20 {
        for client in &clients {
            client.scope(|| answer("nobody"));
        }
    }
    for client in &clients {
        let report = client.shutdown(SOON).unwrap();
        assert_eq!(report.stats.spans().delivered, 40);
    }
    let files = std::fs::read_dir(dir.join("journal")).unwrap();
    let mut apps: Vec<Vec<String>> = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let events = lines.map(|line: serde_json::Value| line["event"].to_string());
        apps.push(events.collect());
    }
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(apps.len(), 2);
    for events in apps {
        assert_eq!(events.len(), 60);
        let acme = events.iter().filter(|event| event.contains("ml_app:acme"));
        assert!(matches!(acme.count(), 0 | 60));
    }
}

#[test]
fn a_tenant_that_is_off_makes_nothing_for_anybody() {
    let memory = Memory::new();
    let config = Config::new().destination(Destination::Memory(memory.clone()));
    let on = config.build().unwrap();
    let off = Config::new().enabled(false).build().unwrap();
    on.scope(|| {
        let _in = Span::workflow("on").start().enter();
        off.scope(|| {
            assert!(!llmobs::is_enabled());
            answer("nobody");
            let context = Context::current();
            thread::spawn(move || context.in_scope(|| answer("nobody")))
                .join()
                .unwrap();
        });
        answer("somebody");
    });
    on.flush(SOON).unwrap();
    let tree = llmobs_tests::tree(&memory.spans());
    assert_eq!(tree, "workflow on\n  workflow answer\n    llm ask\n");
    assert_eq!(memory.evaluations().len(), 1);
}
