//! Dates and times as AzCopy takes them, and calendar arithmetic.
//!
//! Forms: `2006-01-02`, and after `T` one of `15`, `15:04`, `15:04:05`, `15:04:05.0000000`; then `Z`, an offset such as
//! `+01:00`, or nothing, which means local time. Sources: ISO 8601 as RFC 3339 profiles it, and AzCopy's `parseISO8601`
//! (`traverser/zc_filter.go`), which reads its own most exact form, `2006-01-02T15:04:05.0000000Z`, as local time
//! in spite of the `Z`: not copied.

use crate::PlanError;
use crate::name::escape;

const SECONDS_PER_DAY: i64 = 86_400;
const NS_PER_SECOND: i128 = 1_000_000_000;

/// Which end of a period a date is: decides where a local time occurs twice (the hour repeated when daylight saving
/// ends) or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// `--include-after`: the earlier of the two.
    After,
    /// `--include-before`: the later of the two.
    Before,
}

/// Reads a date or time as ns since 1970, UTC.
///
/// `offset_at` gives the local zone's offset from UTC, in seconds east, at a time in seconds since 1970, UTC; it is
/// asked only where the text names no zone.
///
/// # Errors
///
/// [`PlanError::BadDate`].
pub fn parse(text: &str, bound: Bound, offset_at: &dyn Fn(i64) -> i32) -> Result<i128, PlanError> {
    let bad = |reason| PlanError::BadDate { text: escape(text.as_bytes()), reason };
    let parts = Parts::read(text.as_bytes()).map_err(bad)?;
    let seconds = match parts.offset {
        Some(offset) => parts.seconds - i64::from(offset),
        None => local_to_utc(parts.seconds, bound, offset_at),
    };
    Ok(i128::from(seconds) * NS_PER_SECOND + i128::from(parts.ns))
}

/// The UTC time that clocks in the zone show as `local` (both in seconds). Zones change at most once in two days.
fn local_to_utc(local: i64, bound: Bound, offset_at: &dyn Fn(i64) -> i32) -> i64 {
    let candidates =
        [local - SECONDS_PER_DAY, local + SECONDS_PER_DAY].map(|near| local - i64::from(offset_at(near)));
    let is_shown = |utc: &i64| utc + i64::from(offset_at(*utc)) == local;
    let shown = candidates.into_iter().filter(is_shown);
    let chosen = match bound {
        Bound::After => shown.min().or(candidates.into_iter().min()),
        Bound::Before => shown.max().or(candidates.into_iter().max()),
    };
    chosen.unwrap_or(local)
}

/// A date and time taken apart.
struct Parts {
    /// Seconds since 1970 on a clock in the text's zone.
    seconds: i64,
    ns: u32,
    /// Seconds east of UTC, where the text says it.
    offset: Option<i32>,
}

impl Parts {
    fn read(text: &[u8]) -> Result<Self, &'static str> {
        let mut rest = text;
        let year = number(&mut rest, 4, 0..=9999, "the year has 4 digits")?;
        expect(&mut rest, b'-', "after the year comes '-'")?;
        let month = number(&mut rest, 2, 1..=12, "the month is 01 to 12")?;
        expect(&mut rest, b'-', "after the month comes '-'")?;
        let day = number(&mut rest, 2, 1..=31, "the day is 01 to 31")?;
        if day > days_in_month(year, month) {
            return Err("the month has fewer days");
        }
        let mut seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY;
        let (mut ns, mut offset) = (0, None);
        if !rest.is_empty() {
            expect(&mut rest, b'T', "after the day comes 'T' or nothing")?;
            seconds += number(&mut rest, 2, 0..=23, "the hour is 00 to 23")? * 3_600;
            if skip(&mut rest, b':') {
                seconds += number(&mut rest, 2, 0..=59, "the minute is 00 to 59")? * 60;
                if skip(&mut rest, b':') {
                    seconds += number(&mut rest, 2, 0..=59, "the second is 00 to 59")?;
                    ns = fraction(&mut rest)?;
                }
            }
            offset = zone(&mut rest)?;
        }
        if rest.is_empty() { Ok(Self { seconds, ns, offset }) } else { Err("there is more after the time") }
    }
}

