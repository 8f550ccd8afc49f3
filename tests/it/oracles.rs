//! Holds the Dockerfile room against what BuildKit was measured to do.
//!
//! `RBUILD_ORACLES` names a folder with `in/`, `expected/`, `lex.jsonl` and `ignore.jsonl`; without
//! it there is nothing to compare with and the tests say so.

#![expect(
    clippy::print_stdout,
    reason = "the counts are the point of these tests"
)]

use std::env;
use std::fs;
use std::path::PathBuf;

use rbuild::dockerfile;
use rbuild::dockerfile::Escape;
use rbuild::dockerfile::Instruction;
use rbuild::dockerfile::Lexing;
use rbuild::dockerfile::Options;
use rbuild::dockerfile::Span;
use rbuild::dockerfile::check;
use rbuild::dockerfile::decode;
use rbuild::dockerfile::expand;
use rbuild::dockerfile::parse;
use rbuild::dockerfile::parse_ignore;
use rbuild::dockerfile::to_json;
use rbuild::graph::Patterns;
use rbuild::oci::Platform;
use serde_json::Value;
use serde_json::json;

/// How many differences are printed.
const SHOWN: usize = 10;

fn folder(test: &str) -> Option<PathBuf> {
    let folder = env::var_os("RBUILD_ORACLES").map(PathBuf::from);
    if folder.is_none() {
        println!("{test}: skipped, RBUILD_ORACLES is not set");
    }
    folder
}

/// Prints the count and the first differences, and fails if there are any.
fn report(name: &str, total: usize, differences: &[String]) {
    println!("{name}: {} of {total} agree", total - differences.len());
    for difference in differences.iter().take(SHOWN) {
        println!("  {difference}");
    }
    assert!(
        differences.is_empty(),
        "{name}: {} of {total} differ",
        differences.len()
    );
}

/// Compares each line of a JSONL file; `compare` returns what differs.
fn each_line(name: &str, file: &str, compare: fn(&Value) -> Option<String>) {
    let Some(folder) = folder(name) else { return };
    let text = fs::read_to_string(folder.join(file)).expect("the oracle is readable");
    let cases: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let differences: Vec<String> = cases.iter().filter_map(compare).collect();
    report(name, cases.len(), &differences);
}

#[test]
fn lex() {
    each_line("lex", "lex.jsonl", compare_lex);
}

fn compare_lex(case: &Value) -> Option<String> {
    let flag = |key: &str| case[key].as_bool().expect("bool");
    let lexing = Lexing {
        escape: if case["escape"] == "`" {
            Escape::Backtick
        } else {
            Escape::Backslash
        },
        raw_quotes: flag("raw_quotes"),
        raw_escapes: flag("raw_escapes"),
        skip_quotes: flag("skip_process_quotes"),
        keep_unset: flag("skip_unset_env"),
    };
    let word = case["word"].as_str().expect("word");
    let lookup = |name: &str| case["env"][name].as_str();
    let ours = match expand(word, lexing, &lookup) {
        Ok(found) => serde_json::json!({
            "result": found.text,
            "words": found.words,
            "matched": found.matched,
            "unmatched": found.unmatched,
        }),
        Err(error) => serde_json::json!({ "error": format!("failed to process: {error}") }),
    };
    let keys = ["result", "words", "matched", "unmatched"];
    let agrees = keys.iter().all(|key| ours.get(key) == case.get(key));
    (!agrees).then(|| format!("{word:?}: expected {case}, got {ours}"))
}

#[test]
fn ignore() {
    each_line("ignore", "ignore.jsonl", compare_ignore);
}

fn compare_ignore(case: &Value) -> Option<String> {
    let strings = |value: &Value| -> Vec<String> {
        let array = value.as_array().expect("array");
        array
            .iter()
            .map(|value| value.as_str().expect("string").to_owned())
            .collect()
    };
    let wanted = strings(&case["patterns"]);
    let read = match case["file"].as_str() {
        Some(file) => parse_ignore(file)
            .map(|words| words.into_iter().map(|word| word.text).collect())
            .map_err(|error| error.to_string()),
        None => Ok(wanted.clone()),
    };
    let compiled = read.and_then(|patterns: Vec<String>| {
        let compiled = Patterns::new(&patterns).map_err(|error| error.to_string())?;
        Ok((patterns, compiled))
    });
    let (patterns, compiled) = match compiled {
        Ok(compiled) => compiled,
        Err(error) => {
            return case["error"]
                .is_null()
                .then(|| format!("refused: {error}: {case}"));
        }
    };
    if !case["error"].is_null() {
        return Some(format!("accepted: {case}"));
    }
    if patterns != wanted {
        return Some(format!("expected {wanted:?}, got {patterns:?}"));
    }
    let ignored = case["ignored"].as_object().expect("object");
    ignored.iter().find_map(|(path, ignored)| {
        let differs = compiled.matches(path) != (*ignored == true);
        differs.then(|| format!("{path:?} of {patterns:?}: expected {ignored}"))
    })
}

