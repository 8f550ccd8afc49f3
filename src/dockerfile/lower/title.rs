//! What progress calls a step: `[build 2/4] RUN make`.

use crate::dockerfile::Options;
use crate::dockerfile::environment::Environment;
use crate::dockerfile::lower::cursor::State;
use crate::dockerfile::stage::Node;
use crate::oci::Platform;

/// Gives the name under which progress shows the next step of a stage.
pub(super) fn title(node: &Node<'_>, state: &mut State, options: &Options, text: &str) -> String {
    if node.counted == 0 {
        return text.to_owned();
    }
    state.shown += 1;
    let platform = match options.names_platforms {
        true => format!(
            "{}{} ",
            node.platform,
            aim(&node.platform, &state.environment)
        ),
        false => String::new(),
    };
    let label = &node.label;
    let space = if label.is_empty() { "" } else { " " };
    let total = node.counted.to_string();
    let (shown, width) = (state.shown, total.len());
    format!("[{platform}{label}{space}{shown:>width$}/{total}] {text}")
}

/// Gives what a stage that asks for the target's platform makes things for, if that is another than
/// it runs on: `->arm64`.
fn aim(own: &Platform, environment: &Environment) -> String {
    let variable = |name| environment.get(name);
    let asked = variable("TARGETPLATFORM").and_then(|text| text.parse::<Platform>().ok());
    let aim = asked.or_else(|| {
        let parts = ["TARGETOS", "TARGETARCH", "TARGETVARIANT"].map(variable);
        let [os, architecture, variant] = parts;
        let is_asked = parts.iter().any(Option::is_some);
        let given = |part: Option<&str>, own: &str| {
            let part = part.filter(|part| !part.is_empty());
            part.unwrap_or(own).to_owned()
        };
        let os = given(os, &own.os);
        let architecture = given(architecture, &own.architecture);
        is_asked.then(|| Platform::new(&os, &architecture, variant))
    });
    match aim {
        Some(aim) if aim.os != own.os => format!("->{aim}"),
        Some(aim) if aim.architecture != own.architecture => {
            let variant = aim.variant.map(|variant| format!("/{variant}"));
            format!("->{}{}", aim.architecture, variant.unwrap_or_default())
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::aim;
    use crate::dockerfile::environment::Environment;

    fn aimed(own: &str, variables: &[(&str, &str)]) -> String {
        let mut environment = Environment::default();
        for (name, value) in variables {
            environment.set(name, value);
        }
        aim(&own.parse().unwrap(), &environment)
    }

    #[test]
    fn only_a_stage_that_asks_for_another_platform_aims_at_it() {
        assert_eq!(aimed("linux/amd64", &[]), "");
        assert_eq!(aimed("linux/amd64", &[("TARGETARCH", "amd64")]), "");
        assert_eq!(aimed("linux/amd64", &[("TARGETARCH", "arm64")]), "->arm64");
        assert_eq!(aimed("linux/amd64", &[("TARGETARCH", "arm")]), "->arm/v7");
        assert_eq!(aimed("linux/amd64", &[("TARGETOS", "linux")]), "");
        let platform = [("TARGETPLATFORM", "darwin/amd64")];
        assert_eq!(aimed("linux/amd64", &platform), "->darwin/amd64");
    }
}
