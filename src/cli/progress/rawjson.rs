//! `--progress=rawjson`: one JSON object a line, each a `SolveStatus` as buildx writes them.
//!
//! <https://pkg.go.dev/github.com/moby/buildkit/client#SolveStatus>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::oci::Digest;
use crate::progress::Event;
use crate::progress::StepId;
use crate::progress::Transfer;

/// The state of the stream: what must be said again of a step that goes on.
#[derive(Debug)]
pub(super) struct RawJson {
    epoch_ns: i128,
    steps: BTreeMap<StepId, Step>,
}

#[derive(Debug)]
struct Step {
    digest: String,
    name: Arc<str>,
    started: String,
    moved: BTreeMap<Arc<str>, String>,
}

impl RawJson {
    /// Begins at a time, in nanoseconds since 1970.
    pub(super) fn new(epoch_ns: i128) -> Self {
        Self {
            epoch_ns,
            steps: BTreeMap::new(),
        }
    }

    /// Takes an event.
    pub(super) fn event(&mut self, at: Duration, event: &Event, out: &mut String) {
        let time = self.time(at);
        let line = match event {
            Event::Started { step, name } => {
                let vertex = self.begin(*step, name, time).vertex();
                json!({ "vertexes": [vertex] })
            }
            Event::Cached { step, name } => {
                let mut vertex = self.begin(*step, name, time.clone()).vertex();
                vertex["completed"] = time.into();
                vertex["cached"] = true.into();
                json!({ "vertexes": [vertex] })
            }
            Event::Output {
                step,
                stream,
                bytes,
            } => json!({ "logs": [{
                "vertex": self.digest(*step),
                "stream": *stream as u8 + 1,
                "data": STANDARD.encode(bytes),
                "timestamp": time,
            }]}),
            Event::Moved { .. } => match self.moved(event, time) {
                Some(status) => json!({ "statuses": [status] }),
                None => return,
            },
            Event::Done { step } => self.ended(*step, time, None),
            Event::Failed { step, message } => self.ended(*step, time, Some(message)),
            Event::Canceled { step } => self.ended(*step, time, Some("context canceled")),
            Event::Warning { message } => json!({ "warnings": [{
                "level": 1,
                "short": STANDARD.encode(message),
            }]}),
        };
        out.push_str(&line.to_string());
        out.push('\n');
    }

    fn time(&self, at: Duration) -> String {
        let elapsed = i128::try_from(at.as_nanos()).unwrap_or(i128::MAX);
        Timestamp::from_nanosecond(self.epoch_ns.saturating_add(elapsed))
            .unwrap_or(Timestamp::MAX)
            .to_string()
    }

    fn begin(&mut self, id: StepId, name: &Arc<str>, started: String) -> &Step {
        let step = Step {
            // A vertex is told from others by a digest in this format, and by nothing else.
            digest: Digest::of(format!("{} {name}", id.0).as_bytes()).to_string(),
            name: Arc::clone(name),
            started,
            moved: BTreeMap::new(),
        };
        self.steps.insert(id, step);
        &self.steps[&id]
    }

    fn digest(&self, id: StepId) -> &str {
        self.steps.get(&id).map_or("", |step| &step.digest)
    }

    fn moved(&mut self, event: &Event, time: String) -> Option<Value> {
        let Event::Moved {
            step,
            item,
            transfer,
            done_bytes,
            total_bytes,
        } = event
        else {
            return None;
        };
        let step = self.steps.get_mut(step)?;
        let id = match transfer {
            Transfer::Download => item.to_string(),
            Transfer::Unpack => format!("extracting {item}"),
            Transfer::Pack => format!("exporting {item}"),
            Transfer::Upload => format!("pushing {item}"),
            Transfer::Context => format!("transferring {item}"),
        };
        let started = step
            .moved
            .entry(Arc::from(id.as_str()))
            .or_insert_with(|| time.clone());
        let mut status = json!({
            "id": id,
            "vertex": step.digest,
            "current": done_bytes,
            "timestamp": time,
            "started": *started,
        });
        if let Some(total) = total_bytes {
            status["total"] = (*total).into();
            if done_bytes == total {
                status["completed"] = time.into();
            }
        }
        Some(status)
    }

    fn ended(&mut self, id: StepId, time: String, error: Option<&str>) -> Value {
        let Some(step) = self.steps.remove(&id) else {
            return json!({});
        };
        let mut vertex = step.vertex();
        vertex["completed"] = time.into();
        if let Some(error) = error {
            vertex["error"] = error.into();
        }
        json!({ "vertexes": [vertex] })
    }
}

impl Step {
    fn vertex(&self) -> Value {
        json!({ "digest": self.digest, "name": &*self.name, "started": self.started })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::Value;

    use super::RawJson;
    use crate::progress::Event;
    use crate::progress::StepId;
    use crate::progress::Stream;
    use crate::progress::Transfer;

    fn lines(events: &[Event]) -> Vec<Value> {
        let mut json = RawJson::new(1_000_000_000);
        let mut out = String::new();
        for event in events {
            json.event(Duration::from_millis(500), event, &mut out);
        }
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn every_line_is_a_solve_status() {
        let (step, name) = (StepId(0), Arc::<str>::from("RUN a"));
        let seen = lines(&[
            Event::Started { step, name },
            Event::Output {
                step,
                stream: Stream::Stderr,
                bytes: b"hi".to_vec(),
            },
            Event::Moved {
                step,
                item: Arc::from("context"),
                transfer: Transfer::Context,
                done_bytes: 5,
                total_bytes: Some(5),
            },
            Event::Failed {
                step,
                message: "no".to_owned(),
            },
        ]);
        let vertex = &seen[0]["vertexes"][0];
        assert_eq!(vertex["name"], "RUN a");
        assert_eq!(vertex["started"], "1970-01-01T00:00:01.5Z");
        assert_eq!(seen[1]["logs"][0]["data"], "aGk=");
        assert_eq!(seen[1]["logs"][0]["stream"], 2);
        assert_eq!(seen[1]["logs"][0]["vertex"], vertex["digest"]);
        assert_eq!(seen[2]["statuses"][0]["id"], "transferring context");
        assert!(seen[2]["statuses"][0]["completed"].is_string());
        assert_eq!(seen[3]["vertexes"][0]["error"], "no");
        assert_eq!(seen[3]["vertexes"][0]["digest"], vertex["digest"]);
    }

    #[test]
    fn a_cached_step_is_complete() {
        let (step, name) = (StepId(0), Arc::from("RUN a"));
        let seen = lines(&[Event::Cached { step, name }]);
        assert_eq!(seen[0]["vertexes"][0]["cached"], true);
        assert!(seen[0]["vertexes"][0]["completed"].is_string());
    }
}
