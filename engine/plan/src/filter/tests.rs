use super::*;

fn spec(flags: &[(&str, &str)]) -> FilterSpec {
    let mut spec = FilterSpec::default();
    for (flag, value) in flags {
        let field = match *flag {
            "include-pattern" => &mut spec.include_pattern,
            "exclude-pattern" => &mut spec.exclude_pattern,
            "include-path" => &mut spec.include_path,
            "exclude-path" => &mut spec.exclude_path,
            "include-regex" => &mut spec.include_regex,
            "exclude-regex" => &mut spec.exclude_regex,
            other => panic!("{other}"),
        };
        *field = Some((*value).to_owned());
    }
    spec
}

fn filter(flags: &[(&str, &str)]) -> Filter {
    Filter::new(&spec(flags)).unwrap()
}

const NAMES: [&str; 14] = [
    "a.jpg",
    "b.txt",
    "foo",
    "foo/a.jpg",
    "foo/sub/b.txt",
    "foobar/a.jpg",
    "foo-x",
    "x/foo/a.jpg",
    "x/y/z.log",
    "x/y.log",
    "ü/ä.jpg",
    ".hidden",
    "A.JPG",
    "foo/sub/.jpg",
];

fn passing(flags: &[(&str, &str)]) -> Vec<&'static str> {
    let filter = filter(flags);
    NAMES.into_iter().filter(|name| filter.passes(name.as_bytes(), None)).collect()
}

#[test]
fn nothing_given_passes_everything() {
    for flags in [&[][..], &[("include-pattern", ""), ("exclude-path", ";;/;."), ("include-regex", ";")]] {
        assert_eq!(passing(flags), NAMES);
        let filter = filter(flags);
        assert!(filter.is_empty() && !filter.needs_mtime());
        assert!(!filter.prunes(b"foo") && filter.include_paths(true).is_none());
    }
    let types = FilterSpec { exclude_blob_types: vec![BlobType::Page], ..FilterSpec::default() };
    let types = Filter::new(&types).unwrap();
    assert!(!types.is_empty());
    assert!(!types.passes_type(BlobType::Page) && types.passes_type(BlobType::Block));
}

#[test]
fn patterns_are_for_the_last_segment() {
    assert_eq!(
        passing(&[("include-pattern", "*.jpg;foo")]),
        ["a.jpg", "foo", "foo/a.jpg", "foobar/a.jpg", "x/foo/a.jpg", "ü/ä.jpg", "foo/sub/.jpg"]
    );
    assert_eq!(
        passing(&[("include-pattern", "?.[jt]*"), ("exclude-pattern", "a.*;ä*")]),
        ["b.txt", "foo/sub/b.txt"]
    );
    assert_eq!(passing(&[("include-pattern", "foo/*")]), Vec::<&str>::new());
    assert_eq!(passing(&[("exclude-pattern", "*[^g]")]).len(), 8);
}

#[test]
fn paths_end_at_segments() {
    let below_foo = ["foo", "foo/a.jpg", "foo/sub/b.txt", "foo/sub/.jpg"];
    for path in ["foo", "/foo", "foo/", "//foo//", "./foo/.", ";foo;"] {
        assert_eq!(passing(&[("include-path", path)]), below_foo, "{path}");
        let rest: Vec<_> = NAMES.into_iter().filter(|name| !below_foo.contains(name)).collect();
        assert_eq!(passing(&[("exclude-path", path)]), rest, "{path}");
    }
    assert_eq!(
        passing(&[("include-path", "x/y;foo/sub/b.txt;foo/sub")]),
        ["foo/sub/b.txt", "x/y/z.log", "foo/sub/.jpg"]
    );
    assert_eq!(
        passing(&[("include-path", "foo;x"), ("exclude-path", "foo/sub;x/foo")]),
        ["foo", "foo/a.jpg", "x/y/z.log", "x/y.log"]
    );
}

#[test]
fn expressions_search_the_whole_path() {
    assert_eq!(
        passing(&[("include-regex", "^foo/;g$")]),
        [
            "a.jpg",
            "foo/a.jpg",
            "foo/sub/b.txt",
            "foobar/a.jpg",
            "x/foo/a.jpg",
            "x/y/z.log",
            "x/y.log",
            "ü/ä.jpg",
            "foo/sub/.jpg"
        ]
    );
    assert_eq!(passing(&[("include-regex", r"(?i)^a\."), ("exclude-regex", "jpg")]), ["A.JPG"]);
    assert!(filter(&[("include-regex", "^a.b$")]).passes_name(b"a\xffb"));
}

