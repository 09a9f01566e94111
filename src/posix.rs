//! POSIX extended regular expressions, written anew for a Rust engine.
//!
//! The two syntaxes differ in brackets (where POSIX has no escapes, no nesting and no operators),
//! in what counts as special outside of them (`\d` and `(?i)` mean nothing to POSIX, and an unpaired
//! `)` or a `{` that opens no interval stands for itself), and in characters: here they are bytes.

use regex::bytes::{Regex, RegexBuilder};

/// Groups within each other: a bound for the stack of the engine's parser.
const MAX_DEPTH: u32 = 100;

const CLASSES: [&str; 12] = [
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "xdigit",
];

/// Compiles an extended regular expression; else says what is wrong with it.
pub(crate) fn compile(pattern: &[u8], ignore_case: bool) -> Result<Regex, String> {
    let translated = translate(pattern)?;
    // Without REG_NEWLINE a dot and a negated bracket match the end of a line too.
    RegexBuilder::new(&translated)
        .unicode(false)
        .dot_matches_new_line(true)
        .case_insensitive(ignore_case)
        .nest_limit(2 * MAX_DEPTH)
        .build()
        .map_err(|error| error.to_string().lines().last().unwrap_or("an error").to_owned())
}

/// Compiles a basic regular expression, in which `\(`, `\{`, `\+`, `\?` and `\|` are the operators and
/// the bare characters stand for themselves, as GNU's library reads it.
pub(crate) fn compile_basic(pattern: &[u8], ignore_case: bool) -> Result<Regex, String> {
    compile(&extended(pattern), ignore_case)
}

/// A basic regular expression as an extended one.
fn extended(pattern: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * pattern.len());
    let mut rest = pattern;
    // Whether an expression begins here, where `*` is itself and `^` an anchor.
    let mut begins = true;
    while let [first, after @ ..] = rest {
        rest = after;
        let mut begins_next = false;
        match first {
            b'\\' => {
                let Some((escaped, after)) = rest.split_first() else {
                    out.push(b'\\');
                    break;
                };
                rest = after;
                match escaped {
                    b'(' | b'|' => {
                        out.push(*escaped);
                        begins_next = true;
                    }
                    b')' | b'{' | b'}' | b'+' | b'?' => out.push(*escaped),
                    other => out.extend([b'\\', *other]),
                }
            }
            b'[' => {
                let end = bracket_length(rest);
                out.push(b'[');
                out.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
            }
            b'*' if begins => out.extend(b"\\*"),
            b'^' if begins => {
                out.push(b'^');
                begins_next = true;
            }
            b'$' if matches!(rest, [] | [b'\\', b')' | b'|', ..]) => out.push(b'$'),
            b'^' | b'$' | b'(' | b')' | b'{' | b'}' | b'+' | b'?' | b'|' => {
                out.extend([b'\\', *first]);
            }
            other => out.push(*other),
        }
        begins = begins_next;
    }
    out
}

/// The length of what follows a `[`, its `]` included.
fn bracket_length(rest: &[u8]) -> usize {
    let mut at = usize::from(rest.first() == Some(&b'^'));
    at += usize::from(rest.get(at) == Some(&b']'));
    loop {
        match rest.get(at..) {
            None | Some([]) => return rest.len(),
            Some([b']', ..]) => return at + 1,
            Some([b'[', mark @ (b':' | b'.' | b'='), after @ ..]) => {
                match delimited(after, *mark) {
                    Some((_, left)) => at = rest.len() - left.len(),
                    None => return rest.len(),
                }
            }
            Some(_) => at += 1,
        }
    }
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
            let regex = compile(pattern.as_bytes(), false).unwrap();
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
            assert!(compile(pattern.as_bytes(), false).is_err(), "{pattern:.20}");
        }
    }

    #[test]
    fn test_compile_basic_swaps_what_is_escaped() {
        for (pattern, text, expected) in [
            ("a|b", "a", false),
            ("a|b", "a|b", true),
            ("a\\|b", "b", true),
            ("^\\(ab\\)\\{2\\}$", "abab", true),
            ("^(a)$", "(a)", true),
            ("^a+$", "aa", false),
            ("^a\\+$", "aa", true),
            ("*a", "*a", true),
            ("a^b$c", "a^b$c", true),
            ("\\(^a$\\)", "a", true),
            ("[*+](", "+(", true),
            ("[[:digit:]^]\\.", "7.", true),
            ("x{2}", "x{2}", true),
        ] {
            let regex = compile_basic(pattern.as_bytes(), false).unwrap();
            assert_eq!(regex.is_match(text.as_bytes()), expected, "{pattern} in {text}");
        }
        assert!(compile_basic(b"MiSS", true).unwrap().is_match(b"missense"));
        assert!(compile_basic(b"\\(", false).is_err());
    }
}
