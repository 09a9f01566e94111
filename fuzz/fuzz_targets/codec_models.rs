#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| genomic_objects::fuzzing::run("codec_models", data));
