//! Plans: every folder of `testdata/plans` holds a Dockerfile, maybe options, and the plan it
//! comes to.

mod case;
mod print;

use std::fs;

use rbuild::dockerfile;
use rbuild::dockerfile::Bases;
use rbuild::dockerfile::Error;
use rbuild::dockerfile::Lowered;
use rbuild::dockerfile::Warning;

use self::case::Case;
use crate::support::golden::cases;
use crate::support::golden::check;
use crate::support::golden::facts;
use crate::support::random::repeatable;

/// Lowers a Dockerfile as a build does, asking for bases until none is missing.
fn lower(text: &str, case: &Case) -> Result<(Lowered, Vec<Warning>), Error> {
    let parsed = dockerfile::parse(text)?;
    let mut bases = Bases::new();
    loop {
        let wanted = dockerfile::bases(&parsed, &case.options(), &bases)?;
        if wanted.is_empty() {
            let lowering = dockerfile::lower(&parsed, &bases, &case.options());
            return lowering.outcome.map(|lowered| (lowered, lowering.warnings));
        }
        for wanted in wanted {
            bases.insert(&wanted, case.base(&wanted));
        }
    }
}

#[test]
fn plans_are_as_written() {
    for folder in cases("plans") {
        let text = fs::read_to_string(folder.join("Dockerfile")).unwrap();
        let lowered = lower(&text, &Case::read(&folder));
        let lowered = lowered.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        check(
            &print::print(&lowered.0, &lowered.1),
            &folder.join("plan.txt"),
        );
    }
}

#[test]
fn what_cannot_be_planned_is_refused() {
    for (name, text) in REFUSED {
        let error = match lower(text, &Case::default()) {
            Err(error) => error,
            Ok(_) => panic!("{name} is accepted"),
        };
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/refused");
        let file = std::path::Path::new(folder).join(format!("{name}.txt"));
        check(&facts(&error, text), &file);
    }
}

#[test]
fn what_only_a_build_refuses_can_be_checked() {
    for name in ["insecure", "host-network", "owner", "owner-link", "pattern"] {
        let (_, text) = REFUSED.iter().find(|(known, _)| *known == name).unwrap();
        let options = Case::default().options();
        let checked = dockerfile::check(text, &options, &|_| None);
        assert!(checked.error.is_none(), "{name}: {:?}", checked.error);
        let parsed = dockerfile::parse(text).unwrap();
        dockerfile::outline(&parsed, &options, &|_| None).unwrap();
    }
}

#[test]
fn an_owner_is_looked_up_where_there_are_files() {
    for text in [
        "FROM scratch\nCOPY --chown=root:1 a b",
        "FROM scratch\nCOPY a b\nCOPY --chown=app a b",
        "FROM alpine\nCOPY --chown=app a b",
        "FROM alpine\nCOPY --link --chmod=644 --chown=app a b",
        "FROM alpine\nCOPY --link --chown=1:1 a b",
        "FROM scratch\nUSER 1\nWORKDIR /x",
    ] {
        let lowered = lower(text, &Case::default());
        assert!(lowered.is_ok(), "{text}: {:?}", lowered.err());
    }
}

#[test]
fn an_error_comes_with_the_warnings_before_it() {
    let text = "FROM scratch\nENV a b\nSTOPSIGNAL x\nENV c d\n";
    let parsed = dockerfile::parse(text).unwrap();
    let lowering = dockerfile::lower(&parsed, &Bases::new(), &Case::default().options());
    assert!(lowering.outcome.is_err());
    let lines: Vec<_> = lowering
        .warnings
        .iter()
        .map(|warning| warning.span.first_line)
        .collect();
    assert_eq!(lines, [2]);
}

#[test]
fn a_target_that_is_not_there_is_refused() {
    for (target, hint) in [
        ("biuld", "did you mean `build`?"),
        ("7", "there is build, test"),
    ] {
        let case = Case::for_target(target);
        let text = "FROM scratch AS build\nFROM scratch AS test";
        let error = lower(text, &case).unwrap_err();
        let message = format!("there is no stage `{target}` to build");
        assert_eq!(error.to_string(), message);
        assert_eq!(error.problem.hint().unwrap(), hint);
    }
}

const LINES: [&str; 20] = [
    "FROM scratch",
    "FROM alpine AS a",
    "FROM a AS b",
    "FROM b AS a",
    "FROM ${v:-x} AS c",
    "ARG v=c",
    "ENV v=$v-${w%x}",
    "COPY --from=a / /x",
    "COPY --from=b . .",
    "COPY --from=1 / /",
    "COPY --from=busybox x y",
    "RUN --mount=from=b,target=$v x",
    "RUN --mount=type=cache,target=/c x",
    "ONBUILD COPY --from=a / /",
    "ONBUILD RUN <<X\n#!x\nX",
    "ONBUILD ENV later=$v",
    "ADD https://host/$v.git a /",
    "WORKDIR ../$v/",
    "ENTRYPOINT x",
    "EXPOSE 1-3/$v",
];

