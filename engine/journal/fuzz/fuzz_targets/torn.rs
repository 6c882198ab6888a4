#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| azuring_journal_fuzz::torn(bytes));
