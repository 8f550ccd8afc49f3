//! Parses whatever bytes: no panic, the same result each time, and every place inside the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rbuild::dockerfile::Dockerfile;
use rbuild::dockerfile::Escape;
use rbuild::dockerfile::Span;
use rbuild::dockerfile::decode;
use rbuild::dockerfile::parse;
use rbuild::dockerfile::parse_ignore;
use rbuild::dockerfile::parse_instruction;
use rbuild::dockerfile::to_json;

fuzz_target!(|data: &[u8]| {
    let text = decode(data);
    match (parse(&text), parse(&text)) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first, second);
            assert_eq!(to_json(&first).to_string(), to_json(&second).to_string());
            check_places(&text, &first);
        }
        (Err(first), Err(second)) => {
            check_span(&text, first.span.start, first.span.end);
            assert_eq!(format!("{first:?}"), format!("{second:?}"));
            let _ = (first.to_string(), first.problem.hint());
        }
        _ => panic!("one of two equal texts is refused"),
    }
    if let Err(error) = parse_instruction(&text, Escape::Backtick) {
        check_span(&text, error.span.start, error.span.end);
    }
    if let Err(error) = parse_ignore(&text) {
        check_span(&text, error.span.start, error.span.end);
    }
});

fn check_places(text: &str, dockerfile: &Dockerfile) {
    for warning in &dockerfile.warnings {
        check_span(text, warning.span.start, warning.span.end);
    }
    let statements = dockerfile
        .stages
        .iter()
        .flat_map(|stage| &stage.instructions);
    for statement in statements {
        let Span { start, end, .. } = statement.source.keyword.span;
        assert_eq!(text[start..end], statement.source.keyword.text);
    }
    // Spans stand in dozens of types, which all show them alike. A text that shows the same is of
    // no use then.
    if text.contains("Span") {
        return;
    }
    let shown = format!("{dockerfile:?}");
    for span in shown.split("Span { start: ").skip(1) {
        let mut numbers = span.split(|char: char| !char.is_ascii_digit());
        let mut next = || {
            let number = numbers.find(|number| !number.is_empty());
            number
                .and_then(|number| number.parse().ok())
                .expect("a number")
        };
        check_span(text, next(), next());
    }
}

fn check_span(text: &str, start: usize, end: usize) {
    assert!(
        text.get(start..end).is_some(),
        "{start}..{end} is no part of the text"
    );
}
