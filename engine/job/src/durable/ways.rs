//! Which way bytes go, as the journal keeps it: among what is no transfer, with a code of its own.

use azuring_journal::Recovered;

use crate::failure::Side;
use crate::way::{Decision, Evidence, Way, WayReason};

use super::codec::{self, Reader, number, string};

/// The last decision that a journal tells of. Whoever cannot read it finds out again.
pub(super) fn last(recovered: &Recovered) -> Option<Decision> {
    let mut last = None;
    let told = recovered.problems(|kind, text| {
        if kind == codec::WAY {
            last = of_bytes(text);
        }
    });
    told.ok().and(last)
}

/// As the journal keeps it.
pub(super) fn to_bytes(decision: &Decision) -> Vec<u8> {
    let mut out = vec![decision.way as u8, decision.reason as u8];
    decision.ends.iter().for_each(|end| string(end.as_bytes(), &mut out));
    if let Some(evidence) = &decision.evidence {
        out.push(1 + u8::from(evidence.by == Side::Destination));
        let statuses = [Some(evidence.answer.0), evidence.source.0];
        statuses.iter().for_each(|status| number(status.unwrap_or_default().into(), &mut out));
        let (code, id) = (evidence.source.1.as_deref(), evidence.request_id.as_deref());
        let texts = [Some(&*evidence.answer.1), code, Some(&evidence.version), Some(&evidence.object), id];
        texts.iter().for_each(|text| string(text.unwrap_or_default().as_bytes(), &mut out));
    }
    out
}

/// What [`to_bytes`] has written; `None` for anything else.
fn of_bytes(bytes: &[u8]) -> Option<Decision> {
    let mut from = Reader(bytes);
    let way = Way::ALL.into_iter().nth(from.byte()?.into())?;
    let reason = WayReason::ALL.into_iter().nth(from.byte()?.into())?;
    let ends = [from.text()?.to_owned(), from.text()?.to_owned()];
    let mut decision = Decision::new(way, reason, ends);
    let Some(by) = from.byte() else { return Some(decision) };
    let by = if by == 1 { Side::Source } else { Side::Destination };
    let mut status = || u16::try_from(from.number()?).ok();
    let (answered, source) = (status()?, status()?);
    let mut text = || from.text().map(str::to_owned);
    let some = |text: String| (!text.is_empty()).then_some(text);
    decision.evidence = Some(Box::new(Evidence {
        by,
        answer: (answered, text()?),
        source: (Some(source).filter(|status| *status > 0), some(text()?)),
        version: text()?,
        object: text()?,
        request_id: some(text()?),
    }));
    Some(decision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_comes_back_from_the_journal_and_nothing_else_does() {
        let ends = || ["http://h/a/c".to_owned(), "http://h/b/c".to_owned()];
        let mut evidence = Evidence::new(Side::Source, 403, "CannotVerifyCopySource");
        evidence.source = (Some(403), Some("AuthorizationFailure".to_owned()));
        (evidence.version, evidence.object) = ("2025-11-05".to_owned(), "a b".to_owned());
        let old = Evidence { source: (None, None), request_id: Some("id".to_owned()), ..evidence.clone() };
        let with = |evidence| Decision {
            evidence: Some(Box::new(evidence)),
            ..Decision::new(Way::Relay, WayReason::Closed, ends())
        };
        for decision in [with(evidence), with(old), Decision::new(Way::Direct, WayReason::Proven, ends())] {
            let bytes = to_bytes(&decision);
            assert_eq!(of_bytes(&bytes), Some(decision.clone()));
            for end in 0..bytes.len() {
                assert_ne!(of_bytes(&bytes[..end]), Some(decision.clone()));
            }
        }
        for reason in WayReason::ALL {
            let decision = Decision::new(Way::Relay, reason, ends());
            assert_eq!(of_bytes(&to_bytes(&decision)), Some(decision), "{}", reason.name());
        }
        assert_eq!(of_bytes(&[9, 0]), None);
    }
}