#[test]
fn kinds_are_anded_and_exclusion_wins() {
    assert_eq!(
        passing(&[("include-path", "foo;x"), ("include-pattern", "*.jpg;*.log"), ("include-regex", "a;z")]),
        ["foo/a.jpg", "x/foo/a.jpg", "x/y/z.log"]
    );
    for exclude in [("exclude-path", "foo/a.jpg"), ("exclude-pattern", "a.jpg"), ("exclude-regex", "o/a")] {
        let flags = [("include-path", "foo"), ("include-pattern", "a*"), ("include-regex", "j"), exclude];
        assert_eq!(passing(&flags), Vec::<&str>::new(), "{exclude:?}");
    }
}

#[test]
fn times_are_inclusive() {
    let spec = FilterSpec {
        include_after_ns: Some(10),
        include_before_ns: Some(20),
        ..spec(&[("exclude-pattern", "x")])
    };
    let filter = Filter::new(&spec).unwrap();
    assert!(filter.needs_mtime() && !filter.is_empty());
    for (time, expected) in
        [(Some(9), false), (Some(10), true), (Some(20), true), (Some(21), false), (None, false)]
    {
        assert_eq!(filter.passes(b"a", time), expected, "{time:?}");
        assert!(!filter.passes(b"d/x", time));
        assert!(filter.passes_name(b"a"));
    }
    let open = Filter::new(&FilterSpec { include_after_ns: Some(-5), ..FilterSpec::default() }).unwrap();
    assert!(
        open.passes(b"a", Some(i128::MAX)) && open.passes(b"a", Some(-5)) && !open.passes(b"a", Some(-6))
    );
}

