use std::sync::Arc;
use std::time::Duration;

use super::Plain;
use crate::progress::Event;
use crate::progress::StepId;
use crate::progress::Stream;
use crate::progress::Transfer;

fn started(step: u64, name: &str) -> Event {
    let (step, name) = (StepId(step), Arc::from(name));
    Event::Started { step, name }
}

fn cached(step: u64, name: &str) -> Event {
    let (step, name) = (StepId(step), Arc::from(name));
    Event::Cached { step, name }
}

fn output(step: u64, text: &str) -> Event {
    Event::Output {
        step: StepId(step),
        stream: Stream::Stdout,
        bytes: text.as_bytes().to_vec(),
    }
}

fn done(step: u64) -> Event {
    Event::Done { step: StepId(step) }
}

fn moved(done_bytes: u64, total_bytes: Option<u64>) -> Event {
    Event::Moved {
        step: StepId(0),
        item: Arc::from("sha256:abc"),
        transfer: Transfer::Download,
        done_bytes,
        total_bytes,
    }
}

/// Plays events at the given milliseconds, looking at the clock after each.
fn check(events: &[(u64, Event)], expected: &str) {
    let mut plain = Plain::default();
    let mut out = String::new();
    for (at_ms, event) in events {
        plain.event(Duration::from_millis(*at_ms), event, &mut out);
        plain.refresh(Duration::from_millis(*at_ms), &mut out);
    }
    plain.finish(Duration::from_secs(100), &mut out);
    assert_eq!(out, expected);
}

#[test]
fn a_step_looks_like_buildkits() {
    check(
        &[
            (0, cached(0, "[1/2] FROM debian")),
            (1000, started(1, "[2/2] RUN make")),
            (1123, output(1, "cc a.c\ncc ")),
            (1200, output(1, "b.c\n")),
            (2200, done(1)),
        ],
        "#1 [1/2] FROM debian\n#1 CACHED\n\n#2 [2/2] RUN make\n#2 0.123 cc a.c\n\
         #2 0.200 cc b.c\n#2 DONE 1.2s\n\n",
    );
}

#[test]
fn nothing_happened_nothing_said() {
    check(&[], "");
}

#[test]
fn a_step_waits_for_the_floor_and_not_forever() {
    check(
        &[
            (0, started(0, "a")),
            (0, started(1, "b")),
            (100, output(1, "from b\n")),
            (200, output(0, "from a\n")),
            (2000, output(0, "more\n")),
            (2500, done(1)),
            (3000, done(0)),
        ],
        "#1 a\n#1 0.200 from a\n#1 2.000 more\n#1 ...\n\n#2 b\n#2 0.100 from b\n\
         #2 DONE 2.5s\n\n#1 a\n#1 DONE 3.0s\n\n",
    );
}

#[test]
fn an_ended_step_is_told_of_at_once() {
    check(
        &[
            (0, started(0, "a")),
            (10, started(1, "b")),
            (20, done(1)),
            (30, output(0, "on\n")),
        ],
        "#1 a\n#1 ...\n\n#2 b\n#2 DONE 0.0s\n\n#1 a\n#1 0.030 on\n\n",
    );
}

#[test]
fn a_question_without_line_end_is_shown_after_a_while() {
    let mut plain = Plain::default();
    let mut out = String::new();
    plain.event(Duration::ZERO, &started(0, "a"), &mut out);
    plain.event(Duration::ZERO, &output(0, "sure? "), &mut out);
    plain.refresh(Duration::from_millis(500), &mut out);
    assert_eq!(out, "#1 a\n");
    plain.refresh(Duration::from_millis(1500), &mut out);
    assert_eq!(out, "#1 a\n#1 1.500 sure? \n");
}

#[test]
fn what_was_written_last_comes_before_the_end() {
    check(
        &[
            (0, started(0, "a")),
            (10, output(0, "no newline")),
            (
                20,
                Event::Failed {
                    step: StepId(0),
                    message: "exit code: 1".to_owned(),
                },
            ),
        ],
        "#1 a\n#1 0.020 no newline\n#1 ERROR: exit code: 1\n\n",
    );
}

#[test]
fn transfers_are_told_of_now_and_then() {
    let total = Some(1_000_000);
    check(
        &[
            (0, started(0, "FROM x")),
            (0, moved(0, total)),
            (100, moved(300_000, total)),
            (1100, moved(300_000, total)),
            (2100, moved(310_000, total)),
            (2900, moved(1_000_000, total)),
            (2901, moved(1_000_000, total)),
        ],
        "#1 FROM x\n#1 sha256:abc 300.00kB / 1.00MB 1.1s\n\
         #1 sha256:abc 1.00MB 2.9s done\n\n",
    );
    check(
        &[
            (0, started(0, "FROM x")),
            (0, moved(10, None)),
            (6000, moved(20, None)),
        ],
        "#1 FROM x\n#1 sha256:abc 20B 6.0s\n\n",
    );
}

#[test]
fn a_warning_stands_alone() {
    let message = "mind the gap".to_owned();
    check(
        &[
            (0, started(0, "a")),
            (1, Event::Warning { message }),
            (2, done(0)),
        ],
        "#1 a\n\nwarning: mind the gap\n\n#1 a\n#1 DONE 0.0s\n\n",
    );
}
