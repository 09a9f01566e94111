//! POSIX extended regular expressions, written anew for a Rust engine.
//!
//! The two syntaxes differ in brackets (where POSIX has no escapes, no nesting and no operators),
//! in what counts as special outside of them (`\d` and `(?i)` mean nothing to POSIX, and an unpaired
//! `)` or a `{` that opens no interval stands for itself), and in characters: here they are bytes.

use regex::bytes::{Regex, RegexBuilder};

use super::Fault;

/// Groups within each other: a bound for the stack of the engine's parser.
const MAX_DEPTH: u32 = 100;

const CLASSES: [&str; 12] = [
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "xdigit",
];

/// Compiles a pattern; the fault's place is the caller's to set.
pub(super) fn compile(pattern: &[u8]) -> Result<Regex, Fault> {
    let failed = |what: &str| {
        Fault::new(0, format!("the pattern {:?} is wrong", String::from_utf8_lossy(pattern)))
            .expected("a POSIX extended regular expression")
            .found(what)
    };
    let translated = translate(pattern).map_err(|what| failed(&what))?;
    // Without REG_NEWLINE a dot and a negated bracket match the end of a line too.
    RegexBuilder::new(&translated)
        .unicode(false)
        .dot_matches_new_line(true)
        .nest_limit(2 * MAX_DEPTH)
        .build()
        .map_err(|error| failed(error.to_string().lines().last().unwrap_or("an error")))
}

fn translate(pattern: &[u8]) -> Result<String, String> {
    let mut out = String::with_capacity(2 * pattern.len());
    let mut rest = pattern;
    let mut depth = 0_u32;
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'\\' => {
                let [escaped, after @ ..] = rest else {
                    return Err("a backslash at its end".into());
                };
                rest = after;
                match escaped {
                    b'w' | b'W' | b's' | b'S' | b'b' | b'B' => {
                        out.push('\\');
                        out.push(char::from(*escaped));
                    }
                    b'<' => out.push_str("\\b{start}"),
                    b'>' => out.push_str("\\b{end}"),
                    b'`' => out.push_str("\\A"),
                    b'\'' => out.push_str("\\z"),
                    b'1'..=b'9' => return Err("a back-reference, which is not supported".into()),
                    other => push_literal(&mut out, *other),
                }
            }
            b'[' => rest = bracket(rest, &mut out)?,
            b'(' if depth == MAX_DEPTH => {
                return Err(format!("more than {MAX_DEPTH} groups nested"));
            }
            b'(' => {
                depth += 1;
                out.push_str("(?:");
            }
            b')' if depth > 0 => {
                depth -= 1;
                out.push(')');
            }
            b'{' => match interval(rest) {
                Some((text, after)) => {
                    out.push_str(&text);
                    rest = after;
                }
                None => push_literal(&mut out, b'{'),
            },
            b'.' | b'^' | b'$' | b'|' | b'*' | b'+' | b'?' => out.push(char::from(*first)),
            other => push_literal(&mut out, *other),
        }
    }
    Ok(out)
}

fn push_literal(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() {
        out.push(char::from(byte));
    } else {
        out.push_str(&format!("\\x{byte:02x}"));
    }
}

/// What follows a `{`, if it is `n}`, `n,}`, `,m}` or `n,m}`.
fn interval(rest: &[u8]) -> Option<(String, &[u8])> {
    let end = memchr::memchr(b'}', rest)?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    let (least, most) = text.split_once(',').unwrap_or((text, text));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if text.is_empty() || text == "," || !all_digits(least) || !all_digits(most) {
        return None;
    }
    let least = if least.is_empty() { "0" } else { least };
    Some((format!("{{{least},{most}}}"), &rest[end + 1..]))
}

/// Translates what follows a `[`, and returns what follows its `]`.
fn bracket<'a>(mut rest: &'a [u8], out: &mut String) -> Result<&'a [u8], String> {
    let unclosed = || "a '[' without its ']'".to_owned();
    out.push('[');
    if let [b'^', after @ ..] = rest {
        out.push('^');
        rest = after;
    }
    let mut is_first = true;
    loop {
        match rest {
            [] => return Err(unclosed()),
            [b']', after @ ..] if !is_first => {
                out.push(']');
                return Ok(after);
            }
            [b'[', b':', after @ ..] => {
                let (name, after) = delimited(after, b':').ok_or_else(unclosed)?;
                let name = String::from_utf8_lossy(name);
                if !CLASSES.contains(&name.as_ref()) {
                    return Err(format!("the unknown class [:{name}:]"));
                }
                out.push_str(&format!("[:{name}:]"));
                rest = after;
            }
            _ => {
                let (low, after) = element(rest)?;
                rest = after;
                push_literal(out, low);
                if let [b'-', after @ ..] = rest
                    && !matches!(after, [] | [b']', ..])
                {
                    let (high, after) = element(after)?;
                    out.push('-');
                    push_literal(out, high);
                    rest = after;
                }
            }
        }
        is_first = false;
    }
}

/// One character in a bracket: itself, `[.c.]` or `[=c=]`.
fn element(rest: &[u8]) -> Result<(u8, &[u8]), String> {
    match rest {
        [b'[', mark @ (b'.' | b'='), after @ ..] => match delimited(after, *mark) {
            Some((&[byte], after)) => Ok((byte, after)),
            _ => Err("a collating element of several characters".into()),
        },
        [byte, after @ ..] => Ok((*byte, after)),
        [] => Err("a '[' without its ']'".into()),
    }
}

/// What stands before `mark]`, and what follows.
fn delimited(rest: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let end = rest.windows(2).position(|pair| pair == [mark, b']'])?;
    Some((&rest[..end], &rest[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_compile_follows_posix_where_engines_differ() {
        for (pattern, text, expected) in [
            ("b", "abc", true),
            ("^b", "abc", false),
            ("[]a]+$", "]a]", true),
            ("^[^]]$", "]", false),
            ("^[\\d]$", "\\", true),
            ("^[\\d]$", "7", false),
            ("^\\d$", "d", true),
            ("[[:digit:]x]{2,3}$", "a1x", true),
            ("^[a-]$", "-", true),
            ("^[[=a=][.-.]]+$", "-a", true),
            ("^[a&&b]$", "&", true),
            ("^[[a]$", "[", true),
            ("a)b", "a)b", true),
            ("a{b", "a{b", true),
            ("^a{,2}$", "aaa", false),
            ("^a{,2}$", "aa", true),
            ("^(a|)$", "", true),
            ("a.b", "a\nb", true),
            ("\\<read\\>", "a read b", true),
            ("\\<read\\>", "a ready b", false),
            ("~#&", "~#&", true),
            ("ä", "ä", true),
            ("^.$", "ä", false),
            ("(a*?)$", "b", true),
        ] {
            let regex = compile(pattern.as_bytes()).unwrap();
            assert_eq!(regex.is_match(text.as_bytes()), expected, "{pattern} in {text}");
        }
    }

    #[test]
    fn test_compile_refuses_patterns_that_are_wrong() {
        let nested = "(".repeat(100_000);
        for pattern in [
            "[",
            "[]",
            "[a-",
            "(",
            "(?i)a",
            "a\\",
            "(a)\\1",
            "[[:alpha]",
            "[[:x:]]",
            "[b-a]",
            &nested,
        ] {
            assert!(compile(pattern.as_bytes()).is_err(), "{pattern:.20}");
        }
    }
}
