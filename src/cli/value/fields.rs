//! Fields parted by commas, as in `type=oci,dest=image.tar`.

use crate::dockerfile::nearest;

/// Splits one line of comma-separated values: a field may be quoted, as in `"dest=a,b"`, with `""`
/// for a quote inside.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let field = fields.last_mut().expect("there is always one");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => field.push(letter),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    Ok(fields)
}

/// Splits into keys and values; keys are in lower case.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    split(text)?
        .into_iter()
        .map(|field| match field.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_lowercase(), value.to_owned())),
            None => Err(format!("expected KEY=VALUE, found {field:?}")),
        })
        .collect()
}

/// Reads a value that is yes or no, as Go's `strconv.ParseBool` does.
pub(in crate::cli) fn flag(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("{key} is true or false, not {value:?}")),
    }
}

/// Says that a key is not known, and which one was perhaps meant.
pub(super) fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(meant) => format!("unknown key {key:?}, did you mean {meant:?}?"),
        None => format!("unknown key {key:?}, known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::pairs;
    use super::split;

    #[test]
    fn quotes_hold_commas() {
        assert_eq!(split("a,b").unwrap(), ["a", "b"]);
        assert_eq!(
            split(r#"type=local,"dest=a,b""#).unwrap(),
            ["type=local", "dest=a,b"]
        );
        assert_eq!(split(r#""say ""hi""""#).unwrap(), [r#"say "hi""#]);
        assert_eq!(split("").unwrap(), [""]);
        assert!(split(r#""open"#).is_err());
    }

    #[test]
    fn a_pair_has_a_key() {
        assert_eq!(
            pairs("Type=a=b").unwrap(),
            [("type".to_owned(), "a=b".to_owned())]
        );
        assert!(pairs("type=oci,dest").is_err());
    }
}
