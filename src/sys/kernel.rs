//! Which kernel this is.

/// What it calls its release, as in `6.1.0-13-amd64`.
pub fn release() -> String {
    let system = rustix::system::uname();
    system.release().to_string_lossy().into_owned()
}

/// Whether it is of this version or a later one.
pub fn is_at_least(major: u32, minor: u32) -> bool {
    is_of(&release(), (major, minor))
}

fn is_of(release: &str, least: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse::<u32>().ok();
    matches!((next(), next()), (Some(major), Some(minor)) if (major, minor) >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        for release in ["6.14.0", "6.14-rc1", "6.18.44-x", "7.0", "10.1.2"] {
            assert!(is_of(release, (6, 14)), "{release}");
        }
        for release in ["6.13.12", "6.2.0", "5.15.0-91-generic", "2.6.78", "", "x.y"] {
            assert!(!is_of(release, (6, 14)), "{release}");
        }
        assert!(is_at_least(3, 0));
    }
}
