//! Links the unwinder statically, so that the program needs nothing but the C library.
//!
//! The standard library asks the linker for `-lgcc_s`. A linker script of that name, found first, answers with the
//! static archive that every C compiler brings.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target_env = std::env::var("CARGO_CFG_TARGET_ENV").unwrap_or_default();
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if (target_os.as_str(), target_env.as_str()) == ("linux", "gnu") {
        let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
        let script = std::path::Path::new(&out).join("libgcc_s.so");
        std::fs::write(script, "GROUP ( -lgcc_eh -lgcc -lc )\n").expect("OUT_DIR can be written to");
        println!("cargo:rustc-link-search=native={out}");
    }
}
