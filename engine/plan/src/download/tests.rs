use super::*;

use std::path::{Component, Path};

const RECURSIVE: NamingOptions = NamingOptions { recursive: true, as_subdir: true };
const FLAT: NamingOptions = NamingOptions { recursive: true, as_subdir: false };
const DIRECTORY: LocalDestination<'_> = LocalDestination::Directory;
const PATH: LocalDestination<'_> = LocalDestination::Path { file_name: b"dst" };

fn name(source: RemoteShape<'_>, options: NamingOptions, blob: &str) -> Result<String, NameError> {
    let naming = DownloadNaming::new(source, PATH, options).unwrap();
    assert_eq!(naming.root(), TargetRoot::Destination);
    // What a destination is changes nothing for more than one blob.
    assert_eq!(Ok(&naming), DownloadNaming::new(source, DIRECTORY, options).as_ref());
    let name = naming.local_name_for(blob)?;
    let slash = if name.is_directory() { "/" } else { "" };
    Ok(String::from_utf8(name.as_bytes().to_vec()).unwrap() + slash)
}

fn ok(text: &str) -> Result<String, NameError> {
    Ok(text.to_owned())
}

#[test]
fn url_paths_come_apart() {
    let object = |name: &str| Ok(RemotePath::Object { name: name.to_owned() });
    let contents = |prefix: &str| Ok(RemotePath::Contents { prefix: prefix.to_owned() });
    for (raw, expected) in [
        ("", Ok(RemotePath::Container)),
        ("a/b.txt", object("a/b.txt")),
        ("dir/", object("dir/")),
        ("a%2Fb%20%25%2A", object("a/b %*")),
        ("%2A", object("*")),
        ("*", contents("")),
        ("dir/*", contents("dir/")),
        ("a%20b/c//*", contents("a b/c//")),
        ("%2A/*", contents("*/")),
        ("dir*", Err(PlanError::WildcardInUrl)),
        ("d*r/x", Err(PlanError::WildcardInUrl)),
        ("*/*", Err(PlanError::WildcardInUrl)),
        ("dir/**", Err(PlanError::WildcardInUrl)),
        ("dir/*/", Err(PlanError::WildcardInUrl)),
        ("a%FF", Err(PlanError::Name(NameError::NotUtf8 { escaped: "a\\xff".into() }))),
    ] {
        assert_eq!(RemotePath::parse(raw), expected, "{raw}");
    }
    assert_eq!(
        PlanError::WildcardInUrl.to_string(),
        "cannot use wildcards in the path section of the URL except in trailing \"/*\". \
         If you wish to use * in your URL, manually encode it to %2A"
    );
}

#[test]
fn directories_and_containers_are_recreated() {
    let container = RemoteShape::Container { name: "cont" };
    assert_eq!(name(container, RECURSIVE, "a/b"), ok("cont/a/b"));
    assert_eq!(name(container, FLAT, "a/b"), ok("a/b"));
    for prefix in ["x/dir", "x/dir/"] {
        let directory = RemoteShape::Directory { prefix };
        assert_eq!(name(directory, RECURSIVE, "x/dir/a/b"), ok("dir/a/b"));
        assert_eq!(name(directory, FLAT, "x/dir/a/b"), ok("a/b"));
        // Its own stub, with and without a slash.
        assert_eq!(name(directory, RECURSIVE, "x/dir"), ok("dir/"));
        assert_eq!(name(directory, RECURSIVE, "x/dir/"), ok("dir/"));
        assert_eq!(name(directory, FLAT, "x/dir"), Err(NameError::Empty));
        assert_eq!(
            name(directory, RECURSIVE, "x/dirt"),
            Err(NameError::NotBelow { name: "x/dirt".into(), prefix: "x/dir/".into() })
        );
    }
    // Two slashes are two: what is below one of them alone is not meant.
    let twice = RemoteShape::Directory { prefix: "x/dir//" };
    assert_eq!(name(twice, RECURSIVE, "x/dir//a"), ok("dir/a"));
    assert_eq!(name(twice, FLAT, "x/dir//a"), ok("a"));
    assert_eq!(
        name(twice, RECURSIVE, "x/dir/a"),
        Err(NameError::NotBelow { name: "x/dir/a".into(), prefix: "x/dir//".into() })
    );
    let flat = NamingOptions { recursive: false, as_subdir: true };
    for source in [container, RemoteShape::Directory { prefix: "d" }] {
        assert_eq!(DownloadNaming::new(source, DIRECTORY, flat), Err(PlanError::DirectoryNotRecursive));
    }
}

#[test]
fn contents_go_straight_below() {
    for options in [RECURSIVE, FLAT, NamingOptions::default()] {
        assert_eq!(name(RemoteShape::Contents { prefix: "" }, options, "a/b"), ok("a/b"));
        assert_eq!(name(RemoteShape::Contents { prefix: "x/" }, options, "x/a"), ok("a"));
        assert_eq!(name(RemoteShape::Contents { prefix: "x/" }, options, "x/sub/"), ok("sub/"));
        assert_eq!(name(RemoteShape::Contents { prefix: "x/" }, options, "x"), Err(NameError::Empty));
        assert_eq!(name(RemoteShape::Contents { prefix: "x/" }, options, "x/"), Err(NameError::Empty));
    }
}

