//! The tables of outcomes, cell by cell.

use super::*;

const A: &str = "aaaaaaaa-0000-0000-0000-000000000000";
const B: &str = "bbbbbbbb-0000-0000-0000-000000000000";
const C: &str = "cccccccc-0000-0000-0000-000000000000";
const NOW: u64 = 1_000_000 * SECOND;

/// A lease of A that is in this state now.
fn lease(state: &str) -> Option<Lease> {
    let lease = Lease::new(A.into(), Some(30), NOW - 10 * SECOND);
    let lease = match state {
        "available" => return None,
        "leased" => lease,
        "breaking" => Lease { breaks: Some(NOW + 5 * SECOND), ..lease },
        "broken" => Lease { breaks: Some(NOW), ..lease },
        _ => Lease::new(A.into(), Some(30), NOW - 30 * SECOND),
    };
    assert_eq!(lease.state(NOW).name(), state);
    Some(lease)
}

fn action(text: &str) -> Action {
    let id = |text: &str| -> Box<str> {
        match text {
            "A" => A.into(),
            "B" => B.into(),
            _ => C.into(),
        }
    };
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["acquire"] => Action::Acquire { seconds: None, proposed: None },
        ["acquire", one] => Action::Acquire { seconds: Some(15), proposed: Some(id(one)) },
        ["renew", one] => Action::Renew { id: id(one) },
        ["change", one, two] => Action::Change { id: id(one), proposed: id(two) },
        ["release", one] => Action::Release { id: id(one) },
        ["break"] => Action::Break { period: None },
        ["break", period] => Action::Break { period: Some(period.parse().unwrap()) },
        _ => panic!("{text}"),
    }
}

/// State and id after an action, or the code of its error.
fn outcome(text: &str, state: &str) -> String {
    match action(text).apply(lease(state), NOW, || "new".into()) {
        Err(error) => error.code.to_string(),
        Ok(outcome) => {
            let id = outcome.lease.as_ref().map_or("", |l| match &*l.id {
                "new" => " X",
                A => " A",
                B => " B",
                _ => " C",
            });
            let time = outcome.time.map_or(String::new(), |time| format!(" in {time}"));
            format!("{}{id}{time}", State::of(outcome.lease.as_ref(), NOW).name())
        }
    }
}

#[test]
fn outcomes_are_those_of_the_table() {
    let present = "LeaseAlreadyPresent";
    let mismatch = "LeaseIdMismatchWithLeaseOperation";
    let absent = "LeaseNotPresentWithLeaseOperation";
    let breaking = "LeaseIsBreakingAndCannotBeAcquired";
    let unchanged = "LeaseIsBreakingAndCannotBeChanged";
    let broken = "LeaseIsBrokenAndCannotBeRenewed";
    let states = ["available", "leased", "breaking", "broken", "expired"];
    for (text, expected) in [
        ("acquire", ["leased X", present, present, "leased X", "leased X"]),
        ("acquire A", ["leased A", "leased A", breaking, "leased A", "leased A"]),
        ("acquire B", ["leased B", present, present, "leased B", "leased B"]),
        ("break", [absent, "breaking A in 20", "breaking A in 5", "broken A in 0", "broken A in 0"]),
        ("break 0", [absent, "broken A in 0", "broken A in 0", "broken A in 0", "broken A in 0"]),
        ("break 3", [absent, "breaking A in 3", "breaking A in 3", "broken A in 0", "broken A in 0"]),
        ("break 50", [absent, "breaking A in 20", "breaking A in 5", "broken A in 0", "broken A in 0"]),
        ("change A B", [absent, "leased B", unchanged, absent, absent]),
        ("change B A", [absent, "leased A", mismatch, absent, absent]),
        ("change B C", [absent, mismatch, mismatch, absent, absent]),
        ("renew A", [mismatch, "leased A", broken, broken, "leased A"]),
        ("renew B", [mismatch, mismatch, mismatch, mismatch, mismatch]),
        ("release A", [mismatch, "available", "available", "available", "available"]),
        ("release B", [mismatch, mismatch, mismatch, mismatch, mismatch]),
    ] {
        for (state, expected) in states.iter().zip(expected) {
            assert_eq!(outcome(text, state), expected, "{text} when {state}");
        }
    }
}

fn parts(headers: &[(&str, &str)]) -> Parts {
    let mut builder = http::Request::builder();
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

#[test]
fn uses_are_those_of_the_table() {
    let states = ["available", "leased", "breaking", "broken", "expired"];
    let not_present = "LeaseNotPresentWithBlobOperation";
    let (missing, mismatch) = ("LeaseIdMissing", "LeaseIdMismatchWithBlobOperation");
    for (id, write, expected) in [
        ("", true, ["", missing, missing, "", ""]),
        ("", false, ["", "", "", "", ""]),
        (A, true, [not_present, "", "", "LeaseLost", "LeaseLost"]),
        (A, false, [not_present, "", "", "LeaseLost", "LeaseLost"]),
        (B, true, [not_present, mismatch, mismatch, not_present, not_present]),
        (B, false, [not_present, mismatch, mismatch, not_present, not_present]),
    ] {
        let parts = parts(&[(ID, id)]);
        for (state, expected) in states.iter().zip(expected) {
            let check = if write { check_write } else { check_read };
            let code = check(&parts, lease(state).as_ref(), On::Blob, NOW).map_err(|e| (e.status, e.code));
            let expected = if expected.is_empty() { Ok(()) } else { Err((412, expected.into())) };
            assert_eq!(code, expected, "{id}, write: {write}, when {state}");
        }
    }
}

#[test]
fn headers_are_checked() {
    let code = |headers: &[(&str, &str)]| Action::read(&parts(headers)).map_err(|e| e.code.to_string());
    let action = "x-ms-lease-action";
    assert!(code(&[(action, "Acquire"), (DURATION, "-1"), (PROPOSED, &format!("{{{A}}}"))]).is_ok());
    for (headers, expected) in [
        (&[][..], "MissingRequiredHeader"),
        (&[(action, "steal")], "InvalidHeaderValue"),
        (&[(action, "acquire")], "MissingRequiredHeader"),
        (&[(action, "acquire"), (DURATION, "14")], "InvalidHeaderValue"),
        (&[(action, "acquire"), (DURATION, "15"), (PROPOSED, "me")], "InvalidHeaderValue"),
        (&[(action, "renew")], "MissingRequiredHeader"),
        (&[(action, "change"), (ID, A)], "MissingRequiredHeader"),
        (&[(action, "break"), (PERIOD, "61")], "InvalidHeaderValue"),
    ] {
        assert_eq!(code(headers).unwrap_err(), expected, "{headers:?}");
    }
    for same in [A, &A.to_uppercase(), &A.replace('-', ""), &format!("({A})")] {
        assert_eq!(guid(&parts(&[(ID, same)]), ID).unwrap().as_deref(), Some(A), "{same}");
    }
}
