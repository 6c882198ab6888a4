//! The tree that breaks upload tools.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::{Noise, Tree};

/// Number of files [`awkward_tree`] writes.
pub const AWKWARD_FILES: usize = 2_000;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Names in the root, each a trap of its own: characters that a URL, a query, a header, a shell, XML or JSON gives a
/// meaning; names that decode to one another; names that sort differently as bytes, as text and as paths.
///
/// Left out on purpose: `\` (Azure and Azurite take it for `/`), names that end in a dot (the service strips
/// it from some requests), and control characters (XML 1.0 listings cannot carry them).
const TRAPS: &[&str] = &[
    // URL syntax, raw and looking already encoded.
    "percent %.txt",
    "%25.txt",
    "%2525.txt",
    "100%.txt",
    "%zz.txt",
    "%41.txt",
    "A.txt",
    "%2F.txt",
    "%20.txt",
    "hash#tag.txt",
    "#leading.txt",
    "question?.txt",
    "?query=1&x=2.txt",
    "a+b.txt",
    "a b.txt",
    "a%20b.txt",
    "a%2Bb.txt",
    "amp&ersand.txt",
    "&amp;.txt",
    "equals=.txt",
    "x=1&y=2.txt",
    "semi;colon.txt",
    "comma,.txt",
    "colon:.txt",
    "at@sign.txt",
    "dollar$.txt",
    "bang!.txt",
    "star*.txt",
    "pipe|.txt",
    "caret^.txt",
    "back`tick.txt",
    "less<more>.txt",
    "<tag>.txt",
    "single'quote.txt",
    "double\"quote.txt",
    "'quoted'.txt",
    "\"quoted\".txt",
    "(paren).txt",
    "[bracket].txt",
    "{brace}.txt",
    "$(echo).txt",
    "http:--example.com?sig=abc",
    "sv=2025&sig=x%3D",
    // Spaces and dots where programs trim.
    " leading space.txt",
    "trailing space ",
    "  two leading",
    "two trailing  ",
    "double  space.txt",
    ".hidden",
    "..two dots",
    "...three dots",
    ".dot.name.txt",
    "~tilde.txt",
    "file~",
    "-dash.txt",
    "--recursive",
    "-",
    "_",
    "=",
    "+",
    "#",
    "&",
    "'",
    "\"",
    ";",
    ",",
    "@",
    "!",
    "0",
    "NUL",
    "con.txt",
    // Multi-byte: two, three and four bytes, combining against composed, right to left, width zero.
    "ä.txt",
    "ÄÖÜß.txt",
    "漢字.txt",
    "日本語 ファイル.txt",
    "한국어.txt",
    "файл.txt",
    "ملف.txt",
    "קובץ.txt",
    "😀.txt",
    "👩‍👩‍👧‍👦 family.txt",
    "🇩🇪.txt",
    "caf\u{e9}.txt",
    "cafe\u{301}.txt",
    "a\u{308}.txt",
    "zero\u{200b}width.txt",
    "nbsp\u{a0}.txt",
    "\u{feff}bom.txt",
    "full-width／slash.txt",
    "ﬁ ligature.txt",
    "İstanbul.txt",
    "𝔘𝔫𝔦.txt",
    // Case and same prefixes.
    "Case.txt",
    "case.txt",
    "CASE.TXT",
    "a.txt",
    "a-b",
    "a!",
    "a0",
    "ab",
    "a-b.txt",
];

/// One file per rule a content type can come from: the extension, or, without a known one, the first 512 bytes.
const KINDS: &[(&str, ContentKind)] = &[
    ("page.html", ContentKind::Html),
    ("page.htm", ContentKind::Html),
    ("UPPER.HTML", ContentKind::Html),
    ("feed.xml", ContentKind::Xml),
    ("style.css", ContentKind::Text),
    ("code.js", ContentKind::Text),
    ("module.mjs", ContentKind::Text),
    ("drawing.svg", ContentKind::Xml),
    ("module.wasm", ContentKind::Noise),
    ("photo.png", ContentKind::Png),
    ("photo.jpg", ContentKind::Jpeg),
    ("photo.jpeg", ContentKind::Jpeg),
    ("anim.gif", ContentKind::Gif),
    ("photo.webp", ContentKind::Noise),
    ("paper.pdf", ContentKind::Pdf),
    ("data.json", ContentKind::Text),
    ("table.csv", ContentKind::Text),
    ("notes.txt", ContentKind::Text),
    ("archive.tar.gz", ContentKind::Gzip),
    ("archive.zip", ContentKind::Zip),
    ("data.parquet", ContentKind::Noise),
    ("wrong.png", ContentKind::Html),
    ("empty.html", ContentKind::Empty),
    ("sniffed-html", ContentKind::Html),
    ("sniffed-xml", ContentKind::Xml),
    ("sniffed-png", ContentKind::Png),
    ("sniffed-jpeg", ContentKind::Jpeg),
    ("sniffed-gif", ContentKind::Gif),
    ("sniffed-pdf", ContentKind::Pdf),
    ("sniffed-gzip", ContentKind::Gzip),
    ("sniffed-zip", ContentKind::Zip),
    ("sniffed-text", ContentKind::Text),
    ("sniffed-utf8", ContentKind::Utf8),
    ("sniffed-binary", ContentKind::Noise),
    ("sniffed-empty", ContentKind::Empty),
    ("sniffed.unknown-extension", ContentKind::Gzip),
];

