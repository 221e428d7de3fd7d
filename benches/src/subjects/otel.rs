//! `tracing-opentelemetry` with OpenTelemetry's batch processor, and an exporter that drops.

use llmobs_bench_measure::Variant;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};
use tracing_subscriber::layer::SubscriberExt as _;

use super::{Arrived, ROOMY, plain};

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

/// The default queue of 2,048 loses spans of a loop, which would make them cheaper.
pub(super) fn alone() {
    serve(65_536, &plain::instrumented());
}

pub(super) fn contending() {
    serve(ROOMY, &[plain::three_arguments()]);
}

fn serve(queue: usize, variants: &[Variant]) {
    let arrived = Arrived::default();
    let batches = BatchConfigBuilder::default().with_max_queue_size(queue);
    let processor = BatchSpanProcessor::builder(Drops(arrived.clone()))
        .with_batch_config(batches.build())
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        .expect("the only subscriber");
    llmobs_bench_measure::serve(variants, |made| {
        provider.force_flush().map_err(|error| error.to_string())?;
        arrived.all_of(made)
    });
}
