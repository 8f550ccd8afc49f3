//! What is tried at random.

use proptest::test_runner::Config;
use proptest::test_runner::RngSeed;

/// The same cases in every run, so that what fails once fails again. `PROPTEST_RNG_SEED` chooses
/// others.
pub(crate) fn repeatable() -> Config {
    let config = Config::default();
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        chosen => chosen,
    };
    Config {
        rng_seed,
        failure_persistence: None,
        ..config
    }
}
