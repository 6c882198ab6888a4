//! The pair table on the command line: what was given as the table of flags looks at it, and what the help says of
//! pairs.

use azuring_plan::flags::Flag;
use azuring_plan::pairs::Pair;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::value::{Switch, is_switch};

/// The flags of a command that were given and ask for something else than their default, with their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(Vec<(&'static str, String)>);

impl Given {
    /// What a command line says.
    pub(super) fn of(definition: &Command, matches: &ArgMatches) -> Self {
        let Some((name, matches)) = matches.subcommand() else { return Self::default() };
        let command = definition.find_subcommand(name).into_iter();
        let flags = command.flat_map(Command::get_arguments).filter_map(|arg| {
            let flag = Flag::named(arg.get_long()?)?;
            if matches.value_source(arg.get_id().as_str()) != Some(ValueSource::CommandLine) {
                return None;
            }
            let value = value_of(arg, matches)?;
            let default = arg.get_default_values().first().map(|value| value.to_string_lossy());
            let is_default = default.is_some_and(|default| default.eq_ignore_ascii_case(&value));
            (!is_default).then_some((flag.name, value))
        });
        Self(flags.collect())
    }

    /// The value of a flag that asks for something.
    pub(crate) fn value(&self, flag: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == flag).map(|(_, value)| &**value)
    }
}

/// What counts of a flag's values, as it is shown.
fn value_of(arg: &Arg, matches: &ArgMatches) -> Option<String> {
    let id = arg.get_id().as_str();
    if is_switch(arg) {
        return matches.get_one::<Switch>(id).map(|switch| switch.0.to_string());
    }
    matches.get_raw(id)?.next_back().map(|value| value.to_string_lossy().into_owned())
}

/// The names of the pairs that a command does.
pub(crate) fn possible(command: &str) -> String {
    let names = |pair: &Pair| pair.from_to().map(|pair| pair.to_string());
    let all = Pair::of_command(command).filter(|pair| pair.is_possible());
    all.filter_map(names).collect::<Vec<_>>().join(", ")
}

/// Says in the help of each command which pairs it does, and of its flags for which of these they are.
pub(super) fn explain(definition: Command) -> Command {
    definition.mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        if Pair::of_command(&name).next().is_none() {
            return command;
        }
        command.mut_args(|arg| explained(&name, arg))
    })
}

