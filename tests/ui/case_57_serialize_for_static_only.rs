pub struct Lt<'a>(&'a str);

impl serde::Serialize for Lt<'static> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

#[llmobs::task]
pub fn borrowed(lt: Lt<'_>) -> usize {
    lt.0.len()
}

fn main() {}
