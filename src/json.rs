//! JSON from elsewhere, in bounded memory.

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Most values in a text that is read: each takes some 30 bytes of memory, however short it is
/// written.
const MOST_VALUES: usize = 8 << 20;

/// Reads JSON called `what`, of at most `most` bytes. The parser bounds the depth of nesting.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where it is larger, has more values than any that
/// was written in earnest, or is not JSON as expected.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], most: u64, what: &str) -> Result<T> {
    if bytes.len() as u64 > most {
        return Err(Error::corrupt(format!("the {what} is larger than any real one"))
            .expected(format!("at most {most} bytes"))
            .found(format!("{} bytes", bytes.len())));
    }
    // Marks inside texts are counted, too, which is no matter.
    let values = memchr::memchr3_iter(b',', b'[', b'{', bytes).count();
    if values > MOST_VALUES {
        return Err(Error::corrupt(format!("the {what} has more values than any real one"))
            .expected(format!("at most {MOST_VALUES}"))
            .found(values));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        Error::corrupt(format!("the {what} is not JSON as expected")).caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn test_parse_refuses_what_would_fill_memory() {
        let wide = format!("[{}[]]", "[],".repeat(MOST_VALUES));
        let deep = "[".repeat(1_000_000);
        for (text, part) in
            [(&wide, "more values"), (&deep, "recursion"), (&" ".repeat(200), "JSON")]
        {
            let error = parse::<Value>(text.as_bytes(), 64 << 20, "list").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(part), "{error}");
        }
        let error = parse::<Value>(b"[1, 2]", 5, "list").unwrap_err();
        assert!(error.to_string().contains("at most 5 bytes"), "{error}");
        assert_eq!(parse::<Value>(b"[1]", 5, "list").unwrap()[0], 1);
    }
}