fn explained(command: &str, arg: Arg) -> Arg {
    let Some(flag) = arg.get_long().and_then(Flag::named) else { return arg };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if flag.name == "from-to" {
        return arg.help(format!("{help} [one of: {}]", possible(command)));
    }
    let all = || Pair::of_command(command).filter(|pair| pair.is_possible());
    if arg.is_hide_set() || all().all(|pair| flag.applies(pair)) {
        return arg;
    }
    let is_of_pipe = |pair: &Pair| pair.is_from_pipe() || pair.is_to_pipe();
    let where_ = if all().all(|pair| flag.applies(pair) != is_of_pipe(pair)) {
        "not with pipes".to_owned()
    } else {
        let names = all().filter(|pair| flag.applies(pair)).filter_map(Pair::from_to);
        format!("only with {}", names.map(|pair| pair.to_string()).collect::<Vec<_>>().join(", "))
    };
    let help = arg.get_long_help().map_or(help, ToString::to_string);
    arg.long_help(format!("{help} [{where_}]"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use azuring_plan::flags::FLAGS;
    use azuring_plan::pairs::{ALONE, FromTo, PAIRS, Verb};

    use super::super::{definition, parse};
    use super::*;
    use crate::refused::check_flags;

    /// Every row of the table, with the beginning of a command line that is one.
    fn rows() -> impl Iterator<Item = (&'static Pair, Vec<String>)> {
        PAIRS.iter().chain(ALONE).map(|pair| {
            let mut line = vec!["azuring".to_owned(), pair.verb.command().to_owned(), "a".to_owned()];
            if pair.verb.command() == "copy" {
                line.push("b".to_owned());
            }
            line.extend(pair.from_to().map(|pair| format!("--from-to={pair}")));
            (pair, line)
        })
    }

    /// The flags of a command that are its own, each with a value that is not its default.
    fn flags_of(command: &str) -> Vec<(String, String)> {
        let mut definition = definition();
        definition.build();
        let command = definition.find_subcommand(command).unwrap();
        let own = command.get_arguments().filter(|arg| {
            !arg.is_global_set() && arg.get_help_heading() != Some("Engine") && arg.get_long() != Some("help")
        });
        own.filter_map(|arg| {
            let default = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
            let values = arg.get_possible_values();
            let value = match default.as_deref() {
                _ if arg.get_long() == Some("from-to") => "LocalBlob",
                Some("true") => "false",
                _ if is_switch(arg) => "true",
                _ => values.last().map_or("1", |value| value.get_name()),
            };
            Some((arg.get_long()?.to_owned(), value.to_owned()))
        })
        .collect()
    }

    #[test]
    fn the_table_has_every_flag_of_the_commands_and_no_other() {
        let commands: BTreeSet<_> = rows().map(|(pair, _)| pair.verb.command()).collect();
        assert_eq!(Vec::from_iter(&commands), [&"copy", &"list", &"make", &"remove", &"set-properties"]);
        let defined: BTreeSet<_> =
            commands.iter().flat_map(|command| flags_of(command)).map(|(name, _)| name).collect();
        let in_table: BTreeSet<_> = FLAGS.iter().map(|flag| flag.name.to_owned()).collect();
        // They are listed with the engine's.
        let of_engine = ["no-journal", "retry-failed"].map(str::to_owned);
        let defined: BTreeSet<_> = defined.into_iter().chain(of_engine).collect();
        assert_eq!(defined, in_table);
    }

    #[test]
    fn every_pair_is_a_command_line_and_knows_its_flags() {
        let mut given = BTreeMap::new();
        for command in ["copy", "remove", "set-properties", "list", "make"] {
            for (name, value) in flags_of(command).into_iter().filter(|(name, _)| name != "from-to") {
                let mut line = vec!["azuring".to_owned(), command.to_owned(), "a".to_owned()];
                line.extend((command == "copy").then(|| "b".to_owned()));
                line.push(format!("--{name}={value}"));
                let cli = parse(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
                given.entry(command).or_insert_with(Vec::new).push((name, cli.given));
            }
        }
        let mut refused = 0;
        for (pair, line) in rows() {
            assert!(parse(&line).is_ok(), "{line:?}");
            if let Some(name) = pair.from_to() {
                assert_eq!(FromTo::parse(&name.to_string()), Ok(name));
                assert_eq!(name.refusal(pair.verb.command()).is_none(), pair.is_possible(), "{name}");
            }
            for (name, given) in &given[pair.verb.command()] {
                let result = check_flags(pair, given).map_err(|refused| refused.text);
                let applies = Flag::named(name).unwrap().applies(pair);
                assert_eq!(result.is_ok(), applies, "{line:?} --{name}: {result:?}");
                refused += usize::from(result.is_err());
            }
        }
        assert!(refused > 300, "{refused}");
    }

    /// The table of `engine/SEMANTICS.md`: a row for each place that things come from.
    fn matrix() -> String {
        use azuring_plan::location::Location::{self, *};
        use azuring_plan::pairs::Support;
        let word = |pair: Option<&Pair>| match pair.map(|pair| pair.support) {
            Some(Support::Now) => "**now**",
            Some(Support::Later) => "later",
            Some(Support::Never) | Option::None => "-",
        };
        let columns: Vec<(&str, Option<Verb>, Location)> = vec![
            ("files", Option::None, Local),
            ("pipe", Option::None, Pipe),
            ("Blob", Option::None, Blob),
            ("BlobFS", Option::None, BlobFs),
            ("File", Option::None, File),
            ("FileNFS", Option::None, FileNfs),
            ("removed", Option::None, Trash),
            ("changed", Option::None, Location::None),
            ("listed", Some(Verb::List), Blob),
            ("made", Some(Verb::Make), Blob),
        ];
        let titles: Vec<_> = columns.iter().map(|(title, ..)| *title).collect();
        let mut text = format!("| from | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len()));
        for from in [Local, Pipe, Blob, BlobFs, File, FileNfs, S3, Gcp] {
            let cell = |(_, verb, to): &(&str, Option<Verb>, Location)| match verb {
                Some(verb) => word(Pair::alone(*verb, from)),
                Option::None => word(Pair::of(FromTo { from, to: *to })),
            };
            let cells: Vec<_> = columns.iter().map(cell).collect();
            text += &format!("| {} (`{from}`) | {} |\n", from.title(), cells.join(" | "));
        }
        text
    }

    #[test]
    fn the_semantics_have_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../engine/SEMANTICS.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page.contains(&matrix()), "engine/SEMANTICS.md has another table than:\n{}", matrix());
    }

    #[test]
    fn the_help_names_the_pairs_that_can_be_and_for_which_a_flag_is() {
        for verb in [Verb::Get, Verb::Remove, Verb::SetProperties] {
            let mut definition = definition();
            let help = definition.find_subcommand_mut(verb.command()).unwrap().render_long_help().to_string();
            let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
            let all = possible(verb.command());
            assert!(help.contains(&format!("[one of: {all}]")), "{all}: {help}");
            if verb == Verb::Get {
                assert_eq!(all, "LocalBlob, BlobLocal, BlobBlob, BlobPipe, PipeBlob");
                assert!(help.contains("[only with BlobLocal, BlobBlob, BlobPipe]"), "{help}");
                assert!(help.contains("everything below a directory [not with pipes]"), "{help}");
            }
        }
    }
}
