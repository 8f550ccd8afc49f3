//! What several test files share.

/// Says why a test does nothing here; where everything must run (`RBUILD_REQUIRE_ALL=1`), fails.
pub(crate) fn skip(reason: &str) {
    assert!(
        std::env::var_os("RBUILD_REQUIRE_ALL").is_none(),
        "cannot run here: {reason}"
    );
    println!("skipped: {reason}");
}
