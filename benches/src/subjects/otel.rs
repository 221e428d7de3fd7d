//! `tracing-opentelemetry` with OpenTelemetry's batch processor, and an exporter that drops.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};
use tracing_subscriber::layer::SubscriberExt as _;

use super::Arrived;

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

pub(super) fn serve() {
    let arrived = Arrived::default();
    // The default queue of 2,048 loses spans of a loop, which would make them cheaper.
    let batches = BatchConfigBuilder::default().with_max_queue_size(65_536);
    let processor = BatchSpanProcessor::builder(Drops(arrived.clone()))
        .with_batch_config(batches.build())
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        .expect("the only subscriber");
    let variants = super::plain::instrumented();
    llmobs_bench_measure::serve(&variants, |made| {
        provider.force_flush().map_err(|error| error.to_string())?;
        arrived.all_of(made)
    });
}