/// What BuildKit says of each Dockerfile, by the key of `checks.jsonl`.
fn each_checked(name: &str, compare: fn(&str, &Value) -> Option<String>) {
    let Some(folder) = folder(name) else { return };
    let text = fs::read_to_string(folder.join("checks.jsonl")).expect("the oracle is readable");
    let mut total = 0;
    let mut differences = Vec::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).expect("JSON");
        if is_crash(&case[name]) {
            continue;
        }
        let file = case["file"].as_str().expect("file");
        let input = fs::read(folder.join("in").join(file)).expect("the Dockerfile is readable");
        // The oracle was asked with `# syntax=` blanked, which shifts no line.
        let difference = compare(&decode(&input), &case);
        differences.extend(difference.map(|difference| format!("{file}: {difference}")));
        total += 1;
    }
    report(name, total, &differences);
}

/// Whether BuildKit died of a question instead of answering it, as it does of the targets of a
/// Dockerfile with a `# check=` above an instruction.
fn is_crash(answer: &Value) -> bool {
    let error = answer["error"].as_str();
    error.is_some_and(|error| error.contains("failed to receive status"))
}

#[test]
fn checks() {
    each_checked("checks", compare_checks);
}

fn compare_checks(text: &str, case: &Value) -> Option<String> {
    let checked = check(text, &Options::plain(amd64()), &|_| None);
    let expected = &case["check"];
    let found = checked.warnings.iter().map(|warning| {
        let rule = warning.rule.expect("a check has a rule");
        let span = warning.span;
        json!({
            "rule": rule.name(),
            "lines": [span.first_line, span.last_line],
            "detail": warning.message,
        })
    });
    let found = sorted(found.collect());
    let wanted = expected["warnings"].as_array().expect("warnings").clone();
    let wanted = sorted(wanted);
    if let Some(pair) = wanted
        .iter()
        .zip(&found)
        .find(|(left, right)| left != right)
    {
        return Some(format!("expected {}, got {}", pair.0, pair.1));
    }
    if wanted.len() != found.len() {
        let (missing, extra) = (wanted.get(found.len()), found.get(wanted.len()));
        return Some(format!("missing {missing:?}, too many {extra:?}"));
    }
    let error = checked.error.map(|error| error.to_string());
    let agrees = error.is_none() == expected["error"].is_null();
    (!agrees).then(|| format!("expected error {}, got {error:?}", expected["error"]))
}

#[test]
fn outline() {
    each_checked("outline", compare_outline);
}

fn compare_outline(text: &str, case: &Value) -> Option<String> {
    let mut expected = case["outline"].clone();
    let parsed = parse(text);
    let outline =
        parsed.and_then(|parsed| dockerfile::outline(&parsed, &Options::plain(amd64()), &|_| None));
    let outline = match (outline, expected.get("error")) {
        (Err(_), Some(_)) => return None,
        (Ok(outline), None) => outline,
        (outline, error) => return Some(format!("expected {error:?}, got {outline:?}")),
    };
    let args = outline.args.iter().map(|arg| {
        let mut value = described(&arg.name, &arg.description, arg.span);
        if !arg.value.is_empty() {
            value["value"] = json!(arg.value);
        }
        value
    });
    let requests = |requests: &[dockerfile::Request]| -> Vec<Value> {
        let value = |request: &dockerfile::Request| {
            let mut value = described(&request.name, &None, request.span);
            if request.required {
                value["required"] = json!(true);
            }
            value
        };
        requests.iter().map(value).collect()
    };
    let mut ours = json!({});
    let lists = [
        ("args", args.collect()),
        ("secrets", requests(&outline.secrets)),
        ("ssh", requests(&outline.ssh)),
    ];
    let declared = declared_in_stages(text);
    for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        ours[key] = json!(by_line(&declared, list));
        if let Some(list) = expected[key].as_array() {
            expected[key] = json!(by_line(&declared, list.clone()));
        }
    }
    if !outline.name.is_empty() {
        ours["name"] = json!(outline.name);
    }
    if let Some(description) = &outline.description {
        ours["description"] = json!(description);
    }
    difference("", &expected, &ours)
}

/// Sorts what BuildKit gives in no order of its own: what stands on the same lines. Of several
/// stages that declare the same argument BuildKit takes one at random; only that it is one of them
/// is looked at.
fn by_line(declared: &[(String, u32)], mut list: Vec<Value>) -> Vec<Value> {
    for value in &mut list {
        let lines: Vec<u32> = declared
            .iter()
            .filter(|(name, _)| value["name"] == *name)
            .map(|(_, line)| *line)
            .collect();
        if lines.len() > 1 && lines.iter().any(|line| value["location"][0] == *line) {
            *value = json!({ "name": value["name"], "location": lines });
        }
    }
    list.sort_by_key(|value| (value["location"][0].as_u64(), value["name"].to_string()));
    list
}

