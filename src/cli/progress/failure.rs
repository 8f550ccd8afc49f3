//! What failing steps wrote, shown once more at the end.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::lines::Lines;
use crate::progress::Event;
use crate::progress::StepId;

/// The most that is kept of one step.
const LOG_LIMIT_BYTES: usize = 1 << 20;

/// Keeps the logs of running steps until they end well.
#[derive(Debug, Default)]
pub(super) struct Failures {
    running: HashMap<StepId, Log>,
    failed: Vec<Log>,
}

#[derive(Debug)]
struct Log {
    name: Arc<str>,
    started: Duration,
    streams: [Lines; 2],
    lines: VecDeque<String>,
    size_bytes: usize,
    dropped: usize,
}

impl Failures {
    /// Takes note of an event.
    pub(super) fn event(&mut self, at: Duration, event: &Event) {
        match event {
            Event::Started { step, name } => {
                self.running.insert(*step, Log::new(Arc::clone(name), at));
            }
            Event::Output {
                step,
                stream,
                bytes,
            } => {
                if let Some(log) = self.running.get_mut(step) {
                    let since = at.saturating_sub(log.started);
                    let mut streams = std::mem::take(&mut log.streams);
                    streams[*stream as usize].push(at, bytes, |line| log.push(since, line));
                    log.streams = streams;
                }
            }
            Event::Failed { step, .. } => {
                if let Some(mut log) = self.running.remove(step) {
                    let since = at.saturating_sub(log.started);
                    for mut stream in std::mem::take(&mut log.streams) {
                        stream.flush(|line| log.push(since, line));
                    }
                    self.failed.push(log);
                }
            }
            Event::Done { step } | Event::Canceled { step } => {
                self.running.remove(step);
            }
            Event::Cached { .. } | Event::Moved { .. } | Event::Warning { .. } => {}
        }
    }

    /// Writes what the failed steps wrote, at most `limit` lines of each.
    pub(super) fn write(&self, limit: usize, out: &mut String) {
        for log in self.failed.iter().filter(|log| !log.lines.is_empty()) {
            out.push_str("------\n > ");
            out.push_str(&log.name);
            out.push_str(":\n");
            let hidden = log.lines.len().saturating_sub(limit);
            if hidden + log.dropped > 0 {
                out.push_str(&format!("… {} lines before\n", hidden + log.dropped));
            }
            for line in log.lines.iter().skip(hidden) {
                out.push_str(line);
                out.push('\n');
            }
            out.push_str("------\n");
        }
    }
}

impl Log {
    fn new(name: Arc<str>, started: Duration) -> Self {
        Self {
            name,
            started,
            streams: Default::default(),
            lines: VecDeque::new(),
            size_bytes: 0,
            dropped: 0,
        }
    }

    fn push(&mut self, since: Duration, line: &str) {
        let line = format!("{:.3} {line}", since.as_secs_f64());
        self.size_bytes += line.len();
        self.lines.push_back(line);
        while self.size_bytes > LOG_LIMIT_BYTES {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.size_bytes -= oldest.len();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Failures;
    use crate::progress::Event;
    use crate::progress::StepId;
    use crate::progress::Stream;

    fn failing(output: &[u8], limit: usize) -> String {
        let mut failures = Failures::default();
        let step = StepId(3);
        let name = Arc::from("[2/2] RUN false");
        failures.event(Duration::from_secs(1), &Event::Started { step, name });
        let output = Event::Output {
            step,
            stream: Stream::Stderr,
            bytes: output.to_vec(),
        };
        failures.event(Duration::from_millis(1250), &output);
        let message = "exit code: 1".to_owned();
        failures.event(Duration::from_secs(2), &Event::Failed { step, message });
        let mut out = String::new();
        failures.write(limit, &mut out);
        out
    }

    #[test]
    fn a_failing_step_is_quoted_with_times() {
        assert_eq!(
            failing(b"one\ntwo", 10),
            "------\n > [2/2] RUN false:\n0.250 one\n1.000 two\n------\n"
        );
        assert_eq!(failing(b"", 10), "");
    }

    #[test]
    fn the_end_of_a_long_log_is_shown() {
        let out = failing(b"1\n2\n3\n4\n", 2);
        assert!(
            out.contains("… 2 lines before\n0.250 3\n0.250 4\n---"),
            "{out}"
        );
        let endless = failing("a line\n".repeat(400_000).as_bytes(), usize::MAX);
        assert!(endless.len() < 2 << 20 && endless.contains("lines before"));
    }
}
