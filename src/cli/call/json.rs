//! Answers as BuildKit gives them to programs: keys, their order, and what is left out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::dockerfile::Checked;
use crate::dockerfile::Outline;
use crate::dockerfile::OutlineArg;
use crate::dockerfile::Request;
use crate::dockerfile::Span;
use crate::dockerfile::Target;
use crate::dockerfile::Warning;
use crate::progress::in_one_line;

/// What the checks found.
pub(super) fn checked(checked: &Checked, file: &str, text: &str) -> Value {
    let mut source = Object::default();
    source.put("filename", file);
    source.put("data", &STANDARD.encode(text));
    source.put("language", "Dockerfile");
    let mut value = json!({
        "warnings": list(checked.warnings.iter().filter_map(warning)),
        "sources": [source.done()],
    });
    if let Some(error) = &checked.error {
        value["buildError"] = json!({
            "message": in_one_line(error),
            "location": location(error.span),
        });
    }
    value
}

fn warning(warning: &Warning) -> Option<Value> {
    let rule = warning.rule?;
    let mut value = Object::default();
    value.put("ruleName", rule.name());
    value.put("description", rule.description());
    value.put_some("url", rule.url().as_ref());
    value.put("detail", &warning.message);
    value.place(warning.span);
    Some(value.done())
}

/// What a target takes.
pub(super) fn outline(outline: &Outline, text: &str) -> Value {
    let mut value = Object::default();
    value.put("name", &outline.name);
    value.put_some("description", outline.description.as_ref());
    value.list("args", outline.args.iter().map(arg));
    value.list("secrets", outline.secrets.iter().map(request));
    value.list("ssh", outline.ssh.iter().map(request));
    value.list("sources", [json!(STANDARD.encode(text))].into_iter());
    value.done()
}

fn arg(arg: &OutlineArg) -> Value {
    let mut value = Object::default();
    value.put("name", &arg.name);
    value.put_some("description", arg.description.as_ref());
    value.put("value", &arg.value);
    value.place(arg.span);
    value.done()
}

fn request(request: &Request) -> Value {
    let mut value = Object::default();
    value.put("name", &request.name);
    value.flag("required", request.required);
    value.place(request.span);
    value.done()
}

/// The targets there are.
pub(super) fn targets(targets: &[Target], text: &str) -> Value {
    let target = |target: &Target| {
        let mut value = Object::default();
        value.put_some("name", target.name.as_ref());
        value.flag("default", target.is_default);
        value.put_some("description", target.description.as_ref());
        value.put("base", &target.base);
        value.put_some("platform", target.platform.as_ref());
        value.place(target.span);
        value.done()
    };
    json!({
        "targets": list(targets.iter().map(target)),
        "sources": [STANDARD.encode(text)],
    })
}

/// A list as Go writes it: one that was never begun is null.
fn list(values: impl Iterator<Item = Value>) -> Value {
    let values: Vec<Value> = values.collect();
    match values.is_empty() {
        true => Value::Null,
        false => Value::Array(values),
    }
}

/// A JSON object that has no empty members.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.0.insert(key.to_owned(), json!(text));
        }
    }

    fn put_some(&mut self, key: &str, text: Option<&String>) {
        self.put(key, text.map_or("", String::as_str));
    }

    fn flag(&mut self, key: &str, is_set: bool) {
        if is_set {
            self.0.insert(key.to_owned(), json!(true));
        }
    }

    fn list(&mut self, key: &str, values: impl Iterator<Item = Value>) {
        let values: Vec<Value> = values.collect();
        if !values.is_empty() {
            self.0.insert(key.to_owned(), json!(values));
        }
    }

    fn place(&mut self, span: Span) {
        self.0.insert("location".to_owned(), location(span));
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// A range a line; none for what is about the whole file.
fn location(span: Span) -> Value {
    if span.first_line == 0 {
        return json!({});
    }
    let ranges = (span.first_line..=span.last_line)
        .map(|line| json!({ "start": { "line": line }, "end": { "line": line } }));
    json!({ "ranges": ranges.collect::<Vec<_>>() })
}
