//! The testing kit, as a user's tests use it.

mod messages;
mod submitted;
mod use_of_it;
mod where_it_sees;