/// Lengths around every boundary a pipeline has: pages, pool slots, body frames, Azure's 4 and 8 MiB, block counts.
/// Few are large, so that the whole tree stays near 130 MiB.
const SIZES: &[usize] = &[
    0,
    1,
    2,
    7,
    511,
    512,
    513,
    4 * KIB - 1,
    4 * KIB,
    4 * KIB + 1,
    16 * KIB,
    64 * KIB - 1,
    64 * KIB,
    64 * KIB + 1,
    256 * KIB - 1,
    256 * KIB,
    256 * KIB + 1,
    MIB - 1,
    MIB,
    MIB + 1,
    2 * MIB + 3,
    4 * MIB - 1,
    4 * MIB,
    4 * MIB + 1,
    8 * MIB - 1,
    8 * MIB,
    8 * MIB + 1,
    9 * MIB + 11,
    16 * MIB,
    40 * MIB,
];

/// Pieces the filler names are put together from.
const WORDS: &[&str] = &[
    "plain",
    "with space",
    "100%",
    "%25",
    "c#",
    "why?",
    "a+b",
    "R&D",
    "k=v",
    "it's",
    "say \"hi\"",
    "x;y",
    "ä",
    "漢字",
    "😀",
    "e\u{301}",
    ".dot",
    "~",
    "[x]",
    "(y)",
    "{z}",
    "@",
    "!",
    "$",
    "^",
    "comma,",
];

/// What a file holds; decides the content type where its name does not.
#[derive(Clone, Copy)]
enum ContentKind {
    Empty,
    Html,
    Xml,
    Png,
    Jpeg,
    Gif,
    Pdf,
    Gzip,
    Zip,
    Text,
    Utf8,
    Noise,
}

impl ContentKind {
    /// The header that makes the kind, followed by bytes that do not change it.
    fn content(self, noise: &mut Noise) -> Vec<u8> {
        let head: &[u8] = match self {
            Self::Empty => return Vec::new(),
            Self::Html => b"<!DOCTYPE html>\n<html><head><title>x</title></head><body></body></html>\n",
            Self::Xml => b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<root/>\n",
            Self::Text => b"Plain words, nothing else.\n",
            Self::Utf8 => "Wörter, 漢字 und 😀, aber ohne Markierung am Anfang.\n".as_bytes(),
            Self::Png => b"\x89PNG\r\n\x1a\n",
            Self::Jpeg => b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
            Self::Gif => b"GIF89a",
            Self::Pdf => b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
            Self::Gzip => b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
            Self::Zip => b"PK\x03\x04\x14\x00\x00\x00",
            Self::Noise => b"\x00\x01\x02\x03",
        };
        let mut content = head.to_vec();
        if matches!(self, Self::Html | Self::Xml | Self::Text | Self::Utf8) {
            // Text stays text, and no two files are alike.
            content.extend_from_slice(format!("{:016x}\n", noise.next_u64()).as_bytes());
        } else {
            let start = content.len();
            content.resize(start + 700, 0);
            noise.fill(&mut content[start..]);
        }
        content
    }
}

/// Writes 2,000 files from 0 B to 40 MiB with awkward names and contents below `root` (made if missing): about
/// 130 MiB, most of it in six files.
///
/// # Errors
/// Any error of the file system. It has to take names of 255 bytes and tell upper from lower case.
pub fn awkward_tree(root: &Path) -> io::Result<Tree> {
    fs::create_dir_all(root)?;
    let mut tree = Tree { root: root.to_owned(), files: BTreeMap::new() };
    let mut noise = Noise::new(2_000);
    for trap in TRAPS {
        put_noise(&mut tree, trap, 100, &mut noise)?;
    }
    for (name, kind) in KINDS {
        let content = kind.content(&mut noise);
        tree.put(&format!("types/{name}"), &content)?;
    }
    for &size in SIZES {
        put_noise(&mut tree, &format!("sizes/{size}.bin"), size, &mut noise)?;
    }
    for name in prefixes_and_depths() {
        put_noise(&mut tree, &name, 33, &mut noise)?;
    }
    let mut index = 0;
    while tree.files.len() < AWKWARD_FILES {
        let size = usize::try_from(noise.below(12 * 1024)).unwrap_or_default();
        put_noise(&mut tree, &filler_name(index), size, &mut noise)?;
        index += 1;
    }
    Ok(tree)
}

