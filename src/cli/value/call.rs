//! `--call`.

use super::fields;
use crate::build::Question;
use crate::cli::call::Call;
use crate::dockerfile::nearest;

const METHODS: [&str; 4] = ["build", "check", "outline", "targets"];

/// Reads `METHOD[,format=json]`.
pub(in crate::cli) fn call(text: &str) -> Result<Call, String> {
    let (method, options) = text.split_once(',').unwrap_or((text, ""));
    let question = match method {
        "build" => None,
        "check" | "lint" => Some(Question::Check),
        "outline" => Some(Question::Outline),
        "targets" => Some(Question::Targets),
        other => {
            let known = METHODS.join(", ");
            return Err(match nearest(other, &METHODS) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("expected one of {known}"),
            });
        }
    };
    let mut json = false;
    if !options.is_empty() {
        for (key, value) in fields::pairs(options)? {
            json = match (key.as_str(), value.as_str()) {
                ("format", "json") => true,
                ("format", "text") => false,
                ("format", _) => return Err("format is text or json".to_owned()),
                (key, _) => return Err(fields::unknown(key, &["format"])),
            };
        }
    }
    Ok(Call { question, json })
}

#[cfg(test)]
mod tests {
    use super::Call;
    use super::call;
    use crate::build::Question;

    #[test]
    fn a_method_and_a_format() {
        for (text, question, json) in [
            ("build", None, false),
            ("check", Some(Question::Check), false),
            ("outline,format=json", Some(Question::Outline), true),
            ("targets,format=text", Some(Question::Targets), false),
        ] {
            assert_eq!(call(text), Ok(Call { question, json }), "{text}");
        }
        for text in ["", "chek", "check,json", "check,format=xml", "check,a=b"] {
            assert!(call(text).is_err(), "{text}");
        }
    }
}
