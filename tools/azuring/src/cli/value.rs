//! The values of flags, and how they are written.

use std::str::FromStr;

use clap::builder::{BoolishValueParser, TypedValueParser, ValueParserFactory};
use clap::{Arg, Command};

/// A flag that takes `--flag`, `--flag=true` and `--flag=false`, as AzCopy's do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switch(pub(crate) bool);

impl ValueParserFactory for Switch {
    type Parser = clap::builder::MapValueParser<BoolishValueParser, fn(bool) -> Switch>;

    fn value_parser() -> Self::Parser {
        BoolishValueParser::new().map(Switch)
    }
}

/// Completes a definition: what is the same for all commands and flags stands here, once.
pub(crate) fn complete(command: Command) -> Command {
    // Of a flag that is given twice the last one counts, as AzCopy has it.
    let command = command.args_override_self(true).mut_args(|arg| {
        let arg = switch(arg);
        if arg.get_default_values() == ["false"] { arg.hide_default_value(true) } else { arg }
    });
    command.mut_subcommands(complete)
}

/// Whether a flag is a [`Switch`].
pub(super) fn is_switch(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == std::any::TypeId::of::<Switch>()
}

fn switch(arg: Arg) -> Arg {
    if !is_switch(&arg) {
        return arg;
    }
    let arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL");
    arg.hide_possible_values(true)
}

/// A number of requests, or AzCopy's AUTO for the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concurrency {
    Auto,
    Value(usize),
}

impl FromStr for Concurrency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // A variable that is set to nothing counts as not set.
        if text.is_empty() || text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        match text.parse() {
            Ok(n) if n >= 1 => Ok(Self::Value(n)),
            _ => Err("it is a number from 1, or AUTO".to_owned()),
        }
    }
}

/// `64M`, `1G`, `1.5GiB`, or bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err("its unit is one of K, M, G, T".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "it is a number with a unit, such as 512M".to_owned())?;
    Ok((number * (1u64 << shift) as f64) as u64)
}

/// A rate: a number from 0, fractions allowed; 0 is no limit.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
        _ => Err("it is a number from 0, where 0 is no limit".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, want) in [("64M", 64 << 20), ("1.5GiB", 3 << 29), ("10", 10), ("2 kb", 2048)] {
            assert_eq!(size(text), Ok(want), "{text}");
        }
        assert!(size("12X").is_err());
        assert!(size("G").is_err());
    }

    #[test]
    fn rates_are_numbers_from_zero() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for text in ["-1", "inf", "NaN", "fast"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn concurrency_is_a_number_or_auto() {
        assert_eq!("".parse(), Ok(Concurrency::Auto));
        assert_eq!("Auto".parse(), Ok(Concurrency::Auto));
        assert_eq!(" 7 ".parse(), Ok(Concurrency::Value(7)));
        assert!("0".parse::<Concurrency>().is_err());
    }
}
