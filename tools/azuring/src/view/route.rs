//! Which way the bytes of a copy go, for programs.

use azuring_transfer::{Decision, Side};
use serde_json::{Map, Value, json};

use crate::redact::redact;

/// The fields of a decision, those without a value left out. They are the same in a line of its own, in the summary,
/// and in `jobs show`.
pub(crate) fn fields(decision: &Decision) -> Map<String, Value> {
    let evidence = decision.evidence.as_deref();
    let side = |by| if by == Side::Source { "source" } else { "destination" };
    let (status, code) = evidence.map_or((None, None), |evidence| evidence.refusal());
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(redact);
    let fields = json!({
        "route": decision.way.name(),
        "route_reason": decision.reason.name(),
        "route_refused_by": evidence.map(|evidence| side(evidence.by)),
        "route_refused_at": text(decision.refused_at()),
        "route_status": status,
        "route_code": text(code),
        "route_answer_status": evidence.map(|evidence| evidence.answer.0),
        "route_answer_code": evidence.map(|evidence| &evidence.answer.1),
        "route_version": text(evidence.map(|evidence| &*evidence.version)),
        "route_object": text(evidence.map(|evidence| &*evidence.object)),
        "route_request_id": evidence.and_then(|evidence| evidence.request_id.clone()),
        "route_cost": text(decision.cost().as_deref()),
    });
    match fields {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}
