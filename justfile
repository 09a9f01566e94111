# Short names for the steps of .ci/run, which is the one place that says what they do.

# List the recipes
default:
    @just --list

# Everything that CI runs
ci:
    .ci/run

# Install Debian packages and Python wheels for the tests
setup:
    .ci/run setup

# Check the formatting
fmt:
    .ci/run fmt

# Clippy, warnings as errors
lint:
    .ci/run lint

# All tests
test:
    .ci/run test

# Documentation, warnings as errors
doc:
    .ci/run doc

# The README's main job
demo:
    .ci/run demo

# Fuzz all targets, or those named; see fuzz/README.md
fuzz *ARGS:
    GENOMIC_OBJECTS_FUZZ_CORPUS=$PWD/fuzz/corpus cargo test -p genomic-objects --lib fuzzing
    cargo +nightly fuzz build -s none -O
    python3 fuzz/run.py {{ARGS}}

# The table of benches/RESULTS.md, measured anew
bench *ARGS:
    cargo build --release --workspace
    python3 benches/side_by_side.py {{ARGS}}
