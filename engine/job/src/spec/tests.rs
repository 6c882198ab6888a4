use super::*;
use crate::choices::{
    BlobTypeChoice, CheckLength, CheckMd5, DeleteSnapshots, Encryption, Overwrite, PermanentDelete,
    PosixStyle, RehydratePriority, Symlinks,
};
use crate::options::ContentTypePolicy;
use azuring_azure::{BlobProperties, Cpk, Secret};
use azuring_plan::blocks::BlockRules;
use azuring_plan::content_type::ContentTypes;
use fastrand::Rng;

/// Rounds of each property.
const ROUNDS: u64 = 2_000;
const URL: &str = "https://account.blob.core.windows.net/container/a%20b";

fn text(random: &mut Rng) -> String {
    let pieces = ["a", "/", "\u{e4}", "\"", "\\", "\n", " ", "x=y", "\u{1f980}", "\u{0}", "%2F"];
    (0..random.usize(..8)).map(|_| pieces[random.usize(..pieces.len())]).collect()
}

fn some<T>(random: &mut Rng, one: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    random.bool().then(|| one(random))
}

fn pairs(random: &mut Rng) -> Vec<(String, String)> {
    (0..random.usize(..3)).map(|_| (text(random), text(random))).collect()
}

fn of<T: Copy, const N: usize>(random: &mut Rng, all: [T; N]) -> T {
    all[random.usize(..N)]
}

fn path(random: &mut Rng) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = format!("/{}", text(random)).into_bytes();
    if random.bool() {
        bytes.push(0xfe);
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

fn options(random: &mut Rng) -> JobOptions {
    let types = ContentTypes::new().with_globs2("50:x/y:*.Zip\n").with_overrides([("q", "x/z")]);
    JobOptions {
        blocks: BlockRules::default()
            .block_size(some(random, |r| r.u64(..)))
            .put_blob_size(some(random, |r| r.u64(..))),
        properties: BlobProperties::default()
            .content_encoding(some(random, text))
            .content_language(some(random, text))
            .content_disposition(some(random, text))
            .cache_control(some(random, text))
            .metadata(pairs(random))
            .tier(some(random, text))
            .tags(some(random, text)),
        content_type: match random.u8(..3) {
            0 => ContentTypePolicy::Guess(types),
            1 => ContentTypePolicy::Fixed(text(random)),
            _ => ContentTypePolicy::None,
        },
        crc64: random.bool(),
        overwrite: of(
            random,
            [Overwrite::Always, Overwrite::Never, Overwrite::IfSourceNewer, Overwrite::Ask],
        ),
        put_md5: random.bool(),
        check_md5: of(random, [CheckMd5::NoCheck, CheckMd5::LogOnly, CheckMd5::FailIfDifferentOrMissing]),
        check_length: of(random, [CheckLength::Unproven, CheckLength::Always, CheckLength::Never]),
        overwrite_in_place: random.bool(),
        delete_destination: random.bool(),
        verify: random.bool(),
        decompress: random.bool(),
        preserve_last_modified_time: random.bool(),
        preserve_posix: some(random, |random| of(random, [PosixStyle::Standard, PosixStyle::Amlfs])),
        preserve_setuid: random.bool(),
        symlinks: of(random, [Symlinks::Skip, Symlinks::Follow, Symlinks::Preserve]),
        directory_stubs: random.bool(),
        blob_type: of(random, [BlobTypeChoice::Detect, BlobTypeChoice::Page, BlobTypeChoice::Append]),
        page_blob_tier: some(random, text),
        encryption: some(random, |random| Encryption::Scope(text(random))),
        delete_snapshots: some(random, |random| {
            of(random, [DeleteSnapshots::Include, DeleteSnapshots::Only])
        }),
        permanent_delete: some(random, |random| {
            of(random, [PermanentDelete::Snapshots, PermanentDelete::SnapshotsAndVersions])
        }),
        ..JobOptions::with(ContentTypePolicy::None)
    }
}

fn work(random: &mut Rng) -> SpecWork {
    match random.u8(..4) {
        0 => SpecWork::Upload {
            root: path(random),
            naming: if random.bool() { Naming::Exact(text(random)) } else { Naming::Under(text(random)) },
        },
        1 => {
            let rule = match random.u8(..3) {
                0 => None,
                1 => Some(DownloadRule::Exact {
                    name: b"dir/na\xffme".to_vec(),
                    is_directory: random.bool(),
                    root: of(random, [TargetRoot::Destination, TargetRoot::Parent]),
                }),
                _ => Some(DownloadRule::Under { strip: text(random), below: text(random) }),
            };
            SpecWork::Download {
                destination: path(random),
                root: path(random),
                is_null: random.bool(),
                naming: rule.map(|rule| DownloadNaming::of_rule(rule).unwrap()),
            }
        }
        2 => SpecWork::Remove,
        _ => SpecWork::SetProperties(PropertyChange {
            tier: some(random, text),
            rehydrate_priority: some(random, |random| {
                of(random, [RehydratePriority::Standard, RehydratePriority::High])
            }),
            metadata: some(random, pairs),
            tags: some(random, pairs),
        }),
    }
}

fn spec(random: &mut Rng) -> (Spec, SpecWork, JobOptions) {
    let (work, options) = (work(random), options(random));
    let job = random.u128(..).to_be_bytes();
    let credential = text(random);
    let mut spec = Spec::new(job, &work, URL.to_owned(), credential, random.bool(), &options).unwrap();
    spec.begun = random.u64(..1 << 40);
    assert_eq!(spec.job(), job);
    (spec, work, options)
}

#[test]
fn any_spec_comes_back_and_means_the_same() {
    for seed in 0..ROUNDS {
        let mut random = Rng::with_seed(seed);
        let (spec, work, options) = spec(&mut random);
        let back = Spec::from_bytes(&spec.to_bytes()).unwrap();
        assert_eq!(back, spec, "seed {seed}");
        assert_eq!(back.work().unwrap(), work, "seed {seed}");
        let here =
            JobOptions { retry_failed: 9, report_objects: true, ..JobOptions::with(ContentTypePolicy::None) };
        let told = back.options(here).unwrap();
        assert_eq!((told.retry_failed, told.report_objects), (9, true));
        // All that a spec keeps is seen in another one.
        assert_eq!(Options::of(&told), Options::of(&options), "seed {seed}");
        if let (ContentTypePolicy::Guess(one), ContentTypePolicy::Guess(other)) =
            (&told.content_type, &options.content_type)
        {
            for name in ["a.zip", "a.ZIP", "a.Zip", "b.q", "c.css", "d"] {
                assert_eq!(one.for_name(name.as_bytes()), other.for_name(name.as_bytes()));
            }
        }
    }
}

#[test]
fn bytes_that_were_changed_never_panic() {
    for seed in 0..ROUNDS {
        let mut random = Rng::with_seed(seed);
        let mut bytes = spec(&mut random).0.to_bytes();
        for _ in 0..10 {
            let at = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"{}[]\",:0"[random.usize(..8)]),
            }
            if let Ok(spec) = Spec::from_bytes(&bytes) {
                let _ = (spec.job(), spec.begun(), spec.work().unwrap(), spec.action());
            }
        }
    }
}