#[test]
fn malformed_items_name_flag_and_item() {
    for (flag, value, item) in [
        ("include-pattern", "*.a;[x", "[x"),
        ("exclude-pattern", "a\\", "a\\\\"),
        ("include-regex", "a;(b", "(b"),
        ("exclude-regex", "*", "*"),
        ("include-path", "a/../b", "a/../b"),
        ("exclude-path", "..", ".."),
    ] {
        match Filter::new(&spec(&[(flag, value)])).unwrap_err() {
            PlanError::BadFilter(error) => {
                assert_eq!(error.flag, format!("--{flag}"));
                assert_eq!(error.item, item);
                assert!(!error.reason.is_empty());
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn path_lists_are_sorted_and_minimal() {
    let filter = filter(&[("include-path", "b/c;a;b;a/x;a-b;a"), ("exclude-path", "z/y;z")]);
    assert_eq!(filter.include_paths(true).unwrap(), [b"a".to_vec(), b"a-b".to_vec(), b"b".to_vec()]);
    assert_eq!(filter.excluded_paths(), [b"z".to_vec()]);
}

/// All paths of up to three segments made of these names.
fn all_paths() -> Vec<String> {
    let names = ["a", "ab", "a-", "b"];
    let mut paths: Vec<String> = names.map(String::from).into();
    let mut level = paths.clone();
    for _ in 0..2 {
        level = level.iter().flat_map(|path| names.map(|name| format!("{path}/{name}"))).collect();
        paths.extend_from_slice(&level);
    }
    paths
}

#[test]
fn pruning_never_loses_and_always_finds_what_it_can() {
    let paths = all_paths();
    for include in ["", "a", "a/b", "ab;b/a-/a", "a-/b/b;a/a", "b/b/b;a"] {
        for exclude in ["", "a", "a/b", "b/a;ab", "a-/b/b"] {
            let filter = filter(&[("include-path", include), ("exclude-path", exclude)]);
            for directory in &paths {
                let below = format!("{directory}/");
                let some_pass = paths
                    .iter()
                    .filter(|path| *path == directory || path.starts_with(&below))
                    .any(|path| filter.passes_name(path.as_bytes()));
                let pruned = filter.prunes(directory.as_bytes());
                assert!(!(pruned && some_pass), "{include} {exclude}: {directory} lost");
                // A path that is both included and excluded deeper down is entered in vain: only that.
                if !pruned && !some_pass && directory.matches('/').count() < 2 {
                    let kept: Vec<_> = filter.include_paths(true).into_iter().flatten().collect();
                    assert!(
                        kept.iter().any(|path| path.starts_with(below.as_bytes())),
                        "{include} {exclude}: {directory}"
                    );
                }
            }
            assert!(!filter.prunes(b""));
        }
    }
}

#[test]
fn covering_is_what_the_definition_says() {
    let paths = all_paths();
    for include in ["a", "ab", "a/a-;b", "a-/a-/a-;ab/a"] {
        let filter = filter(&[("include-path", include)]);
        for path in &paths {
            let expected =
                include.split(';').any(|item| path == item || path.starts_with(&format!("{item}/")));
            assert_eq!(filter.passes_name(path.as_bytes()), expected, "{include} {path}");
        }
    }
}

#[test]
fn what_can_match_nothing_is_told() {
    let text = |text: &str| Some(text.to_owned());
    for (spec, told) in [
        (
            FilterSpec { include_pattern: text("*.txt;dir/*.jpg"), ..FilterSpec::default() },
            "dir/*.jpg matches nothing",
        ),
        (FilterSpec { exclude_pattern: text("secret/*"), ..FilterSpec::default() }, "--exclude-path"),
        (FilterSpec { include_path: text("dir/*"), ..FilterSpec::default() }, "stands for itself"),
        (FilterSpec { exclude_path: text("a?"), ..FilterSpec::default() }, "stands for itself"),
        (
            FilterSpec { include_pattern: text("a;b"), exclude_pattern: text("b"), ..FilterSpec::default() },
            "b is included and excluded",
        ),
        (
            FilterSpec { include_path: text("a/b"), exclude_path: text("a"), ..FilterSpec::default() },
            "a/b is excluded by",
        ),
        (
            FilterSpec { include_after_ns: Some(2), include_before_ns: Some(1), ..FilterSpec::default() },
            "later than --include-before",
        ),
    ] {
        let doubts = spec.doubts();
        assert!(doubts.len() == 1 && doubts[0].contains(told), "{doubts:?}");
    }
    let spec = FilterSpec {
        include_pattern: text("*.txt;[a-c]?"),
        exclude_pattern: text("x"),
        include_path: text("a;a/b"),
        exclude_path: text("a/c;ab"),
        include_after_ns: Some(1),
        include_before_ns: Some(1),
        ..FilterSpec::default()
    };
    assert_eq!(spec.doubts(), [""; 0]);
}

#[test]
fn paths_below_others_count_where_directories_are_not_entered() {
    let text = |text: &str| Some(text.to_owned());
    let filter =
        Filter::new(&FilterSpec { include_path: text("sub;sub/g.txt"), ..FilterSpec::default() }).unwrap();
    assert_eq!(filter.include_paths(true).unwrap(), [b"sub".to_vec()]);
    assert_eq!(filter.include_paths(false).unwrap(), [b"sub".to_vec(), b"sub/g.txt".to_vec()]);
    assert!(!filter.is_for_files());
    assert!(
        Filter::new(&FilterSpec { exclude_pattern: text("*.txt"), ..FilterSpec::default() })
            .unwrap()
            .is_for_files()
    );
}

#[test]
fn paths_of_blobs_are_taken_to_the_letter() {
    let paths = "a//b;/lead;./c;d/;e//;f";
    let spec = FilterSpec { include_path: Some(paths.to_owned()), ..FilterSpec::default() };
    let local = Filter::new(&spec).unwrap();
    let blobs = local.clone().of_blobs();
    for (name, is_local, is_blob) in [
        ("a/b", true, false),
        ("a//b", false, true),
        ("a//b/c", false, true),
        ("lead", true, false),
        ("/lead", false, true),
        ("/lead/x", false, true),
        ("c", true, true),
        ("d", true, true),
        ("d/x", true, true),
        ("d//x", true, true),
        ("e/x", true, false),
        ("e//x", true, true),
        ("f//x", true, true),
        ("ff", false, false),
    ] {
        assert_eq!(local.passes_name(name.as_bytes()), is_local, "{name}");
        assert_eq!(blobs.passes_name(name.as_bytes()), is_blob, "{name}");
    }
    // A path that is none means nothing, on either side.
    let spec = FilterSpec { exclude_path: Some("/;.;./".to_owned()), ..FilterSpec::default() };
    assert!(Filter::new(&spec).unwrap().of_blobs().is_empty());
    let spec = FilterSpec { exclude_path: Some("a//..".to_owned()), ..FilterSpec::default() };
    assert!(Filter::new(&spec).is_err());
}
