//! What goes wrong, and how often in a hundred passes.

use crate::random_plan::Dice;

pub(crate) struct Faults {
    pub(crate) dice: Dice,
    pub(crate) crash: u64,
    /// A cancellation, a resume.
    pub(crate) command: u64,
    pub(crate) lost_contact: u64,
    /// The write arrives, its answer does not.
    pub(crate) lost_answer: u64,
    /// Somebody does something to an object.
    pub(crate) stranger: u64,
    pub(crate) http_places: usize,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self {
            dice: Dice::new(0),
            crash: 0,
            command: 0,
            lost_contact: 0,
            lost_answer: 0,
            stranger: 0,
            http_places: usize::MAX,
        }
    }

    pub(crate) fn some(seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        Self {
            crash: dice.below(8),
            command: dice.below(5),
            lost_contact: dice.below(5),
            lost_answer: dice.below(10),
            stranger: dice.below(30),
            http_places: 1 + usize::try_from(dice.below(4)).unwrap(),
            dice,
        }
    }

    pub(crate) fn stop(&mut self) {
        let places = self.http_places;
        *self = Self {
            http_places: places,
            ..Self::none()
        };
    }
}