/// The arguments that stages declare, with their lines.
fn declared_in_stages(text: &str) -> Vec<(String, u32)> {
    let parsed = parse(text).expect("it has an outline");
    let stages = parsed.stages.iter();
    let statements = stages.flat_map(|stage| &stage.instructions);
    let declared = statements.flat_map(|statement| match &statement.instruction {
        Instruction::Arg(arg) => {
            let line = statement.source.span.first_line;
            let names = arg.declarations.iter();
            names.map(|found| (found.key.text.clone(), line)).collect()
        }
        _ => Vec::new(),
    });
    declared.collect()
}

fn described(name: &str, description: &Option<String>, span: Span) -> Value {
    let mut value = json!({ "location": [span.first_line, span.last_line] });
    if !name.is_empty() {
        value["name"] = json!(name);
    }
    if let Some(description) = description {
        value["description"] = json!(description);
    }
    value
}

#[test]
fn targets() {
    each_checked("targets", compare_targets);
}

fn compare_targets(text: &str, case: &Value) -> Option<String> {
    let expected = &case["targets"];
    let parsed = match (parse(text), expected.get("error")) {
        (Err(_), Some(_)) => return None,
        (Ok(parsed), None) => parsed,
        (parsed, error) => return Some(format!("expected {error:?}, got {parsed:?}")),
    };
    let targets = dockerfile::targets(&parsed).into_iter().map(|target| {
        let name = target.name.unwrap_or_default();
        let mut value = described(&name, &target.description, target.span);
        value["base"] = json!(target.base);
        if target.is_default {
            value["default"] = json!(true);
        }
        if let Some(platform) = target.platform {
            value["platform"] = json!(platform);
        }
        value
    });
    let ours = json!({ "targets": targets.collect::<Vec<_>>() });
    difference("", expected, &ours)
}

/// Sorts what BuildKit gives in no order of its own: what one rule says of the same lines.
fn sorted(mut warnings: Vec<Value>) -> Vec<Value> {
    let key = |warning: &Value| (warning["rule"].clone(), warning["lines"].clone());
    for same in warnings.chunk_by_mut(|left, right| key(left) == key(right)) {
        same.sort_by_key(|warning| warning["detail"].to_string());
    }
    warnings
}

fn amd64() -> Platform {
    Platform::new("linux", "amd64", None)
}

#[test]
fn parser() {
    let Some(folder) = folder("parser") else {
        return;
    };
    let entries = fs::read_dir(folder.join("in")).expect("in/ is readable");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    let compare = |name: &String| {
        let input = fs::read(folder.join("in").join(name)).expect("the Dockerfile is readable");
        let expected = folder.join("expected").join(format!("{name}.json"));
        let expected = fs::read_to_string(expected).expect("the expectation is readable");
        let expected = serde_json::from_str(&expected).expect("JSON");
        compare_parsed(&input, &expected).map(|difference| format!("{name}: {difference}"))
    };
    let differences: Vec<String> = names.iter().filter_map(compare).collect();
    report("parser", names.len(), &differences);
}

/// The first difference between what we make of a Dockerfile and what is expected.
fn compare_parsed(input: &[u8], expected: &Value) -> Option<String> {
    let ours = parse(&decode(input));
    if expected["ok"] == false {
        let message = &expected["error"]["message"];
        return ours.is_ok().then(|| format!("accepted, but: {message}"));
    }
    let ours = match ours {
        Ok(dockerfile) => to_json(&dockerfile),
        Err(error) => return Some(format!("refused: {error} at {:?}", error.span)),
    };
    let mut expected = expected.clone();
    // Only says something about the input.
    expected.as_object_mut().expect("object").remove("non_utf8");
    difference("", &expected, &ours)
}

/// The path and the values of the first place where two values differ.
fn difference(path: &str, expected: &Value, ours: &Value) -> Option<String> {
    match (expected, ours) {
        (Value::Object(left), Value::Object(right)) => {
            // Why a mount is refused may be said in other words.
            if left.contains_key("error") && right.contains_key("error") && left.len() == 1 {
                return None;
            }
            let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
            keys.sort();
            keys.dedup();
            keys.iter().find_map(|key| {
                let path = format!("{path}.{key}");
                let of = |map: &serde_json::Map<String, Value>| map.get(*key).cloned();
                match (of(left), of(right)) {
                    (Some(left), Some(right)) => difference(&path, &left, &right),
                    (left, right) => Some(format!("{path}: expected {left:?}, got {right:?}")),
                }
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            pairs
                .map(|(index, (left, right))| (format!("{path}[{index}]"), left, right))
                .find_map(|(path, left, right)| difference(&path, left, right))
        }
        _ => (expected != ours).then(|| format!("{path}: expected {expected}, got {ours}")),
    }
}
