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

use rbuild::dockerfile::Escape;
use rbuild::dockerfile::Lexing;
use rbuild::dockerfile::Options;
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
    let lookup = |name: &str| case["env"][name].as_str().map(str::to_owned);
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
        let file = case["file"].as_str().expect("file");
        let input = fs::read(folder.join("in").join(file)).expect("the Dockerfile is readable");
        // The oracle was asked with `# syntax=` blanked, which shifts no line.
        let difference = compare(&decode(&input), &case);
        differences.extend(difference.map(|difference| format!("{file}: {difference}")));
        total += 1;
    }
    report(name, total, &differences);
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