#[test]
fn what_this_version_does_not_know_is_refused() {
    let spec = spec(&mut Rng::with_seed(1)).0.text();
    let read = |text: String| Spec::from_bytes(text.as_bytes()).unwrap_err().to_string();
    let later = read(spec.replace("\"azuring-spec\":1", "\"azuring-spec\":2,\"new\":[]"));
    assert!(later.contains("version 2, of a later azuring; this one reads up to 1"), "{later}");
    let field = read(spec.replacen("\"verify\":", "\"encrypt-locally\":true,\"verify\":", 1));
    assert!(field.contains("unknown field `encrypt-locally`"), "{field}");
    let value = read(spec.replace("\"check-length\":\"", "\"check-length\":\"roughly-"));
    assert!(value.contains("the check of lengths"), "{value}");
    assert!(read("no spec".to_owned()).contains("cannot be read"));
}

#[test]
fn a_name_that_leads_out_of_the_target_is_refused() {
    let naming = DownloadNaming::of_rule(DownloadRule::Exact {
        name: b"file".to_vec(),
        is_directory: false,
        root: TargetRoot::Destination,
    });
    let root = PathBuf::from("/data");
    let work = SpecWork::Download { destination: root.clone(), root, is_null: false, naming: naming.ok() };
    let made = Spec::new([0; 16], &work, URL.to_owned(), String::new(), false, &JobOptions::default());
    let text = made.unwrap().text();
    for (good, bad) in
        [("\"name\":\"file\"", "\"name\":\"../file\""), ("\"root\":\"/data\"", "\"root\":\"data\"")]
    {
        assert!(text.contains(good));
        Spec::from_bytes(text.replace(good, bad).as_bytes()).unwrap_err();
    }
}

#[test]
fn no_secret_is_in_it_and_the_key_has_to_be_the_one() {
    let key = |byte: u8| {
        // 32 bytes in base64.
        let letter = char::from(b'A' + byte);
        Cpk::new(Secret::new(format!("{}A=", letter.to_string().repeat(42))), None).unwrap()
    };
    let options = |byte| JobOptions { encryption: Some(Encryption::Key(key(byte))), ..JobOptions::default() };
    let spec = Spec::new([0; 16], &SpecWork::Remove, URL.to_owned(), "a SAS".to_owned(), false, &options(1));
    let spec = spec.unwrap();
    assert!(!spec.text().contains("BBBBBBBB"), "{}", spec.text());
    let back = Spec::from_bytes(&spec.to_bytes()).unwrap();
    back.options(options(1)).unwrap();
    assert!(matches!(back.options(options(2)), Err(SpecError::Key { .. })));
    assert!(matches!(back.options(JobOptions::default()), Err(SpecError::Key { .. })));

    let _ = Secret::new("c2VjcmV0LW9mLXRoZS10ZXN0".to_owned());
    let metadata = vec![("note".to_owned(), "c2VjcmV0LW9mLXRoZS10ZXN0".to_owned())];
    let properties = BlobProperties::default().metadata(metadata);
    let options = JobOptions { properties, ..JobOptions::default() };
    let spec = Spec::new([0; 16], &SpecWork::Remove, URL.to_owned(), String::new(), false, &options);
    assert_eq!(spec, Err(SpecError::Secret));
}

/// What was written once is read by every later version; and a change of the form is seen here.
#[test]
fn the_spec_that_is_kept_is_read_and_written_so() {
    let kept = include_str!("../../tests/kept/spec-1.json").trim_end();
    let mut specs = Vec::new();
    for seed in 0..12 {
        specs.push(spec(&mut Rng::with_seed(seed)).0.text());
    }
    let specs = specs.join("\n");
    if std::env::var_os("AZURING_KEEP").is_some() {
        std::fs::write("tests/kept/spec-1.json", specs + "\n").unwrap();
        return;
    }
    for (kept, now) in kept.lines().zip(specs.lines()) {
        assert_eq!(Spec::from_bytes(kept.as_bytes()).unwrap().text(), now);
        assert_eq!(
            kept, now,
            "the form has changed: old specs must be read, and newer ones refused by old readers"
        );
    }
    assert_eq!(kept.lines().count(), specs.lines().count());
}
