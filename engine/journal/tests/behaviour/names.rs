//! Names and facts as real jobs have them.

use fastrand::Rng;

/// How the objects of a job are called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names {
    /// Photographs by day, 41 bytes.
    Photos,
    /// Log files by host and hour, 48 bytes.
    Logs,
    /// Objects whose names are random, 56 bytes.
    Uuids,
}

impl Names {
    pub(crate) const ALL: [Self; 3] = [Self::Photos, Self::Logs, Self::Uuids];

    /// The `n`th name, roughly in byte order.
    pub(crate) fn nth(self, n: u64, random: &mut Rng, name: &mut Vec<u8>) {
        use std::io::Write as _;
        name.clear();
        let written = match self {
            Self::Photos => {
                let (day, second) = (n / 1_000, n % 1_000 * 86 + random.u64(..86));
                let (year, month, day) = (2010 + day / 336, 1 + day / 28 % 12, 1 + day % 28);
                let (h, m, s) = (second / 3_600, second / 60 % 60, second % 60);
                write!(
                    name,
                    "photos/{year}/{month:02}/{day:02}/IMG_{year}{month:02}{day:02}_{h:02}{m:02}{s:02}.jpg"
                )
            }
            Self::Logs => {
                let (host, hour) = (n / 8_640, n % 8_640);
                let (day, hour, pid) = (hour / 24, hour % 24, random.u16(1_000..));
                write!(name, "logs/host-{host:05}/day-{day:03}/app-{hour:02}-{pid}.log.gz")
            }
            Self::Uuids => {
                let id = (u128::from(n) << 100) | (random.u128(..) >> 28);
                let digits = format!("{id:032x}");
                let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..16]);
                write!(name, "table/part/{a}-{b}-{c}-{}-{}.parquet", &digits[16..20], &digits[20..])
            }
        };
        written.expect("a vector takes all");
    }
}

/// Length (4 bytes), time of change (4 bytes, seconds) and ETag (8 bytes, a clock's ticks): what a download has to
/// remember.
pub(crate) fn facts(n: u64, random: &mut Rng) -> [u8; 16] {
    let mut facts = [0; 16];
    let ticks = 0x08dc_0000_0000_0000_u64 + n * 1_000 + random.u64(..100_000_000);
    facts[..4].copy_from_slice(&random.u32(..1 << 20).to_le_bytes());
    facts[4..8].copy_from_slice(&(1_700_000_000 + n as u32 / 50).to_le_bytes());
    facts[8..].copy_from_slice(&ticks.to_le_bytes());
    facts
}
