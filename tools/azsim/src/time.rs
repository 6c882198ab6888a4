//! Dates as the service writes them, without a calendar library.
//!
//! Points in time are *ticks*: units of 100 ns since 0001-01-01, as .NET and the service's ETags count them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Ticks of 1970-01-01.
pub(crate) const UNIX_EPOCH_TICKS: u64 = 621_355_968_000_000_000;
/// Ticks in a second.
pub(crate) const SECOND: u64 = 10_000_000;
/// Ticks in a day.
pub(crate) const DAY: u64 = 86_400 * SECOND;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The present, in ticks.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH_TICKS + since.as_secs() * SECOND + u64::from(since.subsec_nanos()) / 100
}

/// Year, month (1-12) and day of a count of days since 1970-01-01 (Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Days since 1970-01-01 (Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

struct Parts {
    days: i64,
    year: i64,
    month: i64,
    day: i64,
    hour: u64,
    minute: u64,
    second: u64,
}

fn parts(ticks: u64) -> Parts {
    let seconds = ticks.saturating_sub(UNIX_EPOCH_TICKS) / SECOND;
    let days = (seconds / 86_400) as i64;
    let (year, month, day) = civil(days);
    let rest = seconds % 86_400;
    Parts { days, year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60 }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub(crate) fn http_date(ticks: u64) -> String {
    let p = parts(ticks);
    let mut out = Vec::with_capacity(29);
    let two =
        |out: &mut Vec<u8>, n: u64| out.extend_from_slice(&[b'0' + (n / 10) as u8, b'0' + (n % 10) as u8]);
    out.extend_from_slice(DAYS[(p.days % 7) as usize].as_bytes());
    out.extend_from_slice(b", ");
    two(&mut out, p.day as u64);
    out.push(b' ');
    out.extend_from_slice(MONTHS[(p.month - 1) as usize].as_bytes());
    out.push(b' ');
    two(&mut out, p.year as u64 / 100);
    two(&mut out, p.year as u64 % 100);
    for (separator, n) in [(b' ', p.hour), (b':', p.minute), (b':', p.second)] {
        out.push(separator);
        two(&mut out, n);
    }
    out.extend_from_slice(b" GMT");
    String::from_utf8(out).expect("only ASCII was written")
}

/// `2026-01-02T03:04:05.0000000Z`
pub(crate) fn iso(ticks: u64) -> String {
    let p = parts(ticks);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z",
        p.year,
        p.month,
        p.day,
        p.hour,
        p.minute,
        p.second,
        ticks % SECOND
    )
}

/// `2026-01-02T03:04:05Z`, the form used in signatures.
pub(crate) fn iso_seconds(ticks: u64) -> String {
    let mut text = iso(ticks);
    text.truncate(19);
    text.push('Z');
    text
}

fn ticks(year: i64, month: i64, day: i64, hour: u64, minute: u64, second: u64) -> Option<u64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // A leap second may be written; anything beyond is no time of day.
    if !(1..=last).contains(&day) || hour > 23 || minute > 59 || second > 60 || year < 1970 {
        return None;
    }
    let days = days_from_civil(year, month, day) as u64;
    Some(UNIX_EPOCH_TICKS + (days * 86_400 + hour * 3600 + minute * 60 + second) * SECOND)
}

fn number(text: &[u8], from: usize, len: usize) -> Option<u64> {
    let digits = text.get(from..from + len)?;
    digits.iter().try_fold(0u64, |n, c| c.is_ascii_digit().then(|| n * 10 + u64::from(c - b'0')))
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 1123, the only form the service documents).
pub(crate) fn parse_http_date(text: &str) -> Option<u64> {
    let b = text.trim().as_bytes();
    if b.len() != 29 || &b[3..5] != b", " || &b[25..] != b" GMT" || b[19] != b':' || b[22] != b':' {
        return None;
    }
    let month = MONTHS.iter().position(|m| m.as_bytes() == &b[8..11])? as i64 + 1;
    ticks(
        number(b, 12, 4)? as i64,
        month,
        number(b, 5, 2)? as i64,
        number(b, 17, 2)?,
        number(b, 20, 2)?,
        number(b, 23, 2)?,
    )
}

/// Reads the forms that a SAS may use: `2026-01-02`, `...T03:04Z`, `...T03:04:05Z`, `...T03:04:05.0000000Z`.
pub(crate) fn parse_iso(text: &str) -> Option<u64> {
    let b = text.as_bytes();
    if b.len() < 10 || b[4] != b'-' || b[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(b, 0, 4)? as i64, number(b, 5, 2)? as i64, number(b, 8, 2)? as i64);
    if b.len() == 10 {
        return ticks(year, month, day, 0, 0, 0);
    }
    if b[10] != b'T' || b[b.len() - 1] != b'Z' || b.len() < 17 || b[13] != b':' {
        return None;
    }
    let (hour, minute) = (number(b, 11, 2)?, number(b, 14, 2)?);
    let second = match b.len() {
        17 => 0,
        n if n >= 20 && b[16] == b':' && (n == 20 || b[19] == b'.') => number(b, 17, 2)?,
        _ => return None,
    };
    let fraction = if b.len() > 21 {
        let digits = b.len() - 21;
        if digits > 7 {
            return None;
        }
        number(b, 20, digits)? * 10u64.pow(7 - digits as u32)
    } else {
        0
    };
    Some(ticks(year, month, day, hour, minute, second)? + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read() {
        let t = parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(http_date(t), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(iso(t), "1994-11-06T08:49:37.0000000Z");
        assert_eq!(iso_seconds(t), "1994-11-06T08:49:37Z");
        assert_eq!(parse_iso("1994-11-06T08:49:37Z"), Some(t));
        assert_eq!(parse_iso("1994-11-06T08:49Z"), Some(t - 37 * SECOND));
        assert_eq!(parse_iso("1994-11-06T08:49:37.5Z"), Some(t + SECOND / 2));
        assert_eq!(parse_iso("1994-11-06"), Some(t - (8 * 3600 + 49 * 60 + 37) * SECOND));
        assert_eq!(http_date(parse_iso("2024-02-29").unwrap()), "Thu, 29 Feb 2024 00:00:00 GMT");
        assert_eq!(http_date(parse_iso("2100-03-01").unwrap()), "Mon, 01 Mar 2100 00:00:00 GMT");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "x", "2024-13-01", "2023-02-29", "2024-01-01T25:00Z", "2024-01-01T00:00:00"] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
        for text in ["", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Foo 1994 08:49:37 GMT"] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }
}
