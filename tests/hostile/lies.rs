//! Every value of a manifest, one at a time, as something else.

use std::time::{Duration, Instant};

use genomic_objects::dataset::{GcOptions, gc, log};

use super::*;

/// The places of all values in a manifest, as JSON pointers.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{at}/{name}"), into);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), into);
            }
        }
        _ => {}
    }
}

/// What a value can be replaced by, to mislead a reader.
fn lies(value: &Value) -> Vec<Value> {
    match value {
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or(7);
            let near = [number.wrapping_add(1), number / 2, 0, 1];
            let far = [u64::MAX, i64::MAX as u64, u64::from(u32::MAX), i32::MAX as u64, 1 << 24];
            let mut lies: Vec<Value> = near.iter().chain(&far).map(|&lie| lie.into()).collect();
            lies.extend([Value::from(-1), Value::from(1e300), Value::Null]);
            lies
        }
        Value::String(text) => {
            let cut: String = text.chars().take(text.chars().count() / 2).collect();
            ["", "../x", &cut, &text.repeat(2), "\0", "é"].map(Value::from).to_vec()
        }
        Value::Array(items) => {
            let twice = items.iter().chain(items).cloned().collect::<Vec<_>>();
            let last = items.iter().rev().cloned().collect::<Vec<_>>();
            vec![Value::Array(twice), Value::Array(last), Value::Array(Vec::new()), Value::Null]
        }
        Value::Object(_) => vec![Value::Object(Map::new()), Value::Null],
        Value::Bool(is) => vec![Value::Bool(!is), Value::Null],
        Value::Null => vec![Value::from(1), Value::from("x")],
    }
}

fn check(test: &str, format: Format) {
    if !is_alone(test, 3 << 30) {
        return;
    }
    let made = Made::new(format);
    made.ask().unwrap();
    let whole = Value::Object(made.manifest());
    let mut all = Vec::new();
    places(&whole, "", &mut all);
    let (mut told, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    for place in all.iter().filter(|place| !place.is_empty() && *place != "/digest") {
        for lie in lies(whole.pointer(place).unwrap()) {
            let mut members = whole.clone();
            *members.pointer_mut(place).unwrap() = lie.clone();
            made.put_manifest(members.as_object().unwrap());
            let start = Instant::now();
            told += 1;
            if let Err(error) = made.ask() {
                assert!(is_refusal(error.kind()), "{place} as {lie}: {:?}: {error}", error.kind());
                refused += 1;
            }
            slowest = slowest.max(start.elapsed());
        }
    }
    println!("{format:?}: {refused} of {told} lies were refused, the slowest in {slowest:?}");
    // Statistics and texts may say anything.
    assert!(refused * 3 > told, "{refused} of {told}");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
}

#[test]
fn test_lies_in_a_manifest_of_alignments_are_refused_or_harmless() {
    check("lies::test_lies_in_a_manifest_of_alignments_are_refused_or_harmless", Format::Paf);
}

#[test]
fn test_lies_in_a_manifest_of_reads_are_refused_or_harmless() {
    check("lies::test_lies_in_a_manifest_of_reads_are_refused_or_harmless", Format::Srf);
}

#[test]
fn test_lies_in_a_manifest_of_variants_are_refused_or_harmless() {
    check("lies::test_lies_in_a_manifest_of_variants_are_refused_or_harmless", Format::Vcs);
}

#[test]
fn test_lies_in_a_manifest_of_a_cohort_are_refused_or_harmless() {
    check("lies::test_lies_in_a_manifest_of_a_cohort_are_refused_or_harmless", Format::Ram);
}

#[test]
fn test_a_version_that_claims_countless_predecessors_costs_no_time() {
    if !is_alone("lies::test_a_version_that_claims_countless_predecessors_costs_no_time", 3 << 30) {
        return;
    }
    for version in [1_u64 << 40, u64::MAX - 1, u64::MAX] {
        let made = Made::new(Format::Paf);
        made.change(|members| {
            members["dataset_version"] = version.into();
            members["parent"] = serde_json::json!({
                "version": version - 1, "digest": Checksum::of(b"").to_string(),
            });
        });
        std::fs::remove_file(made.path().join(manifest_path(1))).unwrap();
        let start = Instant::now();
        let store = made.store();
        assert_eq!(log(&store).unwrap().len(), 1);
        let options = GcOptions {
            keep: Some(1),
            older_than: None,
            grace: Duration::ZERO,
            now: std::time::SystemTime::now(),
            created: created(),
            id: TransactionId::from_bytes([9; 16]),
            dry_run: true,
        };
        let error = gc(&store, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let _ = made.ask();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}
