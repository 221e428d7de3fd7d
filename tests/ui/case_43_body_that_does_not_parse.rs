struct S {
    field: u8,
}

#[llmobs::task]
fn half_typed(a: S) -> u8 {
    let b = a. ;
    b
}

fn main() {
    let _: u8 = half_typed(S { field: 1 });
}
