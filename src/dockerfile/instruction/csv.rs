//! Comma-separated options, as in `--mount` and `--device`.

use crate::dockerfile::MountError;

/// The fields of a text. A field in double quotes may hold commas, and a quote written twice.
pub(super) fn fields(text: &str) -> Result<Vec<String>, MountError> {
    if text.is_empty() {
        return Err(MountError::Empty);
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let (field, behind) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                if field.contains('"') {
                    return Err(MountError::Quote);
                }
                (field.to_owned(), behind)
            }
        };
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None if behind.is_empty() => return Ok(fields),
            None => return Err(MountError::Quote),
        }
    }
}

/// A quoted field and what stands behind its end.
fn quoted_field(text: &str) -> Result<(String, &str), MountError> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"').ok_or(MountError::Quote)?;
        field.push_str(part);
        match behind.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, behind)),
        }
    }
}

/// A boolean in one of the spellings Go accepts.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn quotes_keep_commas() {
        assert_eq!(fields("a=b,c").unwrap(), ["a=b", "c"]);
        assert_eq!(fields(r#""a=b,c",d"#).unwrap(), ["a=b,c", "d"]);
        assert_eq!(fields(r#""a""b""#).unwrap(), [r#"a"b"#]);
        assert_eq!(fields("a,").unwrap(), ["a", ""]);
        for bad in ["", r#"a"b"#, r#""a"#, r#""a"b"#] {
            fields(bad).unwrap_err();
        }
    }
}
