//! `completion`, `man` and `doc`: the definition of the command line in other forms.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use clap::{Arg, Command};

use crate::cli::definition;
use crate::cli::other::{CompletionArgs, DocArgs, ManArgs};
use crate::exit::Exit;
use crate::output;
use crate::refused::usage;

const NAME: &str = "azuring";

/// Prints the completion script of a shell.
pub(crate) fn completion(args: &CompletionArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), NAME, &mut script);
    print(&script)
}

/// Prints one page, or writes all.
pub(crate) fn man(args: &ManArgs) -> Exit {
    if let Some(directory) = &args.directory {
        let pages =
            fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(definition(), directory));
        return ended(directory, pages);
    }
    let mut all = definition();
    all.build();
    let command = match &args.command {
        None => Some(all),
        Some(name) => all.find_subcommand(name).cloned(),
    };
    let Some(command) = command else {
        let name = args.command.as_deref().unwrap_or_default();
        return usage(format!("there is no command {name}")).tell();
    };
    let mut page = Vec::new();
    // Writing to memory does not fail.
    let _ = clap_mangen::Man::new(command).render(&mut page);
    print(&page)
}

/// Writes one Markdown file a command.
pub(crate) fn doc(args: &DocArgs) -> Exit {
    let directory = &args.output_location;
    let write = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut all = definition();
        all.build();
        fs::write(directory.join("azuring.md"), markdown(&all, NAME))?;
        write_below(directory, &all, NAME)
    };
    ended(directory, write())
}

/// One file for each command below `command`.
fn write_below(directory: &Path, command: &Command, name: &str) -> io::Result<()> {
    for command in shown(command) {
        let name = format!("{name} {}", command.get_name());
        let file = directory.join(format!("{}.md", name.replace(' ', "_")));
        fs::write(file, markdown(command, &name))?;
        write_below(directory, command, &name)?;
    }
    Ok(())
}

/// To stdout whatever the form of other output is: it was asked for.
fn print(bytes: &[u8]) -> Exit {
    let mut out = io::stdout().lock();
    // `complete` looks at what became of it.
    let _ = output::kept(out.write_all(bytes).and_then(|()| out.flush()));
    Exit::Done
}

fn ended(directory: &Path, result: io::Result<()>) -> Exit {
    match result {
        Ok(()) => Exit::Done,
        Err(error) => {
            output::failed(&format!("{}: {error}", directory.display()));
            Exit::Failures
        }
    }
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn markdown(command: &Command, name: &str) -> String {
    let mut text = format!("# {name}\n");
    let mut add = |line: &str| writeln!(text, "\n{line}").expect("a String takes everything");
    let about = command.get_long_about().or(command.get_about());
    if let Some(about) = about {
        add(&about.to_string());
    }
    add(&format!("    {}", command.clone().render_usage().to_string().trim_start_matches("Usage: ")));
    let aliases: Vec<_> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        add(&format!("Also: {}", aliases.join(", ")));
    }
    let commands: Vec<_> = shown(command).collect();
    if !commands.is_empty() {
        add("| command | |\n|---|---|");
        for command in commands {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            writeln!(text, "| `{}` | {} |", command.get_name(), cell(&about))
                .expect("a String takes everything");
        }
    }
    let arguments: Vec<_> = command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
    let mut add = |line: &str| writeln!(text, "\n{line}").expect("a String takes everything");
    if !arguments.is_empty() {
        add("| argument | |\n|---|---|");
        for argument in arguments {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            writeln!(text, "| `{}` | {} |", written(argument), cell(&help))
                .expect("a String takes everything");
        }
    }
    text
}

fn written(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let value = values.first().map(ToString::to_string).unwrap_or_default();
    match argument.get_long() {
        None => value,
        Some(long) if argument.get_action().takes_values() => format!("--{long}={value}"),
        Some(long) => format!("--{long}"),
    }
}

/// Text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_has_every_flag_that_is_shown() {
        let mut all = definition();
        all.build();
        let copy = all.find_subcommand("copy").unwrap();
        let text = markdown(copy, "azuring copy");
        assert!(text.starts_with("# azuring copy\n"), "{text}");
        assert!(text.contains("| `--include-pattern=PATTERNS` | Only names"), "{text}");
        assert!(text.contains("Also: cp, c"));
        assert!(!text.contains("include-attributes"), "it is refused, and so not shown");
        let top = markdown(&all, NAME);
        assert!(top.contains("| `set-properties` | Change tier, metadata or tags of blobs |"), "{top}");
        assert!(!top.contains("demo-server") && !top.contains("`sync`"), "{top}");
    }

    #[test]
    fn every_shell_gets_a_script_with_all_commands() {
        use clap::ValueEnum;
        for &shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut definition(), NAME, &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in ["set-properties", "list-of-files", "output-level"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
