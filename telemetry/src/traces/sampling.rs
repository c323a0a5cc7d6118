//! Which spans are recorded: the head's decision, and beside it the failures of what was not sampled.

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceFlags, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample, TracerProviderBuilder};

use crate::env::{RootSampler, SamplerSettings};

/// The sampler that the settings name. With `keep_errors` nothing is dropped at the head: a span that is not sampled is recorded, so that
/// at its end it can be known to have failed.
pub(crate) fn with_sampler(provider: TracerProviderBuilder, settings: SamplerSettings, keep_errors: bool) -> TracerProviderBuilder {
    let root = match settings.root {
        RootSampler::On => Sampler::AlwaysOn,
        RootSampler::Off => Sampler::AlwaysOff,
        RootSampler::Ratio(share) => Sampler::TraceIdRatioBased(share),
    };
    let sampler = if settings.parent_based { Sampler::ParentBased(Box::new(root)) } else { root };
    if keep_errors { provider.with_sampler(RecordAll(sampler)) } else { provider.with_sampler(sampler) }
}

/// Records what its sampler would drop; whether it is sampled stays as decided.
#[derive(Debug, Clone)]
struct RecordAll(Sampler);

impl ShouldSample for RecordAll {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self.0.should_sample(parent, trace_id, name, kind, attributes, links);
        if result.decision == SamplingDecision::Drop {
            result.decision = SamplingDecision::RecordOnly;
        }
        result
    }
}

/// The same context with these flags.
pub(crate) fn flagged(context: &SpanContext, flags: TraceFlags) -> SpanContext {
    SpanContext::new(context.trace_id(), context.span_id(), flags, context.is_remote(), context.trace_state().clone())
}
