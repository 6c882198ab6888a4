//! Dates of a SAS: ISO 8601 in UTC, to the second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_S: i64 = 86_400;

/// Reads `2026-11-22`, `2026-11-22T04:00Z`, `2026-11-22T04:00:00Z` or the last with a fraction, which is left out.
/// Other forms, and dates before 1970, are `None`.
pub(super) fn read(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00Z"));
    let mut parts = date.split('-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let time = time.strip_suffix('Z')?;
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let mut clock = time.split(':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next().unwrap_or(Some(0))?);
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid || parts.next().is_some() || clock.next().is_some() {
        return None;
    }
    let seconds = days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?))
}

fn number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Writes `2026-11-22T04:00:00Z`.
pub(crate) fn write(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // 9999-12-31T23:59:59Z: what comes later has no four digits.
    let since = i64::try_from(since).unwrap_or(i64::MAX).min(253_402_300_799);
    let (day, second) = (since / DAY_S, since % DAY_S);
    let (year, month, day) = date(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The largest unit of a span, for people: `17 minutes`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years begin in March, so that leap days end them.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

/// The day so many days after 1970-01-01.
fn date(since: i64) -> (i64, i64, i64) {
    // Days since 0000-03-01, and of the period of 400 years, which has 146,097 of them.
    let shifted = since + 719_468;
    let (period, of_period) = (shifted / 146_097, shifted % 146_097);
    let year = (of_period - of_period / 1_460 + of_period / 36_524 - of_period / 146_096) / 365;
    let of_year = of_period - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    (period * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn dates_are_read_in_each_of_their_forms() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2026-11-22T04:00:00Z", 1_795_320_000),
            ("2026-11-22T04:00Z", 1_795_320_000),
            ("2026-11-22T04:00:00.1234567Z", 1_795_320_000),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2024-12-31", 1_735_603_200),
        ] {
            assert_eq!(read(text), Some(at(seconds)), "{text}");
        }
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-11-22T04:00",
            "2026-11-22T04:00+01:00",
            "2026-11-22T24:00Z",
            "1969-12-31",
            "2026-11-22-1",
            "+2026-1-1",
            "2026-11-22T1:2:3:4Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(write(at(1_795_320_000)), "2026-11-22T04:00:00Z");
        for day in (0..2_900_000).step_by(97) {
            let time = at(day * 86_400 + day % 86_400);
            assert_eq!(read(&write(time)), Some(time), "{day}");
        }
        assert_eq!(write(at(u64::MAX / 4)), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn spans_have_one_unit() {
        for (seconds, text) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (1_020, "17 minutes"),
            (7_200, "2 hours"),
            (200_000, "2 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
