//! Build checks: every folder of `testdata/checks` holds a Dockerfile, maybe an ignore file and the
//! platform that images turn out to be for, and what the checks say.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use rbuild::dockerfile;
use rbuild::dockerfile::Base;
use rbuild::dockerfile::Checked;
use rbuild::dockerfile::Options;
use rbuild::dockerfile::Outline;
use rbuild::dockerfile::Wanted;
use rbuild::dockerfile::parse;
use rbuild::oci::ImageConfig;
use rbuild::oci::Platform;

use crate::support::golden::cases;
use crate::support::golden::check;
use crate::support::random::repeatable;

fn options() -> Options {
    Options::plain(Platform::new("linux", "amd64", None))
}

fn checks_of(folder: &Path) -> Checked {
    let text = fs::read_to_string(folder.join("Dockerfile")).unwrap();
    let ignore = fs::read_to_string(folder.join(".dockerignore")).unwrap_or_default();
    let ignore = dockerfile::parse_ignore(&ignore).unwrap();
    let options = Options {
        ignore: ignore.into_iter().map(|line| line.text).collect(),
        ..options()
    };
    let found = fs::read_to_string(folder.join("found"));
    let found: Option<Platform> = found.ok().map(|text| text.trim().parse().unwrap());
    let find = |wanted: &Wanted| {
        found.as_ref().map(|found| Base {
            name: wanted.name.clone(),
            source: None,
            layers: Vec::new(),
            config: ImageConfig::scratch(found),
        })
    };
    dockerfile::check(&text, &options, &find)
}

fn print(checked: &Checked) -> String {
    let mut out = String::new();
    for warning in &checked.warnings {
        let rule = warning.rule.expect("a check has a rule").name();
        let (first, last) = (warning.span.first_line, warning.span.last_line);
        let lines = match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        writeln!(out, "{lines}: {rule}: {}", warning.message).unwrap();
    }
    if let Some(error) = &checked.error {
        writeln!(out, "{}: error: {error}", error.span.first_line).unwrap();
    }
    out
}

#[test]
fn rules_find_what_they_are_for() {
    for folder in cases("checks") {
        check(&print(&checks_of(&folder)), &folder.join("expected.txt"));
    }
}

#[test]
fn a_target_limits_what_is_checked() {
    let text = "FROM scratch AS one\nENV a b\nFROM scratch AS two\nENV c d\n";
    let lines = |target: Option<&str>| -> Vec<u32> {
        let options = Options {
            target: target.map(str::to_owned),
            ..options()
        };
        let warnings = dockerfile::check(text, &options, &|_| None).warnings;
        warnings.iter().map(|found| found.span.first_line).collect()
    };
    assert_eq!(lines(None), [2, 4]);
    assert_eq!(lines(Some("one")), [2]);
}

#[test]
fn a_build_argument_goes_before_the_directive() {
    let text = "# check=skip=all\nFROM scratch as one\n";
    let found = |value: &str| {
        let mut options = options();
        let name = "BUILDKIT_DOCKERFILE_CHECK".to_owned();
        options.build_args.insert(name, value.to_owned());
        let checked = dockerfile::check(text, &options, &|_| None);
        (checked.warnings.len(), checked.error.is_some())
    };
    assert_eq!(found("skip=UndefinedVar"), (1, false));
    assert_eq!(found("error=true"), (1, true));
    assert_eq!(found("error=maybe"), (0, true));
}

#[test]
fn a_build_finds_the_same_in_what_it_needs() {
    let text = "FROM scratch AS one\nENV a b\nFROM scratch as two\n";
    let parsed = parse(text).unwrap();
    let lowered = dockerfile::lower(&parsed, &dockerfile::Bases::new(), &options());
    let rules: Vec<_> = lowered.warnings.iter().map(|found| found.rule).collect();
    assert_eq!(rules, [Some(dockerfile::Rule::FromAsCasing)]);
    assert!(lowered.outcome.is_ok());
}

fn outline(text: &str) -> Outline {
    let parsed = parse(text).unwrap();
    dockerfile::outline(&parsed, &options(), &|_| None).unwrap()
}

