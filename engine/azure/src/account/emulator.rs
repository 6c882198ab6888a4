//! The account that the storage emulators have, Azurite and azsim.

/// Its name.
pub const DEVSTORE_ACCOUNT: &str = azuring_plan::host::EMULATOR_ACCOUNT;
/// Its key, published in Azurite's documentation.
pub(crate) const DEVSTORE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
