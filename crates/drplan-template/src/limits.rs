/// What one rendering may use.
///
/// There is no limit on time: the same template and data give the same answer on any machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Actions, operands and rounds of loops that may be evaluated.
    pub steps: u64,
    /// How deep actions, parentheses and templates that call templates may be nested.
    pub depth: u32,
    /// Bytes of text that may be produced, in all values together and in the result.
    pub output: usize,
}

impl Limits {
    /// A manifest of 128 KiB holds at most some 20 000 actions; fifty times that leaves room for loops, and takes
    /// well under a second.
    pub const STEPS: u64 = 1_000_000;
    /// Templates that people write nest less than ten deep. The evaluation of one level takes up to 6 KiB of stack in
    /// a debug build, and a thread has 2 MiB.
    pub const DEPTH: u32 = 100;
    /// An object of the API server may have 1.5 MiB in etcd; what is larger is refused there.
    pub const OUTPUT: usize = 2 * 1024 * 1024;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            steps: Limits::STEPS,
            depth: Limits::DEPTH,
            output: Limits::OUTPUT,
        }
    }
}
