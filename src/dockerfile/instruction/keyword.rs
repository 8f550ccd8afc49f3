//! The keywords.

/// What an instruction begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dockerfile) enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

const KEYWORDS: [(&str, Keyword); 18] = [
    ("ADD", Keyword::Add),
    ("ARG", Keyword::Arg),
    ("CMD", Keyword::Cmd),
    ("COPY", Keyword::Copy),
    ("ENTRYPOINT", Keyword::Entrypoint),
    ("ENV", Keyword::Env),
    ("EXPOSE", Keyword::Expose),
    ("FROM", Keyword::From),
    ("HEALTHCHECK", Keyword::Healthcheck),
    ("LABEL", Keyword::Label),
    ("MAINTAINER", Keyword::Maintainer),
    ("ONBUILD", Keyword::Onbuild),
    ("RUN", Keyword::Run),
    ("SHELL", Keyword::Shell),
    ("STOPSIGNAL", Keyword::Stopsignal),
    ("USER", Keyword::User),
    ("VOLUME", Keyword::Volume),
    ("WORKDIR", Keyword::Workdir),
];

impl Keyword {
    /// The keyword a word is, in whatever case.
    pub(in crate::dockerfile) fn find(word: &str) -> Option<Self> {
        let found = KEYWORDS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word));
        found.map(|(_, keyword)| *keyword)
    }

    /// All of them, in upper case.
    pub(in crate::dockerfile) fn names() -> [&'static str; 18] {
        KEYWORDS.map(|(name, _)| name)
    }

    /// Its name in upper case.
    pub(in crate::dockerfile) fn name(self) -> &'static str {
        KEYWORDS[self as usize].0
    }

    /// Whether here-documents can stand on its line.
    pub(in crate::dockerfile) fn takes_heredocs(self) -> bool {
        matches!(self, Self::Add | Self::Copy | Self::Run)
    }
}

#[cfg(test)]
mod tests {
    use super::KEYWORDS;
    use super::Keyword;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (name, keyword) in KEYWORDS {
            assert_eq!(keyword.name(), name);
            assert_eq!(Keyword::find(&name.to_lowercase()), Some(keyword));
        }
    }
}
