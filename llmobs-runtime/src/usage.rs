//! How many tokens a call of a model took.

use crate::number::Number;

/// How many tokens a call took, for [`Annotation::usage`](crate::Annotation::usage).
///
/// What is not set is not sent. The counts are those of the metrics `input_tokens`,
/// `output_tokens`, `total_tokens`, `cache_read_input_tokens`, `cache_write_input_tokens`
/// and `reasoning_output_tokens`, which LLM Observability reckons costs from.
///
/// # What is part of what
///
/// As in Datadog's integrations, the parts are counted within the whole:
///
/// * [`input`](Self::input) holds all tokens of the prompt: those that were read from a
///   cache and those that were written to one as well.
/// * [`output`](Self::output) holds all tokens of the answer: those of reasoning as well.
/// * [`total`](Self::total) is the two together; it is reckoned where it is not set.
///
/// Providers do not agree. OpenAI and Gemini count their cached tokens within the input, as
/// here; Anthropic counts them beside it: give its `input_tokens` to
/// [`uncached_input`](Self::uncached_input), which adds the cached ones. Gemini counts its
/// thoughts beside the answer: give the sum of the two as the output.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Annotation, TokenUsage};
///
/// // Anthropic: 12 new tokens, 1000 from the cache.
/// let usage = TokenUsage::new().uncached_input(12).cache_read(1_000).output(30);
/// assert_eq!(usage.input_tokens(), Some(1_012));
/// assert_eq!(usage.total_tokens(), Some(1_042));
/// let annotation = Annotation::new().usage(usage);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "a usage does nothing until it is given to an annotation"]
pub struct TokenUsage {
    input: Option<u64>,
    uncached_input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
}

impl TokenUsage {
    /// A usage of which nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// All tokens of the prompt, cached ones included.
    pub fn input(mut self, tokens: u64) -> Self {
        self.input = Some(tokens);
        self
    }

    /// The tokens of the prompt without those of a cache, which are added to them. An
    /// [`input`](Self::input) wins over it.
    pub fn uncached_input(mut self, tokens: u64) -> Self {
        self.uncached_input = Some(tokens);
        self
    }

    /// All tokens of the answer, reasoning included.
    pub fn output(mut self, tokens: u64) -> Self {
        self.output = Some(tokens);
        self
    }

    /// What the provider calls the total. Default: input and output together, where both
    /// are known.
    pub fn total(mut self, tokens: u64) -> Self {
        self.total = Some(tokens);
        self
    }

    /// The tokens of the prompt that came from a cache.
    pub fn cache_read(mut self, tokens: u64) -> Self {
        self.cache_read = Some(tokens);
        self
    }

    /// The tokens of the prompt that were written to a cache.
    pub fn cache_write(mut self, tokens: u64) -> Self {
        self.cache_write = Some(tokens);
        self
    }

    /// The tokens of the answer that were spent on reasoning.
    pub fn reasoning(mut self, tokens: u64) -> Self {
        self.reasoning = Some(tokens);
        self
    }

    /// All tokens of the prompt, as they are sent.
    pub fn input_tokens(&self) -> Option<u64> {
        let cached = || {
            self.cache_read
                .unwrap_or(0)
                .saturating_add(self.cache_write.unwrap_or(0))
        };
        self.input
            .or_else(|| Some(self.uncached_input?.saturating_add(cached())))
    }

    /// All tokens of the answer, as they are sent.
    pub fn output_tokens(&self) -> Option<u64> {
        self.output
    }

    /// The total, as it is sent.
    pub fn total_tokens(&self) -> Option<u64> {
        let both = || Some(self.input_tokens()?.saturating_add(self.output?));
        self.total.or_else(both)
    }

    /// What `later` knows wins; what it does not stays. Streams tell their usage in pieces.
    pub fn merge(self, later: Self) -> Self {
        // A whole and its part without the cache are two ways to say one thing.
        let input = later
            .input
            .or_else(|| self.input.filter(|_| later.uncached_input.is_none()));
        Self {
            input,
            uncached_input: later.uncached_input.or(self.uncached_input),
            output: later.output.or(self.output),
            total: later.total.or(self.total),
            cache_read: later.cache_read.or(self.cache_read),
            cache_write: later.cache_write.or(self.cache_write),
            reasoning: later.reasoning.or(self.reasoning),
        }
    }

    /// The metrics that are known.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = (String, Number)> + use<> {
        [
            ("input_tokens", self.input_tokens()),
            ("output_tokens", self.output),
            ("total_tokens", self.total_tokens()),
            ("cache_read_input_tokens", self.cache_read),
            ("cache_write_input_tokens", self.cache_write),
            ("reasoning_output_tokens", self.reasoning),
        ]
        .into_iter()
        .filter_map(|(name, tokens)| Some((name.to_owned(), tokens?.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_are_part_of_the_input() {
        let anthropic = TokenUsage::new()
            .uncached_input(10)
            .cache_read(100)
            .cache_write(1_000)
            .output(5);
        assert_eq!(anthropic.input_tokens(), Some(1_110));
        assert_eq!(anthropic.total_tokens(), Some(1_115));
        let openai = TokenUsage::new().input(110).cache_read(100).output(5);
        assert_eq!(openai.input_tokens(), Some(110));
        assert_eq!(openai.uncached_input(3).input_tokens(), Some(110));
    }

    #[test]
    fn a_total_is_told_only_where_it_is_known() {
        assert_eq!(TokenUsage::new().input(1).total_tokens(), None);
        assert_eq!(TokenUsage::new().total(7).total_tokens(), Some(7));
        let most = TokenUsage::new().input(u64::MAX).output(1);
        assert_eq!(most.total_tokens(), Some(u64::MAX));
        assert_eq!(TokenUsage::new().metrics().count(), 0);
    }

    #[test]
    fn what_comes_later_wins() {
        let start = TokenUsage::new().uncached_input(10).cache_read(2).output(1);
        let end = TokenUsage::new().output(30);
        assert_eq!(start.merge(end).total_tokens(), Some(42));
        let corrected = TokenUsage::new()
            .input(5)
            .merge(TokenUsage::new().uncached_input(7));
        assert_eq!(corrected.input_tokens(), Some(7));
    }
}
