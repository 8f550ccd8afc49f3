//! The calls that are answered instead of made, for each kind of program that this machine runs: by
//! which a process gives files away, becomes another user, or looks up a path. Each kind numbers its
//! calls in its own way.

/// A kind of program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Abi {
    /// The kernel's name for it (`linux/audit.h`).
    pub(super) architecture: u32,
    /// The calls by which files are given away.
    pub(super) gifts: &'static [Gives],
    /// The calls by which another user is taken.
    pub(super) users: &'static [u32],
    /// The calls by which a file is opened, or a link read.
    pub(super) lookups: &'static [Looks],
}

/// A call that gives a file away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gives {
    pub(super) number: u32,
    pub(super) form: Form,
    /// Which bits of an argument are a user or a group; all of them set mean none.
    pub(super) id: u32,
}

impl Gives {
    const fn of_16_bits(self) -> Gives {
        Gives { id: 0xffff, ..self }
    }
}

/// How a call names the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `chown`.
    Path,
    /// `lchown`.
    Link,
    /// `fchown`.
    Open,
    /// `fchownat`.
    At,
}

/// A call that looks up a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looks {
    pub(super) number: u32,
    pub(super) form: LookupForm,
}

/// Where a call has the path, and what it is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookupForm {
    /// `open`.
    Open,
    /// `openat`.
    OpenAt,
    /// `creat`.
    Create,
    /// `readlink`.
    ReadLink,
    /// `readlinkat`.
    ReadLinkAt,
}

/// Those of this machine, its own first.
pub(super) const ABIS: [Abi; 2] = match cfg!(target_arch = "aarch64") {
    true => [AARCH64, ARM],
    false => [X86_64, I386],
};

const X86_64: Abi = Abi {
    architecture: 0xc000_003e,
    gifts: &[
        gives(92, Form::Path),
        gives(93, Form::Open),
        gives(94, Form::Link),
        gives(260, Form::At),
    ],
    users: &[105, 106, 113, 114, 116, 117, 119, 122, 123],
    lookups: &[
        looks(2, LookupForm::Open),
        looks(257, LookupForm::OpenAt),
        looks(85, LookupForm::Create),
        looks(89, LookupForm::ReadLink),
        looks(267, LookupForm::ReadLinkAt),
    ],
};

const AARCH64: Abi = Abi {
    architecture: 0xc000_00b7,
    gifts: &[gives(55, Form::Open), gives(54, Form::At)],
    users: &[143, 144, 145, 146, 147, 149, 151, 152, 159],
    lookups: &[
        looks(56, LookupForm::OpenAt),
        looks(78, LookupForm::ReadLinkAt),
    ],
};

const I386: Abi = Abi {
    architecture: 0x4000_0003,
    gifts: &gifts_32(298),
    users: &USERS_32,
    lookups: &lookups_32(295, 305),
};

const ARM: Abi = Abi {
    architecture: 0x4000_0028,
    gifts: &gifts_32(325),
    users: &USERS_32,
    lookups: &lookups_32(322, 332),
};

/// The calls of 32-bit programs, which have the same numbers on both machines but for the last:
/// those from when a user had 16 bits, and those that took their place.
const fn gifts_32(at: u32) -> [Gives; 7] {
    [
        gives(182, Form::Path).of_16_bits(),
        gives(95, Form::Open).of_16_bits(),
        gives(16, Form::Link).of_16_bits(),
        gives(212, Form::Path),
        gives(207, Form::Open),
        gives(198, Form::Link),
        gives(at, Form::At),
    ]
}

/// Again with those from when a user had 16 bits.
const USERS_32: [u32; 18] = [
    23, 46, 70, 71, 81, 138, 139, 164, 170, 203, 204, 206, 208, 210, 213, 214, 215, 216,
];

const fn lookups_32(open_at: u32, read_link_at: u32) -> [Looks; 5] {
    [
        looks(5, LookupForm::Open),
        looks(open_at, LookupForm::OpenAt),
        looks(8, LookupForm::Create),
        looks(85, LookupForm::ReadLink),
        looks(read_link_at, LookupForm::ReadLinkAt),
    ]
}

const fn looks(number: u32, form: LookupForm) -> Looks {
    Looks { number, form }
}

const fn gives(number: u32, form: Form) -> Gives {
    Gives {
        number,
        form,
        id: u32::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls of all kinds of programs, by name.
    const CALLS: &str = include_str!("../sandbox/seccomp/calls.txt");

    #[test]
    fn numbers_are_those_of_the_profile() {
        let number_of = |name: &str, column: usize| {
            let mut lines = CALLS.lines().map(str::split_ascii_whitespace);
            let mut line = lines
                .find(|line| line.clone().next() == Some(name))
                .unwrap();
            line.nth(1 + column).unwrap().parse::<u32>().ok()
        };
        let names = [
            ("chown", Form::Path),
            ("chown32", Form::Path),
            ("lchown", Form::Link),
            ("lchown32", Form::Link),
            ("fchown", Form::Open),
            ("fchown32", Form::Open),
            ("fchownat", Form::At),
        ];
        let takes = [
            "setuid",
            "setgid",
            "setreuid",
            "setregid",
            "setgroups",
            "setresuid",
            "setresgid",
            "setfsuid",
            "setfsgid",
        ];
        for (abi, column) in [(X86_64, 0), (I386, 1), (AARCH64, 3), (ARM, 4)] {
            let numbers = names.map(|(name, form)| (number_of(name, column), form));
            let mut expected: Vec<_> = numbers
                .into_iter()
                .filter_map(|(number, form)| Some((number?, form)))
                .collect();
            let mut gifts: Vec<_> = abi.gifts.iter().map(|it| (it.number, it.form)).collect();
            expected.sort_by_key(|(number, _)| *number);
            gifts.sort_by_key(|(number, _)| *number);
            assert_eq!(gifts, expected, "{:#x}", abi.architecture);
            let names = [
                ("open", LookupForm::Open),
                ("openat", LookupForm::OpenAt),
                ("creat", LookupForm::Create),
                ("readlink", LookupForm::ReadLink),
                ("readlinkat", LookupForm::ReadLinkAt),
            ];
            let numbers = names.map(|(name, form)| (number_of(name, column), form));
            let expected: Vec<_> = numbers
                .into_iter()
                .filter_map(|(number, form)| Some((number?, form)))
                .collect();
            let lookups: Vec<_> = abi.lookups.iter().map(|it| (it.number, it.form)).collect();
            assert_eq!(lookups, expected, "{:#x}", abi.architecture);
            let both = takes
                .iter()
                .flat_map(|name| [(*name).to_owned(), format!("{name}32")]);
            let known = both.filter(|name| CALLS.contains(&format!("\n{name} ")));
            let mut expected: Vec<u32> =
                known.filter_map(|name| number_of(&name, column)).collect();
            expected.sort_unstable();
            assert_eq!(abi.users, expected, "{:#x}", abi.architecture);
        }
    }
}
