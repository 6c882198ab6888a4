//! Answers that never end.

use std::fmt::Write;
use std::time::Duration;

use azuring_tests::hostile::{Answer, Gate, Hostile, Rule};
use azuring_tests::{Fixture, azuring};

/// A byte now and then, of whatever: the attempts end.
#[test]
fn answers_that_drip_use_up_the_attempts() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("a.txt", b"content");
    fixture.upload(&file, &[]).expect_code(0);
    let drip = |answer: Answer, head| {
        let of_operation = answer.change(|request, answer| {
            answer.status += u16::from(request.method == "PUT" && answer.status == 200);
        });
        of_operation.body("x".repeat(3_000)).drip(Duration::from_millis(300), head)
    };
    let down = fixture.path().join("down");
    let down = down.to_str().unwrap();
    for (answer, head) in
        [(Answer::of_service(200), true), (Answer::of_service(200), false), (Answer::error(500, "X"), false)]
    {
        let rule = Rule::on("", "").answer(drip(answer, head));
        let hostile = Hostile::before(fixture.server().addr(), vec![rule]);
        let (url, blob) = (hostile.via(&fixture.url()), hostile.via(&fixture.url_of("data", "a.txt")));
        let file = file.to_str().unwrap();
        for args in [vec!["copy", file, &url], vec!["copy", &blob, down], vec!["list", &url]] {
            let more = ["--stall-seconds=1", "--max-tries=2"];
            let outcome = fixture.run(args.iter().copied().chain(more));
            assert_eq!(outcome.code, Some(5), "{args:?}\n{}\n{}", outcome.stdout, outcome.stderr);
            // On a busy machine a byte may come too late as well. The page of an error is not needed.
            let told = ["bytes moved in", "no byte moved for", "500 X"];
            assert!(told.iter().any(|part| outcome.stderr.contains(part)), "{}", outcome.stderr);
        }
    }
}

/// A page of so many blobs, each with as much metadata as the service allows, and where the next page begins.
fn page(blobs: usize, first: usize, next: &str) -> String {
    let mut page = String::from("<?xml version=\"1.0\"?><EnumerationResults><Blobs>");
    let value = "v".repeat(8_000);
    for n in first..first + blobs {
        write!(
            page,
            "<Blob><Name>{n:010}</Name><Properties><Content-Length>7</Content-Length><Etag>1</Etag>\
             <Last-Modified>Sun, 22 Nov 2026 04:00:00 GMT</Last-Modified><BlobType>BlockBlob</BlobType></Properties>\
             <Metadata><key>{value}</key></Metadata></Blob>"
        )
        .unwrap();
    }
    page + &format!("</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>")
}

/// Interrupts each command that lists when `begun` has returned: whatever the service sends, or does not, the command
/// ends. (`engine/transfer/tests/interrupted.rs` has the promise that it ends at once, where nothing else would end
/// it.)
fn interrupted(answer: impl Fn(&Gate) -> Answer, begun: impl Fn(&Hostile, &Gate)) {
    for line in ["copy", "remove", "list"] {
        let (fixture, gate) = (Fixture::new(azuring!()), Gate::new());
        let rule = Rule::on("", "").query("comp=list").answer(answer(&gate));
        let hostile = Hostile::before(fixture.server().addr(), vec![rule]);
        let url = hostile.via(&fixture.url());
        let down = fixture.path().join("down");
        let mut args = match line {
            "copy" => vec!["copy", &url, down.to_str().unwrap(), "--recursive"],
            "remove" => vec!["remove", &url, "--recursive"],
            _ => vec!["list", &url],
        };
        // Nothing else ends the wait for what does not come.
        args.push("--stall-seconds=3600");
        let running = fixture.azuring().start(&args);
        begun(&hostile, &gate);
        running.interrupt();
        let outcome = running.wait().unwrap();
        assert_eq!(outcome.code, Some(6), "{line}\n{}\n{}", outcome.stdout, outcome.stderr);
    }
}

#[test]
fn a_listing_that_is_not_answered_can_be_interrupted() {
    interrupted(|_| Answer::silence(), |hostile, _| hostile.wait_until(|requests| !requests.is_empty()));
}

#[test]
fn a_listing_can_be_interrupted_in_the_middle_of_a_large_page() {
    // Of 16 MiB the last byte of the first half has come, and the other half never does.
    let page = page(2_000, 0, "");
    let half = || Answer::of_service(200).body(&*page).ahead(page.len() / 2);
    interrupted(|gate| half().gated(gate, false), |_, gate| gate.wait_for_somebody());
    // Or drips.
    interrupted(
        |_| half().drip(Duration::from_millis(1), false),
        |hostile, _| hostile.wait_until(|requests| !requests.is_empty()),
    );
}

/// It is always in the middle of a page, which is read as fast as it can be: there is no end of them.
#[test]
fn a_listing_can_be_interrupted_while_it_reads_large_pages() {
    let endless = |_: &Gate| {
        Answer::of_service(200).change(|request, answer| {
            let marker = request.query().split('&').find_map(|pair| pair.strip_prefix("marker="));
            let first = marker.map_or(0, |marker| marker.parse().unwrap());
            answer.body = page(1_000, first, &(first + 1_000).to_string()).into_bytes();
        })
    };
    interrupted(endless, |hostile, _| hostile.wait_until(|requests| requests.len() >= 3));
}
