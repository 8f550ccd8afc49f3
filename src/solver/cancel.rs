//! The wish to stop.

use tokio_util::sync::CancellationToken;

/// A wish to stop that many can wait for. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// Starts without the wish.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wishes that the work stops. It cannot be taken back.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Says whether the work shall stop.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until the work shall stop.
    pub async fn canceled(&self) {
        self.0.cancelled().await;
    }

    /// Makes a wish that comes with this one, and can come earlier.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}
