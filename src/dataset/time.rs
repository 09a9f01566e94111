//! Times in manifests, as RFC 3339 writes them.

use std::time::{Duration, SystemTime};

/// The time that `text` says, to the second; `None` if it says none that this program can hold.
pub(super) fn parse_time(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_at_checked(10)?;
    let (clock, zone) = rest.split_at_checked(9)?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock.strip_prefix(['T', 't', ' '])?, ':')?;
    // 60 is a leap second.
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && year >= 1970;
    if !fits || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = (days_since_1970(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
    let seconds = u64::try_from(seconds - offset(zone)?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Seconds that local time is ahead of UTC: `Z`, `+02:00`, `.25-08:00`.
fn offset(zone: &str) -> Option<i64> {
    let zone = match zone.strip_prefix('.') {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => zone,
    };
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let [hours, minutes] = numbers(rest, ':')?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn numbers<const N: usize>(text: &str, between: char) -> Option<[i64; N]> {
    let is_plain = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Option<Vec<i64>> =
        text.split(between).map(|part| Some(part).filter(is_plain)?.parse().ok()).collect();
    parts?.try_into().ok()
}

/// Days from 1 January 1970 in the Gregorian calendar, with years that begin in March, so that the
/// leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 306 days from March to December come before the first of these years.
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        Some(parse_time(text)?.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn test_parse_time_knows_zones_and_leap_days() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2024-03-01T00:00:00Z", 1_709_251_200),
            ("2026-01-15T10:30:00Z", 1_768_473_000),
            ("2026-01-15T10:30:00.75+02:00", 1_768_465_800),
            ("2026-01-15t02:30:00-08:00", 1_768_473_000),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn test_parse_time_refuses_what_is_no_time() {
        for text in [
            "",
            "now",
            "2026-01-15",
            "2026-13-15T10:30:00Z",
            "2026-01-15T24:30:00Z",
            "2026-01-15T10:30:00",
            "2026-01-15T10:30:00+2",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "+026-01-15T10:30:00Z",
            "２026-01-15T10:30:00Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
