//! What expanded macros call. Not API: it changes without notice, and its path carries
//! the version so that macros and runtime of different versions do not compile together.

mod boxed;
mod future;
mod ladder;
mod leaving;
mod prompt;
mod record;
mod special;
mod start;
mod stream;
mod told;

/// The one version that expanded code of this release names.
pub mod v0_1_0 {
    pub use core::include_str;
    pub use core::option::Option::{None, Some};
    pub use core::primitive::bool;
    pub use core::result::Result::{Err, Ok};
    pub use std::boxed::Box;

    pub use super::future::{Instrumented, output_of, typed};
    pub use super::ladder::{Cap, Fail, Ret, apply};
    #[allow(deprecated, reason = "they are warnings to the user")]
    pub use super::ladder::{future_inside, items_without_stream};
    pub use super::leaving::{Leaving, Returned, Trying, arrived};
    pub use super::prompt::TemplateFile;
    pub use super::record::{attempt, failed, noted, output, wants_output};
    pub use super::start::{Entered, Kind, Starting, call, enabled, fake, literal, start, text};
    pub use super::stream::{
        chunk, failed_item, is_open, item, iterator, iterator_of, leave, no_stream, stream,
        stream_of, takes_items,
    };
    pub use crate::__llmobs_switch as switch;
    pub use crate::prompt::Prompt;
    pub use crate::span::Span;

    /// The traits of the ladders; a block that climbs one imports them all.
    pub mod ladder {
        pub use crate::__private::boxed::{
            BoxedLocal as _, BoxedSend as _, BoxedSync as _, BoxedUnpin as _, NoBox as _,
            NoBoxedFuture as _,
        };
        pub use crate::__private::ladder::{
            CapDebug as _, CapIterator as _, CapName as _, CapOption as _, CapOptionDebug as _,
            CapOptionIterator as _, CapSerialize as _, CapSpecial as _, FailDebug as _,
            FailDeref as _, FailDisplay as _, FailDyn as _, FailError as _, FailName as _,
            NamedFuture as _, NoFuture as _, SplitAny as _, SplitResult as _,
        };
        pub use crate::__private::leaving::{
            LeavesAny as _, LeavesResult as _, TriesAny as _, TriesResult as _,
        };
        pub use crate::__private::stream::{CapChunk as _, CapNoChunk as _};
    }

    /// The rung above them for what `#[llm]` is told.
    pub mod told {
        pub use crate::__private::told::CapMessages as _;
    }

    #[cfg(test)]
    pub(super) const PATH: &str = module_path!();
}

/// Chooses between the instrumented and the bare body. The switch is a feature of this
/// crate: one of the macro crate would be unified over all that depend on it.
#[cfg(feature = "enabled")]
#[doc(hidden)]
#[macro_export]
macro_rules! __llmobs_switch {
    ({$($on:tt)*} {$($off:tt)*}) => { $($on)* };
}

/// Chooses between the instrumented and the bare body.
#[cfg(not(feature = "enabled"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __llmobs_switch {
    ({$($on:tt)*} {$($off:tt)*}) => { $($off)* };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_path_carries_the_version() {
        let version = env!("CARGO_PKG_VERSION").replace(|c: char| !c.is_alphanumeric(), "_");
        let path = super::v0_1_0::PATH;
        assert!(path.ends_with(&format!("__private::v{version}")), "{path}");
    }
}