fn put_noise(tree: &mut Tree, name: &str, len: usize, noise: &mut Noise) -> io::Result<()> {
    let mut content = vec![0; len];
    noise.fill(&mut content);
    tree.put(name, &content)
}

/// Paths whose order and length matter more than their characters.
fn prefixes_and_depths() -> Vec<String> {
    let mut names: Vec<String> = [
        // `-` and `.` sort before `/`, `0` after it: a walk by directory gives another order than full names do.
        "prefix/a",
        "prefix/a.txt",
        "prefix/a-b",
        "prefix/a0",
        "prefix/b/x",
        "prefix/b.txt",
        "prefix/b-c",
        "prefix/b0",
        "a/x",
        "a/x.txt",
        "a/x-y",
        "a x/y",
        "a%2Fx",
        "dir with space/ inner space /file",
        "dir%20encoded/file",
        "dir#hash/file",
        "dir?query/file?x=1",
        "dir+plus/a+b",
        "dir&amp/k=v",
        "ordner-ä/datei-ö",
        "目录/文件",
        "😀/😀",
        ".hidden-dir/.hidden",
        "..dir/..file",
        " /space-dir",
        "~/home-like",
        "%/percent-dir",
    ]
    .map(str::to_owned)
    .into();
    let ascii = "n".repeat(255);
    // 63 characters of 4 bytes and 3 of 1: 255 bytes, as long as a name may be, in a quarter of the characters.
    let emoji = format!("{}end", "😀".repeat(63));
    // 85 characters of 3 bytes; each becomes 9 bytes in a URL.
    let kanji = "漢".repeat(85);
    names.extend([
        ascii.clone(),
        emoji,
        kanji.clone(),
        format!("long/{ascii}"),
        format!("long/{kanji}/{kanji}"),
    ]);
    names.push((0..40).map(|level| format!("level{level:02}")).collect::<Vec<_>>().join("/"));
    names.push(format!("{}/deep", vec!["d"; 100].join("/")));
    // Three parts of 255 bytes and one of 250: 1,018 characters, close to the 1,024 a blob name may have.
    names.push(
        format!("{ascii}-dir", ascii = "p".repeat(250))
            + "/"
            + &format!("{ascii}/{ascii}/{}", "q".repeat(250)),
    );
    names
}

fn filler_name(index: usize) -> String {
    let words = WORDS.len();
    let (one, two) = (WORDS[index % words], WORDS[(index / words + index * 7) % words]);
    let dir = format!("filler {:02}/{}", index % 23, WORDS[(index / 23) % words]);
    match index % 3 {
        0 => format!("{dir}/{one} {two} {index}"),
        1 => format!("{dir}/{index}{one}.{two}.bin"),
        _ => format!("{dir}/{one}/{index}-{two}.dat"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::FileFacts;

    #[test]
    fn the_tree_has_2000_files_up_to_40_mib_and_is_repeatable() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tree = awkward_tree(one.path()).unwrap();
        assert_eq!(tree.files.len(), AWKWARD_FILES);
        assert!(tree.total_bytes() < 250 * MIB as u64, "{} bytes", tree.total_bytes());
        let lengths = tree.files.values().map(|facts| facts.len_bytes);
        assert_eq!(lengths.clone().max(), Some(40 * MIB as u64));
        assert_eq!(lengths.min(), Some(0));
        assert_eq!(awkward_tree(two.path()).unwrap().files, tree.files);
        for (name, facts) in &tree.files {
            assert_eq!(*facts, FileFacts::of(&fs::read(tree.path_of(name)).unwrap()), "{name}");
        }
    }

    #[test]
    fn every_name_is_a_legal_blob_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in awkward_tree(dir.path()).unwrap().files.keys() {
            assert!(name.chars().count() <= 1_024, "{name}");
            assert!(!name.ends_with(['.', '/']) && !name.contains('\\'), "{name}");
            assert!(name.split('/').all(|part| !part.is_empty() && part.len() <= 255), "{name}");
            assert!(!name.chars().any(char::is_control), "{name}");
        }
    }
}
