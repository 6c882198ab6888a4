//! Flags of `sas`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azuring_plan::date::{self, Bound};
use clap::{Args, ValueEnum};

use super::engine::EngineArgs;
use super::value::Switch;

#[derive(Debug, Args)]
pub(crate) struct SasArgs {
    /// The URL of a container or a blob; for an account SAS, the URL of the account is enough
    pub(crate) target: String,

    /// What the SAS allows, in any order: r read, w write, c create, a append, d delete, x delete versions, y delete
    /// permanently, l list, t tags, f find by tags, m move, e execute, i immutability policy
    #[arg(long, value_name = "LETTERS", required_unless_present = "policy")]
    pub(crate) permissions: Option<String>,

    /// When the SAS expires: after a time such as 90m, 8h or 7d, or at a date such as 2030-01-31 or 2030-01-31T12:00Z
    #[arg(long, value_name = "WHEN", value_parser = when, required_unless_present = "policy")]
    pub(crate) expiry: Option<When>,

    /// When the SAS becomes valid [default: at once]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub(crate) start: Option<When>,

    /// The IP addresses that may use the SAS: one, or a range such as 10.0.0.1-10.0.0.9
    #[arg(long, value_name = "ADDRESSES")]
    pub(crate) ip: Option<String>,

    /// The protocols that the SAS is valid for
    #[arg(long, value_enum, ignore_case = true, default_value_t = ProtocolArg::Https)]
    pub(crate) protocol: ProtocolArg,

    /// The container's stored access policy, which has permissions and expiry
    #[arg(long, value_name = "ID", conflicts_with = "account")]
    pub(crate) policy: Option<String>,

    /// Make an account SAS; it needs the account's key
    #[arg(long, default_value = "false")]
    pub(crate) account: Switch,

    /// Sign with a user delegation key, which an identity of Microsoft Entra ID gets from the service; valid for at
    /// most 7 days. This is the default if there is no account key
    #[arg(long, default_value = "false")]
    pub(crate) user_delegation: Switch,

    /// For an account SAS: s the service, c containers, o objects
    #[arg(long, value_name = "LETTERS", default_value = "sco")]
    pub(crate) resource_types: String,

    /// For an account SAS: b blobs, f files, q queues, t tables
    #[arg(long, value_name = "LETTERS", default_value = "b")]
    pub(crate) services: String,

    /// Print only the SAS, without the URL
    #[arg(long, default_value = "false")]
    pub(crate) sas_only: Switch,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolArg {
    /// Only https
    Https,
    /// Also http
    #[value(name = "https,http")]
    Both,
}

/// A time: from now on, or of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    In(Duration),
    At(SystemTime),
}

impl When {
    /// The time it is.
    pub(crate) fn time(self, now: SystemTime) -> SystemTime {
        match self {
            Self::In(while_) => now + while_,
            Self::At(time) => time,
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let unit = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    if let (Some(unit), Ok(number)) = (unit, number.parse::<u32>()) {
        return Ok(When::In(Duration::from_secs(u64::from(number) * unit)));
    }
    let ns = date::parse(text, Bound::Before, &crate::options::local_offset)
        .map_err(|error| format!("it is a while (90m, 8h, 7d) or a time: {error}"))?;
    let ns = u64::try_from(ns).map_err(|_| "it is after 1970".to_owned())?;
    Ok(When::At(UNIX_EPOCH + Duration::from_nanos(ns)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_while_or_a_date() {
        let while_ = |seconds| Ok(When::In(Duration::from_secs(seconds)));
        assert_eq!((when("90m"), when(" 8h "), when("7d")), (while_(5400), while_(28_800), while_(604_800)));
        let at = |seconds| Ok(When::At(UNIX_EPOCH + Duration::from_secs(seconds)));
        assert_eq!(when("2030-01-31T12:00Z"), at(1_896_091_200));
        for wrong in ["", "h", "-1h", "soon", "1969-01-01T00:00Z", "8é"] {
            assert!(when(wrong).is_err(), "{wrong}");
        }
    }
}
