use std::sync::Arc;
use std::time::Duration;

use super::Tty;
use crate::cli::progress::renderer::Size;
use crate::progress::Event;
use crate::progress::StepId;
use crate::progress::Stream;
use crate::progress::Transfer;

/// A view with its terminal.
struct Bench {
    tty: Tty,
    terminal: vt100::Parser,
    size: Size,
}

impl Bench {
    fn new(rows: usize, columns: usize) -> Self {
        let narrow = |size: usize| u16::try_from(size).unwrap().try_into().unwrap();
        Self {
            tty: Tty::new(false),
            terminal: vt100::Parser::new(narrow(rows), narrow(columns), 1000),
            size: Size { rows, columns },
        }
    }

    fn play(&mut self, at_ms: u64, events: &[Event]) -> String {
        for event in events {
            self.tty.event(Duration::from_millis(at_ms), event);
        }
        self.refresh(at_ms)
    }

    fn refresh(&mut self, at_ms: u64) -> String {
        let mut out = String::new();
        let at = Duration::from_millis(at_ms);
        self.tty.refresh(at, self.size, &mut out);
        self.seen(&out)
    }

    fn finish(&mut self, at_ms: u64) -> String {
        let mut out = String::new();
        let at = Duration::from_millis(at_ms);
        self.tty.finish(at, self.size, &mut out);
        self.seen(&out)
    }

    fn seen(&mut self, out: &str) -> String {
        self.terminal.process(out.replace('\n', "\r\n").as_bytes());
        self.terminal.screen().contents()
    }
}

fn started(step: u64, name: &str) -> Event {
    let (step, name) = (StepId(step), Arc::from(name));
    Event::Started { step, name }
}

fn output(step: u64, text: &str) -> Event {
    Event::Output {
        step: StepId(step),
        stream: Stream::Stdout,
        bytes: text.as_bytes().to_vec(),
    }
}

#[test]
fn running_steps_are_drawn_over_and_ended_ones_stay() {
    let mut bench = Bench::new(12, 40);
    let (step, name) = (StepId(0), Arc::from("[1/2] FROM debian"));
    let seen = bench.play(
        0,
        &[Event::Cached { step, name }, started(1, "[2/2] RUN make")],
    );
    assert_eq!(
        seen,
        " => CACHED [1/2] FROM debian       0.0s\n\
         [+] Building 0.0s (1/2)\n\
         \x20=> [2/2] RUN make                 0.0s"
    );
    let seen = bench.play(1500, &[output(1, "one\ntwo\n")]);
    assert_eq!(
        seen,
        " => CACHED [1/2] FROM debian       0.0s\n\
         [+] Building 1.5s (1/2)\n\
         \x20=> [2/2] RUN make                 1.5s\n\
         \x20=> => # one\n\
         \x20=> => # two"
    );
    let step = StepId(1);
    bench.play(2000, &[Event::Done { step }]);
    let seen = bench.finish(2100);
    assert_eq!(
        seen,
        " => CACHED [1/2] FROM debian       0.0s\n\
         \x20=> [2/2] RUN make                 2.0s\n\
         [+] Done in 2.1s, 2 steps, 1 of them cached"
    );
}

#[test]
fn only_the_last_lines_are_shown() {
    let mut bench = Bench::new(24, 40);
    let text: String = (0..100).map(|line| format!("line {line}\n")).collect();
    let seen = bench.play(0, &[started(0, "RUN seq"), output(0, &text)]);
    assert!(
        seen.contains("# line 94\n") && seen.contains("# line 99"),
        "{seen}"
    );
    assert!(!seen.contains("# line 93"), "{seen}");
}

#[test]
fn a_bar_shows_what_moves() {
    let mut bench = Bench::new(24, 80);
    let moved = |done_bytes| Event::Moved {
        step: StepId(0),
        item: Arc::from(format!("sha256:{}", "ab".repeat(32))),
        transfer: Transfer::Download,
        done_bytes,
        total_bytes: Some(2_000_000),
    };
    let seen = bench.play(0, &[started(0, "FROM x"), moved(1_000_000)]);
    assert!(seen.contains("sha256:abababababab  "), "{seen}");
    assert!(
        seen.contains("[=========>          ]   1.00MB /   2.00MB"),
        "{seen}"
    );
    let seen = bench.play(10, &[moved(2_000_000)]);
    assert!(!seen.contains("2.00MB"), "{seen}");
}

#[test]
fn more_steps_than_rows_are_counted() {
    let mut bench = Bench::new(6, 40);
    let steps: Vec<Event> = (0..10)
        .map(|id| started(id, &format!("step {id}")))
        .collect();
    let seen = bench.play(0, &steps);
    assert!(
        seen.contains("step 2") && !seen.contains("step 3"),
        "{seen}"
    );
    assert!(seen.contains("and 7 more"), "{seen}");
    let again = bench.refresh(100);
    assert_eq!(again.lines().count(), seen.lines().count());
}

#[test]
fn windows_of_any_size_are_drawn_in() {
    for rows in 1..5 {
        for columns in 1..30 {
            let mut bench = Bench::new(rows, columns);
            bench.play(0, &[started(0, "a 字字字字字字字字"), output(0, "字字\n")]);
            bench.size.columns = 31 - columns;
            bench.refresh(100);
            bench.finish(200);
        }
    }
}
