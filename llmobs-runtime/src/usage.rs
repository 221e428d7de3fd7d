//! How many tokens a call of a model took.

use crate::number::Number;

mod sealed {
    pub trait Sealed {}
}

/// A type that can be given as a number of tokens: every integer type, since no two clients have the same
/// one, references to them, and an `Option` of any of these.
///
/// `None` is not known and changes nothing; neither does a negative number, which no count is.
///
/// Sealed: it is implemented for these types and no others.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no number of tokens for llmobs",
    label = "expected an integer or an `Option` of one"
)]
pub trait IntoTokens: sealed::Sealed {
    /// The number, or `None` where it is not known.
    #[doc(hidden)]
    fn into_tokens(self) -> Option<u64>;
}

macro_rules! tokens {
    ($($ty:ty)*) => {$(
        impl sealed::Sealed for $ty {}
        #[diagnostic::do_not_recommend]
        impl IntoTokens for $ty {
            fn into_tokens(self) -> Option<u64> {
                u64::try_from(self).ok()
            }
        }
    )*};
}

tokens! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize }

impl<T: sealed::Sealed> sealed::Sealed for Option<T> {}

#[diagnostic::do_not_recommend]
impl<T: IntoTokens> IntoTokens for Option<T> {
    fn into_tokens(self) -> Option<u64> {
        self.and_then(IntoTokens::into_tokens)
    }
}

impl<T: sealed::Sealed> sealed::Sealed for &T {}