proptest::proptest! {
    #![proptest_config(repeatable())]

    /// Whatever stages and triggers name each other, there is a plan or an error, always the same,
    /// and the plan holds what it needs alone.
    #[test]
    fn any_lines_have_one_meaning(picked in proptest::collection::vec(0..LINES.len(), 1..24)) {
        let lines: Vec<&str> = picked.iter().map(|&line| LINES[line]).collect();
        let text = format!("FROM scratch AS a\n{}", lines.join("\n"));
        let show = |(lowered, warnings): &(Lowered, Vec<Warning>)| print::print(lowered, warnings);
        let first = lower(&text, &Case::default());
        let second = lower(&text, &Case::default());
        match (first, second) {
            (Ok(first), Ok(second)) => {
                proptest::prop_assert_eq!(show(&first), show(&second));
                let plan = &first.0.plan;
                let (only, target) = plan.graph.only(plan.target);
                proptest::prop_assert_eq!(only.len(), plan.graph.len());
                proptest::prop_assert_eq!(target, plan.target);
            }
            (first, second) => {
                let messages = [first, second].map(|result| result.unwrap_err().to_string());
                proptest::prop_assert_eq!(&messages[0], &messages[1]);
            }
        }
    }
}

/// Dockerfiles that parse and mean nothing.
const REFUSED: [(&str, &str); 44] = [
    ("no-stage", "ARG x=1"),
    ("base-blank", "FROM $base"),
    ("base-name", "FROM scratch AS build\nFROM Build"),
    ("base-unneeded", "FROM platform-\nFROM scratch"),
    ("base-required", "ARG v\nFROM alpine:${v:?choose-a-version}"),
    ("stage-name", "FROM scratch AS a-"),
    ("platform-blank", "FROM --platform=$P alpine"),
    ("platform", "FROM --platform=linux/$P alpine"),
    ("from-number", "FROM scratch\nCOPY --from=1 a b"),
    ("from-variable", "FROM scratch\nCOPY --from=$x a b"),
    ("from-itself", "FROM scratch AS a\nCOPY --from=a x y"),
    (
        "from-circle",
        "FROM scratch AS a\nCOPY --from=b x y\nFROM scratch AS b\nCOPY --from=c x y\n\
         FROM scratch AS c\nRUN \\\n --mount=from=a,target=/a \\\n true",
    ),
    (
        "from-later",
        "FROM scratch AS a\nCOPY --from=b x y\nFROM scratch AS b\nFROM a",
    ),
    ("expand", "FROM scratch\nENV a=1 \\\n b=${a"),
    ("expose", "FROM scratch\nEXPOSE 80 \\\n 70000/tcp"),
    ("signal", "FROM scratch\nSTOPSIGNAL SIGNOPE"),
    ("volume", "FROM scratch\nVOLUME /a $nothing"),
    ("chmod", "FROM scratch\nCOPY --chmod=64a a b"),
    ("copy-url", "FROM scratch\nCOPY a https://host/x /"),
    ("git-url", "FROM scratch\nADD https://host/x.git?novel=1 /"),
    (
        "checksum-local",
        "FROM scratch\nADD --checksum=sha256:00 a /",
    ),
    (
        "checksum",
        "FROM scratch\nADD --checksum=md5:00 https://host/x /",
    ),
    ("mount-target", "FROM scratch\nRUN --mount=target=/ x"),
    (
        "mount-option",
        "FROM scratch\nARG t=tmp\nRUN --mount=type=$t,target=/x x",
    ),
    (
        "ssh-source",
        "FROM scratch\nRUN --mount=type=ssh,source=x x",
    ),
    (
        "device",
        "FROM scratch\nRUN --device=vendor.com/gpu=0,required x",
    ),
    ("insecure", "FROM scratch\nRUN --security=insecure x"),
    ("host-network", "FROM scratch\nRUN --network=host x"),
    ("owner", "FROM scratch\nCOPY --chown=app:0 a b"),
    ("owner-workdir", "FROM scratch\nUSER app\nWORKDIR /x"),
    ("owner-link", "FROM alpine\nADD --link --chown=0:app a b"),
    (
        "inline-name",
        "FROM scratch\nCOPY <<../../x /\na\n../../x\n",
    ),
    (
        "inline-expand",
        "FROM scratch\nCOPY <<a <<-b /\na\na\n$v ${v:-\nc}\n\t\td ${w:?not\nset} e\n\tb\n",
    ),
    (
        "trigger",
        "FROM scratch AS a\nONBUILD EXPOSE x\nFROM a AS b\nFROM a\nCOPY --from=b a b",
    ),
    (
        "trigger-flag",
        "FROM scratch AS a\nONBUILD COPY --nope a b\nFROM a",
    ),
    (
        "trigger-stage",
        "FROM scratch AS a\nONBUILD COPY --from=7 a b\nFROM a",
    ),
    (
        "trigger-expand",
        "FROM scratch AS a\nONBUILD COPY <<b /\n${v?unset}\nb\nFROM a",
    ),
    (
        "trigger-insecure",
        "FROM scratch AS a\nONBUILD RUN --security=insecure x\nFROM a",
    ),
    ("pattern", "FROM scratch\nCOPY a [a /dest/"),
    ("pattern-add", "FROM scratch\nARG p=*[\nADD x$p y /dest/"),
    (
        "pattern-parents",
        "FROM scratch\nCOPY --parents a/./b[ /dest/",
    ),
    (
        "pattern-exclude",
        "FROM scratch\nCOPY --exclude=a --exclude=[ a /dest/",
    ),
    ("epoch", "ARG SOURCE_DATE_EPOCH=yesterday\nFROM scratch"),
    ("epoch-negative", "ARG SOURCE_DATE_EPOCH=-5\nFROM scratch"),
];
