//! The control: no SDK at all.

struct Nothing;

impl scenes::Sdk for Nothing {
    type Guard = ();

    fn start(&self, _: &str) {}

    fn message(&self, _: &str) {}
}

fn main() {
    scenes::play(&Nothing);
}
