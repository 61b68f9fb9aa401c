//! Numbers that follow from a seed.

/// A row of numbers (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The row that belongs to `seed` and `which` of its uses, whatever was rolled elsewhere.
    pub(crate) fn of(seed: u64, which: &[u64]) -> Self {
        let mut dice = Self(seed);
        for part in which {
            dice = Self(dice.roll() ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        }
        dice
    }

    /// The same for a text.
    pub(crate) fn of_text(seed: u64, which: &str, number: u64) -> Self {
        let hash = which.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self::of(seed, &[hash, number])
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// An index below `bound`.
    pub(crate) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(u64::try_from(bound).unwrap())).unwrap()
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number up to `most`, the smaller the likelier.
    pub(crate) fn small(&mut self, most: u64) -> u64 {
        let shift = self.below(64 - u64::from(most.max(1).leading_zeros()) + 1);
        self.below((most >> shift) + 1)
    }
}