fn number(
    rest: &mut &[u8],
    digits: usize,
    range: std::ops::RangeInclusive<i64>,
    reason: &'static str,
) -> Result<i64, &'static str> {
    let (head, tail) = rest.split_at_checked(digits).ok_or(reason)?;
    if !head.iter().all(u8::is_ascii_digit) {
        return Err(reason);
    }
    *rest = tail;
    let value = head.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    if range.contains(&value) { Ok(value) } else { Err(reason) }
}

fn skip(rest: &mut &[u8], byte: u8) -> bool {
    match rest.split_first() {
        Some((&first, tail)) if first == byte => {
            *rest = tail;
            true
        }
        _ => false,
    }
}

fn expect(rest: &mut &[u8], byte: u8, reason: &'static str) -> Result<(), &'static str> {
    if skip(rest, byte) { Ok(()) } else { Err(reason) }
}

/// `.` and digits, or nothing; digits after the ninth are dropped.
fn fraction(rest: &mut &[u8]) -> Result<u32, &'static str> {
    if !skip(rest, b'.') {
        return Ok(0);
    }
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return Err("after '.' come digits");
    }
    let (head, tail) = rest.split_at(digits);
    *rest = tail;
    let padded = head.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Ok(padded.fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
}

/// `Z`, `+hh:mm`, `-hh:mm`, or nothing.
fn zone(rest: &mut &[u8]) -> Result<Option<i32>, &'static str> {
    if skip(rest, b'Z') {
        return Ok(Some(0));
    }
    let sign = match rest.first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Ok(None),
    };
    *rest = &rest[1..];
    let reason = "an offset is written +01:00";
    let hours = number(rest, 2, 0..=23, reason)?;
    expect(rest, b':', reason)?;
    let minutes = number(rest, 2, 0..=59, reason)?;
    i32::try_from(sign * (hours * 3_600 + minutes * 60)).map(Some).map_err(|_| reason)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let next =
        if month == 12 { days_from_civil(year + 1, 1, 1) } else { days_from_civil(year, month + 1, 1) };
    next - days_from_civil(year, month, 1)
}

/// Days since 1970-01-01 of a date in the Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a count of days since 1970-01-01 (the same source, `civil_from_days`).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// A time in ns since 1970 as `2006-01-02T15:04:05.0000000Z`, in UTC: AzCopy's most exact form, 100 ns a step; what
/// is finer is cut off downwards.
#[must_use]
pub fn format_utc(ns: i128) -> String {
    let (seconds, below) = split_seconds(ns);
    let (date, time) = date_and_time(seconds);
    format!("{date}T{time}.{:07}Z", below / 100)
}

/// A time in seconds since 1970 as a date and a time of day, UTC.
pub(crate) fn date_and_time(seconds: i64) -> (String, String) {
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    (format!("{year:04}-{month:02}-{day:02}"), format!("{hour:02}:{minute:02}:{second:02}"))
}