#[diagnostic::do_not_recommend]
impl<T: IntoTokens + Copy> IntoTokens for &T {
    fn into_tokens(self) -> Option<u64> {
        (*self).into_tokens()
    }
}

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
/// Numbers that follow from others, the total and the input that holds the cached tokens, are reckoned once,
/// when the span is sent, from what it was told until then: by usages, which
/// [add up](Self::merge), and by metrics of these names, of which the latest counts.
///
/// The setters take any integer, and an `Option` of one: [`IntoTokens`].
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
    pub fn input(mut self, tokens: impl IntoTokens) -> Self {
        self.input = tokens.into_tokens().or(self.input);
        self
    }

    /// The tokens of the prompt without those of a cache, which are added to them. An
    /// [`input`](Self::input) wins over it.
    pub fn uncached_input(mut self, tokens: impl IntoTokens) -> Self {
        self.uncached_input = tokens.into_tokens().or(self.uncached_input);
        self
    }

    /// All tokens of the answer, reasoning included.
    pub fn output(mut self, tokens: impl IntoTokens) -> Self {
        self.output = tokens.into_tokens().or(self.output);
        self
    }

    /// What the provider calls the total. Default: input and output together, where both
    /// are known.
    pub fn total(mut self, tokens: impl IntoTokens) -> Self {
        self.total = tokens.into_tokens().or(self.total);
        self
    }

    /// The tokens of the prompt that came from a cache.
    pub fn cache_read(mut self, tokens: impl IntoTokens) -> Self {
        self.cache_read = tokens.into_tokens().or(self.cache_read);
        self
    }

    /// The tokens of the prompt that were written to a cache.
    pub fn cache_write(mut self, tokens: impl IntoTokens) -> Self {
        self.cache_write = tokens.into_tokens().or(self.cache_write);
        self
    }

    /// The tokens of the answer that were spent on reasoning.
    pub fn reasoning(mut self, tokens: impl IntoTokens) -> Self {
        self.reasoning = tokens.into_tokens().or(self.reasoning);
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

    /// Adds what `later` says to what is there.
    pub(crate) fn add(there: &mut Option<Box<Self>>, later: Box<Self>) {
        match there {
            Some(there) => **there = there.merge(*later),
            None => *there = Some(later),
        }
    }

    /// The number that it was told itself, under the name of its metric.
    fn told(&self) -> [(&'static str, Option<u64>); 6] {
        [
            (INPUT, self.input),
            (OUTPUT, self.output),
            (TOTAL, self.total),
            (CACHE_READ, self.cache_read),
            (CACHE_WRITE, self.cache_write),
            ("reasoning_output_tokens", self.reasoning),
        ]
    }

    /// Takes out of `metrics`, which were told before, what this one knows better.
    pub(crate) fn replace(&self, metrics: &mut Vec<(String, Number)>) {
        let told = self.told();
        metrics.retain(|(key, _)| {
            let known = told
                .iter()
                .any(|(name, told)| key == name && told.is_some());
            let known = known || (key == INPUT && self.uncached_input.is_some());
            !known
        });
    }

    /// Adds to `metrics` what is not among them, and what follows from all that is.
    pub(crate) fn complete(&self, metrics: &mut Vec<(String, Number)>) {
        fn stands(metrics: &[(String, Number)], name: &str) -> Option<Number> {
            let mut latest_first = metrics.iter().rev();
            latest_first
                .find(|(key, _)| key == name)
                .map(|(_, number)| *number)
        }
        let mut add = |name: &str, number: Option<Number>| {
            if let Some(number) = number.filter(|_| stands(metrics, name).is_none()) {
                metrics.push((name.to_owned(), number));
            }
            stands(metrics, name)
        };
        let known = self
            .told()
            .map(|(name, told)| add(name, told.map(Number::from)));
        let [mut input, output, total, cache_read, cache_write, _] = known;
        if let (None, Some(uncached)) = (input, self.uncached_input) {
            let cached = [cache_read, cache_write].into_iter().flatten();
            input = add(INPUT, Some(cached.fold(uncached.into(), Number::plus)));
        }
        if let (None, Some(input), Some(output)) = (total, input, output) {
            add(TOTAL, Some(input.plus(output)));
        }
    }
}

const INPUT: &str = "input_tokens";
const OUTPUT: &str = "output_tokens";
const TOTAL: &str = "total_tokens";
const CACHE_READ: &str = "cache_read_input_tokens";
const CACHE_WRITE: &str = "cache_write_input_tokens";

#[cfg(test)]
mod tests {
    use super::*;

    /// The metrics that are sent of a usage beside those that were told, sorted.
    fn metrics(usage: TokenUsage, beside: &[(&str, u64)]) -> Vec<(String, Number)> {
        let own = |&(key, number): &(&str, u64)| (key.to_owned(), Number::from(number));
        let mut metrics = beside.iter().map(own).collect();
        usage.complete(&mut metrics);
        metrics.sort_by(|(one, _), (other, _)| one.cmp(other));
        metrics
    }

    fn pairs(metrics: &[(&str, u64)]) -> Vec<(String, Number)> {
        let own = |&(key, number): &(&str, u64)| (key.to_owned(), Number::from(number));
        metrics.iter().map(own).collect()
    }

    #[test]
    fn what_follows_is_reckoned_from_what_stands_in_the_end() {
        let usage = TokenUsage::new().uncached_input(10).cache_read(2).output(1);
        let expected = [
            ("cache_read_input_tokens", 5),
            ("input_tokens", 15),
            ("output_tokens", 30),
            ("total_tokens", 45),
        ];
        let told = [("output_tokens", 30), ("cache_read_input_tokens", 5)];
        assert_eq!(metrics(usage, &told), pairs(&expected));
        let told = [("total_tokens", 7), ("input_tokens", 3)];
        let expected = [
            ("cache_read_input_tokens", 2),
            ("input_tokens", 3),
            ("output_tokens", 1),
            ("total_tokens", 7),
        ];
        assert_eq!(metrics(usage, &told), pairs(&expected));
        // Of two of the same name, the later one.
        let told = [("input_tokens", 1), ("input_tokens", 4)];
        let sum = metrics(TokenUsage::new().output(6), &told);
        assert_eq!(
            sum.last(),
            Some(&("total_tokens".to_owned(), 10_u64.into()))
        );
    }

    #[test]
    fn every_integer_is_a_number_of_tokens_and_none_changes_nothing() {
        let two: &usize = &2;
        let usage = TokenUsage::new()
            .input(7_u32)
            .output(Some(3_i32))
            .cache_read(two)
            .cache_write(Some(&1_u8))
            .reasoning(1_i64);
        let same = usage.output(None::<u64>).input(-1).cache_read(None::<&u32>);
        assert_eq!(same, usage);
        assert_eq!(
            (usage.input_tokens(), usage.output_tokens()),
            (Some(7), Some(3))
        );
        assert_eq!(TokenUsage::new().total(u128::MAX).total_tokens(), None);
    }

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
        assert_eq!(metrics(TokenUsage::new(), &[]), Vec::new());
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
