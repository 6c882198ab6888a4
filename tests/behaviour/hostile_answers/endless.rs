//! Answers that never end.

use std::time::{Duration, Instant};

use azuring_tests::hostile::{Answer, Hostile, Rule};
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

/// What only reads is not finished first.
#[test]
fn an_interrupted_listing_ends_at_once() {
    for (line, code) in [("copy", 6), ("remove", 6), ("list", 6)] {
        let fixture = Fixture::new(azuring!());
        let hostile =
            Hostile::before(fixture.server().addr(), vec![Rule::on("", "").answer(Answer::silence())]);
        let url = hostile.via(&fixture.url());
        let down = fixture.path().join("down");
        let args = match line {
            "copy" => vec!["copy", &url, down.to_str().unwrap(), "--recursive"],
            "remove" => vec!["remove", &url, "--recursive"],
            _ => vec!["list", &url],
        };
        let running = fixture.azuring().start(&args);
        hostile.wait_until(|requests| !requests.is_empty());
        let asked = Instant::now();
        running.interrupt();
        let outcome = running.wait().unwrap();
        let took = asked.elapsed();
        assert_eq!(outcome.code, Some(code), "{line}\n{}\n{}", outcome.stdout, outcome.stderr);
        // The promise itself, and twenty times what it takes.
        assert!(took < Duration::from_secs(4), "{line}: {took:?}");
    }
}