#[test]
fn an_outline_has_what_the_target_takes() {
    let text = "\
ARG UNUSED=0
ARG TAG=1
# IMAGE where it begins
ARG IMAGE=busybox:$TAG
ARG SHARED=2
FROM $IMAGE AS base
ARG SHARED LOCAL=$SHARED
RUN --mount=type=secret,id=a --mount=type=ssh,required true
FROM scratch AS other
ARG ELSEWHERE
# final the end of it
FROM base AS final
ARG LOCAL=3
RUN --mount=type=secret,id=b,required --mount=type=secret,id=a true
";
    let outline = outline(text);
    let args = outline.args.iter();
    let args: Vec<_> = args
        .map(|arg| (arg.name.as_str(), arg.value.as_str(), arg.span.first_line))
        .collect();
    let expected = [
        ("TAG", "1", 2),
        ("IMAGE", "busybox:1", 4),
        ("SHARED", "2", 5),
        ("LOCAL", "3", 13),
    ];
    assert_eq!(args, expected);
    let about = outline.args[1].description.as_deref();
    assert_eq!(about, Some("where it begins"));
    let of_final = (outline.name.as_str(), outline.description.as_deref());
    assert_eq!(of_final, ("final", Some("the end of it")));
    let names = |requests: &[dockerfile::Request]| -> Vec<_> {
        let name = |found: &dockerfile::Request| (found.name.clone(), found.required);
        requests.iter().map(name).collect()
    };
    let secrets = [("b".to_owned(), true), ("a".to_owned(), false)];
    assert_eq!(names(&outline.secrets), secrets);
    assert_eq!(names(&outline.ssh), [("default".to_owned(), true)]);
}

#[test]
fn arguments_that_need_each_other_have_an_end() {
    let outline = outline("ARG A=a\nARG B=$A\nARG A=$B\nFROM busybox:$A\n");
    let names: Vec<_> = outline.args.iter().map(|arg| arg.name.as_str()).collect();
    assert_eq!(names, ["B", "A"]);
}

#[test]
fn targets_are_the_stages() {
    let text = "# one the first\nFROM --platform=$BUILDPLATFORM a:$T AS One\nFROM one\n";
    let targets = dockerfile::targets(&parse(text).unwrap());
    let [first, last] = targets.as_slice() else {
        panic!("{targets:?}")
    };
    assert_eq!(first.name.as_deref(), Some("one"));
    assert_eq!(first.description.as_deref(), Some("the first"));
    assert_eq!(first.platform.as_deref(), Some("$BUILDPLATFORM"));
    assert_eq!((first.base.as_str(), first.is_default), ("a:$T", false));
    assert_eq!((last.name.as_deref(), last.is_default), (None, true));
}

#[test]
fn what_a_from_names_goes_before_what_its_base_declares() {
    let text = "ARG X=1\nFROM scratch$X AS base\nARG X=2\nFROM base AS final\n";
    let text = text.replace("scratch$X", "busybox:$X");
    let lines = |outline: Outline| -> Vec<u32> {
        outline.args.iter().map(|arg| arg.span.first_line).collect()
    };
    assert_eq!(lines(outline(&text)), [1]);
}

#[test]
fn long_chains_of_stages_are_outlined() {
    let mut text = String::from("ARG A=1\nFROM busybox:$A AS s0\n");
    for stage in 1..5_000 {
        writeln!(text, "FROM s{} AS s{stage}", stage - 1).unwrap();
        writeln!(text, "COPY --from=s0 /a{stage} /").unwrap();
    }
    // Looking at every stage again for each of its users would not end.
    assert_eq!(outline(&text).args.len(), 1);
}

const LINES: [&str; 24] = [
    "# check=skip=all",
    "# check=experimental=all",
    "# check=error=maybe",
    "# v is it",
    "FROM scratch as A",
    "from a AS b",
    "FROM --platform=$v b",
    "FROM --platform=linux/amd64 alpine:$v as context",
    "FROM a b c d",
    "ARG v",
    "ARG v=$w w=${v:-x} SECRET",
    "ENV a $b",
    "env token=${v:?no}",
    "LABEL a",
    "COPY --from=a $v /",
    "RUN --mount=type=secret,id=$v --mount=type=ssh x \\\n\n y",
    "ONBUILD CMD x",
    "CMD x",
    "ENTRYPOINT [1]",
    "MAINTAINER x",
    "WORKDIR $v",
    "EXPOSE $v:1 80/TCP",
    "COPY <<X /\n$v\nX",
    "RUN <<X",
];

proptest::proptest! {
    #![proptest_config(repeatable())]

    /// Whatever stands in a Dockerfile, checking it ends, and finds the same again.
    #[test]
    fn any_lines_can_be_checked(picked in proptest::collection::vec(0..LINES.len(), 0..24)) {
        let lines: Vec<&str> = picked.iter().map(|&line| LINES[line]).collect();
        let text = lines.join("\n");
        let [first, second] = [0, 1].map(|_| dockerfile::check(&text, &options(), &|_| None));
        proptest::prop_assert_eq!(print(&first), print(&second));
        for warning in &first.warnings {
            let span = warning.span;
            proptest::prop_assert!(span.start <= span.end && span.end <= text.len());
            proptest::prop_assert!(span.first_line <= span.last_line);
        }
        if let Ok(parsed) = parse(&text) {
            let _ = dockerfile::outline(&parsed, &options(), &|_| None);
            let targets = dockerfile::targets(&parsed);
            proptest::prop_assert_eq!(targets.len(), parsed.stages.len());
        }
    }
}
