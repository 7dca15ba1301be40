//! What of a processor decides the bits of floating-point results.

/// The processor in words: architecture, widest vectors, and the first-level cache.
///
/// Sums of products are taken in blocks, whose length follows the vectors' width and that cache, and another order of a sum rounds
/// differently. On two processors with the same description a key gives the same bits.
///
/// ```
/// let here = sconce_core::processor::describe();
/// assert!(here.starts_with(std::env::consts::ARCH), "{here}");
/// ```
pub fn describe() -> String {
    let cache = match first_level_cache() {
        Some(size) => format!("{size} first-level cache"),
        None => "unknown first-level cache".to_owned(),
    };
    format!("{}, {}, {cache}", std::env::consts::ARCH, vectors())
}

#[cfg(target_arch = "x86_64")]
fn vectors() -> &'static str {
    if is_x86_feature_detected!("avx512f") {
        "AVX-512"
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        "AVX2"
    } else {
        "no AVX2"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> &'static str {
    if cfg!(target_arch = "aarch64") { "NEON" } else { "unknown vectors" }
}

/// The size of the data cache nearest to the first core, as Linux writes it: `48K`.
fn first_level_cache() -> Option<String> {
    let folder = std::path::Path::new("/sys/devices/system/cpu/cpu0/cache/index0");
    let size = std::fs::read_to_string(folder.join("size")).ok()?;
    let kind = std::fs::read_to_string(folder.join("type")).ok()?;
    matches!(kind.trim(), "Data" | "Unified").then(|| format!("{}iB", size.trim()))
}
