//! How many commands are still to come.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// The commands that are expected and have not begun.
#[derive(Clone, Debug, Default)]
pub(in crate::worker) struct Expected {
    count: Arc<AtomicUsize>,
}

impl Expected {
    /// One more is expected.
    pub(super) fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// One begins. If nobody expected it, it does not count.
    pub(super) fn begin(&self) {
        let fewer = |count: usize| count.checked_sub(1);
        let _unexpected = self
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
    }

    /// Says whether more are to come.
    pub(super) fn has_more(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::Expected;

    #[test]
    fn a_command_that_nobody_expected_does_not_count() {
        let expected = Expected::default();
        expected.begin();
        assert!(!expected.has_more());
        expected.add();
        expected.clone().add();
        expected.begin();
        assert!(expected.has_more());
        expected.begin();
        assert!(!expected.has_more());
    }
}