#[test]
fn one_blob_to_a_directory_or_to_an_exact_name() {
    let blob = RemoteShape::Blob { name: "a/ü b%#.txt" };
    for (destination, expected, root) in [
        (DIRECTORY, "ü b%#.txt", TargetRoot::Destination),
        (LocalDestination::Path { file_name: "ö".as_bytes() }, "ö", TargetRoot::Parent),
        (LocalDestination::Path { file_name: b"%2A" }, "%2A", TargetRoot::Parent),
    ] {
        let naming = DownloadNaming::new(blob, destination, NamingOptions::default()).unwrap();
        assert_eq!(naming.local_name_for("whatever").unwrap().as_bytes(), expected.as_bytes());
        assert_eq!(naming.root(), root);
    }
    let evil = RemoteShape::Blob { name: "a/.." };
    assert!(matches!(
        DownloadNaming::new(evil, DIRECTORY, RECURSIVE),
        Err(PlanError::Name(NameError::NotLocal { .. }))
    ));
    // The destination names the file, so the blob's name does not matter.
    assert!(DownloadNaming::new(evil, PATH, RECURSIVE).is_ok());
}

#[test]
fn a_source_name_that_holds_everything_must_be_local() {
    for prefix in ["..", "a/..", ".", "a/./"] {
        let source = RemoteShape::Directory { prefix };
        assert!(matches!(
            DownloadNaming::new(source, DIRECTORY, RECURSIVE),
            Err(PlanError::Name(NameError::NotLocal { .. }))
        ));
        assert!(DownloadNaming::new(source, DIRECTORY, FLAT).is_ok());
    }
    // `//` before the wildcard, a blob of slashes: nothing to hold.
    assert_eq!(name(RemoteShape::Directory { prefix: "/" }, RECURSIVE, "/a"), ok("a"));
}

#[test]
fn what_is_no_local_name_is_refused() {
    for (name, reason) in [
        (&b".."[..], "it has a segment \".\" or \"..\""),
        (b"a/../../etc/passwd", "it has a segment \".\" or \"..\""),
        (b"./a", "it has a segment \".\" or \"..\""),
        (b"a/./", "it has a segment \".\" or \"..\""),
        (b"a\0b", "it contains a zero byte"),
    ] {
        assert_eq!(LocalName::new(name), Err(NameError::NotLocal { name: escape(name), reason }));
    }
    for empty in [&b""[..], b"/", b"///"] {
        assert_eq!(LocalName::new(empty), Err(NameError::Empty));
    }
    let name = |bytes: &[u8]| LocalName::new(bytes);
    assert!(name(&[b'x'; 255]).is_ok() && name(&[b'x'; 256]).is_err());
    // Bytes count, not characters.
    assert!(name("ü".repeat(128).as_bytes()).is_err());
    let longest = "a".repeat(255) + &format!("/{}", "b".repeat(255)).repeat(15);
    assert_eq!(longest.len(), MAX_PATH_BYTES);
    assert!(name(longest.as_bytes()).is_ok() && name(format!("//{longest}/").as_bytes()).is_ok());
    assert!(name(format!("{}/x", &longest[..4_094]).as_bytes()).is_err());
}

#[test]
fn empty_segments_collapse() {
    for (given, expected, directory) in [
        ("/a", "a", false),
        ("a//b", "a/b", false),
        ("//a///b//", "a/b", true),
        ("a/", "a", true),
        ("...", "...", false),
        ("a\\..\\b", "a\\..\\b", false),
        (" ", " ", false),
        ("C:", "C:", false),
    ] {
        let name = LocalName::new(given.as_bytes()).unwrap();
        assert_eq!((name.as_bytes(), name.is_directory()), (expected.as_bytes(), directory), "{given}");
    }
    let name = LocalName::new(b"a/b/c").unwrap();
    assert_eq!((name.parent(), name.file_name()), (&b"a/b"[..], &b"c"[..]));
    let name = LocalName::new(b"c/").unwrap();
    assert_eq!((name.parent(), name.file_name()), (&b""[..], &b"c"[..]));
}

#[test]
fn no_name_leaves_the_root() {
    use std::os::unix::ffi::OsStrExt as _;
    // Every name of up to five of these pieces.
    let pieces = ["", "/", ".", "..", "a", "\0", "\\", "ü"];
    let mut names = vec![String::new()];
    let (mut made, mut refused) = (0, 0);
    for _ in 0..5 {
        names = names.iter().flat_map(|start| pieces.map(|piece| format!("{start}{piece}"))).collect();
        for blob in &names {
            for source in [RemoteShape::Container { name: "cont" }, RemoteShape::Contents { prefix: "" }] {
                let naming = DownloadNaming::new(source, DIRECTORY, RECURSIVE).unwrap();
                let Ok(local) = naming.local_name_for(blob) else {
                    refused += 1;
                    continue;
                };
                made += 1;
                let path = Path::new(std::ffi::OsStr::from_bytes(local.as_bytes()));
                assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{blob:?}");
                assert_eq!(path.components().count(), local.as_bytes().split(|&b| b == b'/').count());
                assert!(Path::new("/r").join(path).starts_with("/r") && !local.as_bytes().contains(&0));
            }
        }
    }
    assert!(made > 10_000 && refused > 10_000);
}
