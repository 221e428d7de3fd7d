#[llmobs::task]
struct Struct;

#[llmobs::task]
enum Enum {}

#[llmobs::task]
pub mod module {}

#[llmobs::task]
const CONSTANT: u8 = 1;

#[llmobs::task]
type Alias = u8;

#[llmobs::task]
unsafe extern "C" {}

#[llmobs::task]
pub(crate) unsafe trait Trait {}

#[llmobs::task]
impl Struct {}

#[llmobs::task]
macro_rules! rules {
    () => {};
}

fn main() {}
