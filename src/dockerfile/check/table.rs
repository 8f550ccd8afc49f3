//! The form of the list of rules.

/// Makes [`Rule`](super::Rule), [`Finding`](super::Finding) and what is known of either of one list:
/// for each rule what a finding of it names, the rule's page, what it is about, how to satisfy it,
/// and how a finding is worded.
macro_rules! rules {
    ($(
        $rule:ident $(($($field:ident: $kind:ty),+ $(,)?))? {
            page: $page:expr,
            about: $about:expr,
            hint: $hint:expr,
            finding: ($($finding:tt)+),
        }
    )+) => {
        /// Something that a Dockerfile should not have.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each says what it is about in `description`")]
        pub enum Rule {
            $($rule,)+
        }

        /// A violation of a rule, with what its text names.
        #[derive(Debug, Clone, Copy)]
        pub(in crate::dockerfile) enum Finding<'a> {
            $($rule $({ $($field: $kind),+ })?,)+
        }

        impl Rule {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$rule,)+];

            fn facts(self) -> Facts {
                match self {
                    $(Self::$rule => Facts {
                        name: stringify!($rule),
                        page: $page,
                        about: $about,
                        hint: $hint,
                    },)+
                }
            }
        }

        impl Finding<'_> {
            /// Gives the rule that is violated.
            pub(super) fn rule(&self) -> Rule {
                match self {
                    $(Self::$rule { .. } => Rule::$rule,)+
                }
            }
        }

        impl std::fmt::Display for Finding<'_> {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$rule $({ $($field),+ })? => write!(out, $($finding)+),)+
                }
            }
        }
    };
}

pub(super) use rules;