/// Whole seconds and the ns after them, of ns since 1970. Times beyond the range of a 64-bit count are its ends.
pub(crate) fn split_seconds(ns: i128) -> (i64, u32) {
    let seconds = ns.div_euclid(NS_PER_SECOND).clamp(i64::MIN.into(), i64::MAX.into());
    let below = ns.rem_euclid(NS_PER_SECOND);
    (i64::try_from(seconds).unwrap_or(i64::MAX), u32::try_from(below).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(_: i64) -> i32 {
        panic!("the zone is not asked for")
    }

    /// Seconds since 1970, UTC.
    fn seconds(text: &str) -> i64 {
        let ns = parse(text, Bound::After, &utc).unwrap();
        assert_eq!(ns % NS_PER_SECOND, 0);
        i64::try_from(ns / NS_PER_SECOND).unwrap()
    }

    #[test]
    fn all_forms() {
        // From date(1).
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2006-01-02T15:04:05.0000000Z", 1_136_214_245),
            ("2006-01-02T15:04:05Z", 1_136_214_245),
            ("2006-01-02T15:04:05-07:00", 1_136_239_445),
            ("2006-01-02T15:04:05+05:30", 1_136_194_445),
            ("2024-02-29T00:00:00Z", 1_709_164_800),
            ("1969-12-31T23:59:59Z", -1),
            ("0000-03-01T00:00:00Z", -62_162_035_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("2006-01-02T15:04Z", 1_136_214_240),
            ("2006-01-02T15+00:00", 1_136_214_000),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for (text, ns) in [
            ("1970-01-01T00:00:00.5Z", 500_000_000),
            ("1970-01-01T00:00:00.1234567Z", 123_456_700),
            ("1970-01-01T00:00:00.12345678999Z", 123_456_789),
            ("1969-12-31T23:59:59.9Z", -100_000_000),
        ] {
            assert_eq!(parse(text, Bound::Before, &utc), Ok(ns), "{text}");
        }
        let east = |_: i64| 3_600;
        for text in [
            "2006-01-02",
            "2006-01-02T00",
            "2006-01-02T00:00",
            "2006-01-02T00:00:00",
            "2006-01-02T00:00:00.000",
        ] {
            assert_eq!(parse(text, Bound::After, &east), Ok(1_136_156_400 * NS_PER_SECOND), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2006",
            "2006-01",
            "06-01-02",
            "2006-1-2",
            "2006-13-01",
            "2006-00-01",
            "2006-02-29",
            "2100-02-29",
            "2006-04-31",
            "2006-01-00",
            "2006-01-02T",
            "2006-01-02 15:04:05",
            "2006-01-02T24",
            "2006-01-02T15:60",
            "2006-01-02T15:04:60",
            "2006-01-02T15:04:05.",
            "2006-01-02T15:04:05.Z",
            "2006-01-02T15:04:05z",
            "2006-01-02T15:04:05+0100",
            "2006-01-02T15:04:05+24:00",
            "2006-01-02T15:04:05Zx",
            "2006-01-02Z",
            "+006-01-02",
            "2006-01-02T15:4",
            "２006-01-02",
            "2006-01-02T15:",
        ] {
            match parse(text, Bound::After, &|_| 0) {
                Err(PlanError::BadDate { text: shown, .. }) => assert_eq!(shown, text),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    /// Central European time in 2026: summer from 29 March 01:00 UTC to 25 October 01:00 UTC.
    fn berlin(utc: i64) -> i32 {
        if (1_774_746_000..1_792_890_000).contains(&utc) { 7_200 } else { 3_600 }
    }

    #[test]
    fn the_repeated_and_the_missing_hour() {
        let at =
            |text, bound| parse(text, bound, &berlin).map(|ns| i64::try_from(ns / NS_PER_SECOND).unwrap());
        for (text, after, before) in [
            ("2026-01-15T12:00", "2026-01-15T11:00:00Z", "2026-01-15T11:00:00Z"),
            ("2026-07-15T12:00", "2026-07-15T10:00:00Z", "2026-07-15T10:00:00Z"),
            ("2026-10-25T01:59:59", "2026-10-24T23:59:59Z", "2026-10-24T23:59:59Z"),
            ("2026-10-25T02:30", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
            ("2026-10-25T03:00", "2026-10-25T02:00:00Z", "2026-10-25T02:00:00Z"),
            ("2026-03-29T01:59:59", "2026-03-29T00:59:59Z", "2026-03-29T00:59:59Z"),
            ("2026-03-29T02:30", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"),
            ("2026-03-29T03:00", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
        ] {
            assert_eq!(at(text, Bound::After), Ok(seconds(after)), "{text}");
            assert_eq!(at(text, Bound::Before), Ok(seconds(before)), "{text}");
        }
    }

    #[test]
    fn every_day_there_and_back() {
        // Four centuries around 1970, day by day, against counting.
        let mut expected = (1_800, 1, 1);
        for days in days_from_civil(1_800, 1, 1)..days_from_civil(2_200, 1, 1) {
            assert_eq!(civil_from_days(days), expected);
            let (year, month, day) = expected;
            assert_eq!(days_from_civil(year, month, day), days);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn formats_what_it_reads() {
        for text in [
            "1970-01-01T00:00:00.0000000Z",
            "1969-12-31T23:59:59.9999999Z",
            "2006-01-02T15:04:05.1234567Z",
            "0001-01-01T00:00:00.0000000Z",
            "9999-12-31T23:59:59.0000001Z",
        ] {
            assert_eq!(format_utc(parse(text, Bound::After, &utc).unwrap()), text);
        }
        assert_eq!(format_utc(1), "1970-01-01T00:00:00.0000000Z");
        for ns in [i128::MIN, i128::MAX, i128::from(i64::MIN) * NS_PER_SECOND] {
            let (seconds, below) = split_seconds(ns);
            assert!(below < 1_000_000_000 && (seconds == i64::MIN || seconds == i64::MAX));
        }
    }
}
