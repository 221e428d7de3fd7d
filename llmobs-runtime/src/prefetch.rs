//! Memory that is asked for before it is needed.
#![allow(unsafe_code, reason = "the instruction that fetches memory")]

/// Asks for the memory of `place`, which is written to next time. Another processor wrote there
/// last, and to wait for it takes as long as half of what else the start of a span does.
#[inline]
pub(crate) fn for_write<T>(place: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        const LINE: usize = 64;
        let start = std::ptr::from_ref(place).cast::<i8>();
        for line in (0..size_of::<T>()).step_by(LINE) {
            // SAFETY: within the place; and nothing is read by that.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(start.add(line)) };
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = place;
}
