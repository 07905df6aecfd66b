//! `docs/reference/command-line.md`, written from the program's own help.

use std::fmt::Write;

use clap::{Arg, Command};

pub(super) const PAGE: &str = "docs/reference/command-line.md";

/// The page, in Markdown.
pub(super) fn page() -> String {
    let mut command = underpin_cli::command();
    command.build();
    let mut text = String::from(
        "# The command line\n\n<!-- written by `cargo xtask readme` from the program's help; do not edit -->\n\n\
         `cargo xtask COMMAND` in a clone of the repository does what `underpin COMMAND` does: same options, output and exit \
         codes.\n\n",
    );
    text += &paragraphs(command.get_after_help().map(ToString::to_string));
    text += "| command | does |\n|---|---|\n";
    for inner in shown(&command) {
        let name = inner.get_name();
        let _ = writeln!(text, "| [`{name}`](#{}) | {} |", anchor(inner), cell(&about(inner)));
    }
    let globals: Vec<&Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).collect();
    let _ = write!(text, "\n## Global options\n\nAllowed before and after every command.\n\n{}", options(&globals));
    for inner in shown(&command) {
        section(inner, 2, &mut text);
    }
    text.trim_end().to_owned() + "\n"
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|inner| inner.get_name() != "help")
}

fn title(command: &Command) -> String {
    command.get_bin_name().unwrap_or(command.get_name()).to_owned()
}

fn anchor(command: &Command) -> String {
    title(command).replace(' ', "-")
}

fn about(command: &Command) -> String {
    command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default()
}

fn section(command: &Command, level: usize, text: &mut String) {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let _ =
        write!(text, "\n{} {}\n\n{}\n\n```text\n{usage}\n```\n\n", "#".repeat(level), title(command), about(command));
    let own =
        |arg: &&Arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help" && arg.get_id() != "version";
    let own: Vec<&Arg> = command.get_arguments().filter(own).collect();
    if !own.is_empty() {
        *text += &options(&own);
        text.push('\n');
    }
    *text += &paragraphs(command.get_after_help().map(ToString::to_string));
    for inner in shown(command) {
        section(inner, level + 1, text);
    }
}

fn options(arguments: &[&Arg]) -> String {
    let mut text = String::from("| option | meaning |\n|---|---|\n");
    for arg in arguments {
        let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        let mut meaning = help.trim_end().to_owned();
        if !meaning.ends_with(['.', ')']) {
            meaning.push('.');
        }
        let values = if arg.get_action().takes_values() { arg.get_possible_values() } else { Vec::new() };
        let values: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
        if !values.is_empty() {
            let one = |value: &&clap::builder::PossibleValue| match value.get_help() {
                Some(help) => format!("`{}` ({})", value.get_name(), help.to_string().trim_end_matches('.')),
                None => format!("`{}`", value.get_name()),
            };
            let _ = write!(meaning, " One of {}.", values.iter().map(one).collect::<Vec<_>>().join(", "));
        }
        let defaults = arg.get_default_values();
        if arg.get_action().takes_values() && !defaults.is_empty() {
            let defaults: Vec<_> = defaults.iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
            let _ = write!(meaning, " Default: {}.", defaults.join(", "));
        }
        if arg.is_required_set() {
            meaning += " Required.";
        }
        let _ = writeln!(text, "| {} | {} |", cell(&name(arg)), cell(&meaning));
    }
    text
}

/// `-q`, `--quiet`, with the value's name if it takes one.
fn name(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("`-{short}`"));
    let value = if arg.get_action().takes_values() {
        let names = arg.get_value_names().unwrap_or_default();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        if names.is_empty() { arg.get_id().to_string().to_uppercase() } else { names.join(" ") }
    } else {
        String::new()
    };
    match arg.get_long() {
        Some(long) => {
            let long = format!("`{}`", format!("--{long} {value}").trim_end());
            short.into_iter().chain([long]).collect::<Vec<_>>().join(", ")
        }
        None => short.unwrap_or_else(|| format!("`{value}`")),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text of a help, its indented lines as code.
fn paragraphs(text: Option<String>) -> String {
    let mut page = String::new();
    let mut code = false;
    for line in text.unwrap_or_default().lines() {
        let indented = line.starts_with("  ");
        if indented && !code {
            page += "\n```sh\n";
        } else if !indented && code {
            page += "```\n";
        }
        code = indented;
        page += line.trim_start();
        page.push('\n');
    }
    if code {
        page += "```\n";
    }
    if page.is_empty() { page } else { page + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_every_command_is_on_the_page() {
        fn check(command: &Command, page: &str) {
            for arg in command.get_arguments() {
                let long = arg.get_long().unwrap_or_default();
                assert!(["help", "version"].contains(&long) || page.contains(&format!("--{long}")), "--{long}");
            }
            shown(command).for_each(|inner| {
                assert!(page.contains(&format!(" underpin {}", inner.get_name())) || page.contains(inner.get_name()));
                check(inner, page);
            });
        }
        let page = page();
        check(&underpin_cli::command(), &page);
        assert!(page.contains("## underpin account\n") && page.contains("### underpin client add\n"), "{page}");
        assert!(
            page.contains("`--target-epsilon EPSILON`")
                && page.contains("Exit codes: 0 cleared and released (or a dry run)")
        );
    }
}
