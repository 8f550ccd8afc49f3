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
use rbuild::dockerfile::expand;
use serde_json::Value;

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
