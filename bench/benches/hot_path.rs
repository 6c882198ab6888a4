//! What each small file pays besides system calls and the network: `cargo bench -p azuring-bench`.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hint::black_box;

use azuring_azure::{AccountKey, Crc64, Secret};
use azuring_link::Payload;
use azuring_plan::blocks::BlockId;
use azuring_plan::content_type::ContentTypes;
use azuring_plan::name::{blob_name, encode_path};
use azuring_ring::{Pool, SlotClass};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};

fn pool(c: &mut Criterion) {
    let pool = Pool::new(64 << 20);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = c.benchmark_group("pool");
    group.bench_function("lease, freeze, drop", |b| {
        b.iter(|| {
            let lease = runtime.block_on(pool.acquire_one(SlotClass::Small)).unwrap();
            black_box(lease.freeze());
        });
    });
    group.bench_function("32 block slots", |b| {
        b.iter(|| black_box(runtime.block_on(pool.acquire(SlotClass::Block, 32)).unwrap()));
    });
    group.finish();
}

fn checksum(c: &mut Criterion) {
    let mut group = c.benchmark_group("crc64");
    for bytes in [4 << 10, 256 << 10, 8 << 20] {
        let payload = Payload::from(Bytes::from(vec![7u8; bytes]));
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("{} KiB", bytes >> 10), |b| b.iter(|| black_box(Crc64::of(&payload))));
    }
    group.finish();
}

fn naming(c: &mut Criterion) {
    let path = b"year=2026/month=11/day=22/part-00017-of-01000 (copy).parquet";
    let types = ContentTypes::new();
    let mut group = c.benchmark_group("name");
    group.bench_function("blob name and URL path", |b| {
        b.iter(|| encode_path(&blob_name("raw/events/", black_box(path)).unwrap()));
    });
    group.bench_function("content type", |b| {
        b.iter(|| black_box(types.guess(black_box(path), b"PAR1").len()));
    });
    group.bench_function("block id", |b| {
        b.iter(|| {
            let mut id = String::with_capacity(BlockId::LEN);
            BlockId::new([7; 16], black_box(3)).encode_into(&mut id);
            id
        });
    });
    group.finish();
}

fn signing(c: &mut Criterion) {
    let key = AccountKey::new("account", &Secret::new("c2VjcmV0")).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-ms-version", "2025-07-05"),
        ("x-ms-date", "Sun, 22 Nov 2026 04:00:00 GMT"),
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-content-crc64", "DtjZpL9/o8c="),
        ("x-ms-blob-content-type", "application/octet-stream"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    c.bench_function("shared key signature", |b| {
        b.iter(|| key.sign(&Method::PUT, "/container/raw/events/part-00017.parquet", &[], &headers, 4096));
    });
}

criterion_group!(hot_path, pool, checksum, naming, signing);
criterion_main!(hot_path);
