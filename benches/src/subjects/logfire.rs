//! logfire without its console and without a network, with OpenTelemetry's batch processor and
//! an exporter that drops.

use std::hint::black_box;

use llmobs_bench_measure::Variant;
use opentelemetry_sdk_of_logfire::error::OTelSdkResult;
use opentelemetry_sdk_of_logfire::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter,
};

use super::{Arrived, texts};

#[derive(Debug)]
struct Drops(Arrived);

impl SpanExporter for Drops {
    fn export(
        &self,
        batch: Vec<SpanData>,
    ) -> impl std::future::Future<Output = OTelSdkResult> + Send {
        self.0.add(batch.len());
        std::future::ready(Ok(()))
    }
}

#[inline(never)]
fn three_strings(name: &str, model: &str, provider: &str) {
    let span = logfire::span!(
        "call",
        name = name.to_owned(),
        model = model.to_owned(),
        provider = provider.to_owned()
    );
    let _in_span = span.entered();
    black_box((name, model, provider));
}

pub(super) fn serve() {
    let arrived = Arrived::default();
    let batches = BatchConfigBuilder::default().with_max_queue_size(65_536);
    let processor = BatchSpanProcessor::builder(Drops(arrived.clone()))
        .with_batch_config(batches.build())
        .build();
    let logfire = logfire::configure()
        .send_to_logfire(false)
        .with_console(None)
        .with_additional_span_processor(processor)
        .finish()
        .expect("the configuration is right");
    let variants = [Variant::new("span!, three strings", 1_000, |bench| {
        let (name, model, provider) = texts();
        bench.time(|| three_strings(name, model, provider));
    })];
    llmobs_bench_measure::serve(&variants, |made| {
        logfire.force_flush().map_err(|error| error.to_string())?;
        arrived.all_of(made)
    });
}
