//! Faults that the server commits when it is told to: what a client has to survive.
//!
//! Every draw depends on the seed, the kind of fault and the number of the request alone, so a run with one
//! connection repeats exactly, and one with many repeats its counts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::error::ApiError;
use crate::firewall::Caller;
use crate::route::Operation;

/// How often a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Rate {
    /// Not at all.
    #[default]
    Never,
    /// The n-th, 2n-th, ... request, counted over the whole server since the faults were set.
    Every(u64),
    /// With this probability, from 0 to 1, drawn from the seed.
    Probability(f64),
}

/// Faults of a server. The default has none.
///
/// Where several strike one request, the first in the order of the fields counts. An answer with an error leaves
/// the store as it was; so does [`Faults::reset`]. [`Faults::cut_headers`] and [`Faults::cut_body`] strike after the
/// operation took effect, which is what makes them hard on clients.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Seed of every draw.
    pub seed: u64,
    /// Added before each answer.
    pub latency: Duration,
    /// Added on top, drawn evenly between zero and this.
    pub jitter: Duration,
    /// Requests a second that are served; those above it get `503 ServerBusy`. `None`: no cap.
    pub requests_per_second: Option<u32>,
    /// `Retry-After`, in seconds, of every 503.
    pub retry_after_s: Option<u32>,
    /// Rules for single blobs, looked at before the rates.
    pub rules: Vec<Rule>,
    /// Rules for single accounts, looked at before those.
    pub account_rules: Vec<AccountRule>,
    /// `500 InternalError`.
    pub internal_error: Rate,
    /// `500` without code and body, as some gateways answer.
    pub bare_500: Rate,
    /// `503 ServerBusy`.
    pub server_busy: Rate,
    /// The connection is reset when the request has been read; over HTTP/2, the stream.
    pub reset: Rate,
    /// The answer ends within its status line, and the connection with it.
    pub cut_headers: Rate,
    /// The answer ends in the middle of its body; answers without body end like [`Faults::cut_headers`].
    pub cut_body: Rate,
    /// The request is accepted and nothing ever answered; its body is not read.
    pub stall: Rate,
}

/// One fault for requests that meet a description.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which names; [`NameMatch::Contains`] with an empty text means every request.
    pub name: NameMatch,
    /// Which operation; `None` means any.
    pub operation: Option<Operation>,
    /// What happens.
    pub fault: Fault,
    /// So many matching requests pass first.
    pub skip: u64,
    /// So many matching requests are struck after that.
    pub count: u64,
}

/// A rule for what one account is asked by somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountRule {
    /// The account that is asked; `None` means any.
    pub account: Option<String>,
    /// Who asks.
    pub sender: Sender,
    /// Which of these requests are struck, and how.
    pub rule: Rule,
}

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// Anybody.
    Anyone,
    /// A client, from this address or from any.
    Client(Option<IpAddr>),
    /// The service of this account or of any, as itself: it reads the source of a copy.
    Service(Option<String>),
    /// The same on behalf of the client of the copy, from this address or from any.
    OnBehalf(Option<String>, Option<IpAddr>),
}

impl Sender {
    fn is(&self, caller: &Caller<'_>) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|w| w == is);
        match (self, caller) {
            (Sender::Anyone, _) => true,
            (Sender::Client(from), Caller::Client { ip, .. }) => from.is_none_or(|from| from == *ip),
            (Sender::Service(by), Caller::Service { account }) => fits(by, account),
            (Sender::OnBehalf(by, from), Caller::OnBehalf { account, client, .. }) => {
                fits(by, account) && from.is_none_or(|from| from == *client)
            }
            _ => false,
        }
    }
}

/// A request as faults see it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'r> {
    pub(crate) account: &'r str,
    pub(crate) caller: Caller<'r>,
    pub(crate) container: &'r str,
    pub(crate) blob: &'r str,
    pub(crate) operation: Operation,
}

/// How a rule picks blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameMatch {
    /// The blob has exactly this name (without container).
    Exact(String),
    /// The name of the blob, or of the container where no blob is named, contains this.
    Contains(String),
}

/// A fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// An error answer. An empty code makes an answer without `x-ms-error-code` and without a body.
    Error {
        /// HTTP status.
        status: u16,
        /// `x-ms-error-code` and the code in the XML body.
        code: String,
        /// `Retry-After` in seconds.
        retry_after_s: Option<u32>,
    },
    /// See [`Faults::reset`].
    Reset,
    /// See [`Faults::cut_headers`].
    CutHeaders,
    /// See [`Faults::cut_body`].
    CutBody,
    /// See [`Faults::stall`].
    Stall,
    /// Served properly, but every checksum of the answer, as header, is another one.
    WrongChecksum,
    /// Served properly, this much later.
    Delay(Duration),
    /// Served properly, once the faults are set anew: a test that changes something in the middle of a job holds the
    /// job there, and need not be faster than it.
    Hold,
}

impl Fault {
    /// An error answer without `Retry-After`.
    pub fn error(status: u16, code: &str) -> Fault {
        Fault::Error { status, code: code.to_owned(), retry_after_s: None }
    }

    fn name(&self) -> String {
        match self {
            Fault::Error { status, code, .. } => format!("{status} {code}").trim_end().to_owned(),
            Fault::Reset => "reset".to_owned(),
            Fault::CutHeaders => "cut headers".to_owned(),
            Fault::CutBody => "cut body".to_owned(),
            Fault::Stall => "stall".to_owned(),
            Fault::WrongChecksum => "wrong checksum".to_owned(),
            Fault::Delay(_) => "delay".to_owned(),
            Fault::Hold => "hold".to_owned(),
        }
    }
}

impl Rule {
    fn matches(&self, container: &str, blob: &str, operation: Operation) -> bool {
        let name = match &self.name {
            NameMatch::Exact(name) => name == blob,
            NameMatch::Contains(part) => {
                if blob.is_empty() { container } else { blob }.contains(part.as_str())
            }
        };
        name && self.operation.is_none_or(|o| o == operation)
    }

    /// Counts a request that matches, and says whether it is struck.
    fn strikes(&self, hits: &AtomicU64) -> bool {
        let hit = hits.fetch_add(1, Ordering::Relaxed);
        hit >= self.skip && hit - self.skip < self.count
    }
}

/// What is to happen to one request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
    /// The request waits until this changes.
    pub(crate) held: Option<watch::Receiver<()>>,
}

/// The faults in force and their counters.
struct Plan {
    faults: Faults,
    requests: AtomicU64,
    rule_hits: Vec<AtomicU64>,
    account_hits: Vec<AtomicU64>,
    bucket: Mutex<(f64, Instant)>,
}

/// The switch that requests ask.
pub(crate) struct Switch {
    /// False while there is nothing to do, so that the usual request pays one load.
    active: AtomicBool,
    plan: RwLock<Arc<Plan>>,
    /// Told when there are other faults.
    anew: watch::Sender<()>,
    injected: Mutex<BTreeMap<String, u64>>,
}

impl Switch {
    pub(crate) fn new(faults: Faults) -> Switch {
        let switch = Switch {
            active: AtomicBool::new(false),
            plan: RwLock::new(Arc::new(Plan::new(Faults::default()))),
            anew: watch::Sender::new(()),
            injected: Mutex::default(),
        };
        switch.set(faults);
        switch
    }

    /// Replaces the faults; counters of rules and rates begin anew, and what was held goes on.
    pub(crate) fn set(&self, faults: Faults) {
        let active = faults.any();
        {
            // Under the lock: a request that is judged by the old faults is held before this lets it go.
            let mut plan = self.plan.write().unwrap_or_else(PoisonError::into_inner);
            *plan = Arc::new(Plan::new(faults));
            self.anew.send_replace(());
        }
        self.active.store(active, Ordering::Release);
    }

    /// Decides about one request.
    pub(crate) fn judge(&self, asked: &Asked<'_>) -> Verdict {
        if !self.active.load(Ordering::Acquire) {
            return Verdict::default();
        }
        let (plan, anew) = {
            let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(&plan), self.anew.subscribe())
        };
        let mut verdict = plan.judge(asked);
        if let Some(fault) = &verdict.fault {
            let mut injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
            *injected.entry(fault.name()).or_default() += 1;
        }
        if verdict.fault == Some(Fault::Hold) {
            verdict = Verdict { fault: None, held: Some(anew), ..verdict };
        }
        verdict
    }

    /// Decides about one part of a batch: only rules that answer an error apply, the connection is the batch's.
    pub(crate) fn judge_part(&self, container: &str, blob: &str, operation: Operation) -> Option<ApiError> {
        if !self.active.load(Ordering::Acquire) {
            return None;
        }
        let plan = Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner));
        let fault = plan.pick_rule(container, blob, operation, |f| matches!(f, Fault::Error { .. }))?;
        let mut injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
        *injected.entry(fault.name()).or_default() += 1;
        match fault {
            Fault::Error { status, code, retry_after_s } => {
                Some(ApiError { retry_after_s, ..ApiError::custom(status, &code) })
            }
            _ => None,
        }
    }

    /// Faults committed so far, by name.
    pub(crate) fn injected(&self) -> BTreeMap<String, u64> {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Faults {
    fn rates(&self) -> [(Rate, Fault); 7] {
        let busy =
            Fault::Error { status: 503, code: "ServerBusy".to_owned(), retry_after_s: self.retry_after_s };
        [
            (self.internal_error, Fault::error(500, "InternalError")),
            (self.bare_500, Fault::error(500, "")),
            (self.server_busy, busy),
            (self.reset, Fault::Reset),
            (self.cut_headers, Fault::CutHeaders),
            (self.cut_body, Fault::CutBody),
            (self.stall, Fault::Stall),
        ]
    }

    fn any(&self) -> bool {
        !self.latency.is_zero()
            || !self.jitter.is_zero()
            || self.requests_per_second.is_some()
            || !self.rules.is_empty()
            || !self.account_rules.is_empty()
            || self.rates().iter().any(|(rate, _)| *rate != Rate::Never)
    }
}

impl Plan {
    fn new(faults: Faults) -> Plan {
        let rule_hits = faults.rules.iter().map(|_| AtomicU64::new(0)).collect();
        let account_hits = faults.account_rules.iter().map(|_| AtomicU64::new(0)).collect();
        let burst = f64::from(faults.requests_per_second.unwrap_or(0)) / 10.0;
        let bucket = Mutex::new((burst.max(1.0), Instant::now()));
        Plan { faults, requests: AtomicU64::new(0), rule_hits, account_hits, bucket }
    }

    fn judge(&self, asked: &Asked<'_>) -> Verdict {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let mut delay = self.faults.latency;
        if !self.faults.jitter.is_zero() {
            delay += self.faults.jitter.mul_f64(draw(self.faults.seed, 0, number));
        }
        match self.pick(number, asked) {
            Some(Fault::Delay(more)) => Verdict { delay: delay + more, ..Verdict::default() },
            fault => Verdict { delay, fault, held: None },
        }
    }

    fn pick(&self, number: u64, asked: &Asked<'_>) -> Option<Fault> {
        if self.faults.requests_per_second.is_some_and(|cap| !self.admit(f64::from(cap))) {
            let retry_after_s = self.faults.retry_after_s;
            return Some(Fault::Error { status: 503, code: "ServerBusy".to_owned(), retry_after_s });
        }
        let Asked { account, caller, container, blob, operation } = *asked;
        for (of, hits) in self.faults.account_rules.iter().zip(&self.account_hits) {
            let about = of.account.as_ref().is_none_or(|wanted| wanted == account) && of.sender.is(&caller);
            if about && of.rule.matches(container, blob, operation) && of.rule.strikes(hits) {
                return Some(of.rule.fault.clone());
            }
        }
        if let Some(fault) = self.pick_rule(container, blob, operation, |_| true) {
            return Some(fault);
        }
        let mut kind = 0;
        self.faults.rates().into_iter().find_map(|(rate, fault)| {
            kind += 1;
            let strikes = match rate {
                Rate::Never => false,
                Rate::Every(n) => n > 0 && number.is_multiple_of(n),
                Rate::Probability(p) => draw(self.faults.seed, kind, number) < p,
            };
            strikes.then_some(fault)
        })
    }

    /// The first rule that strikes, of those whose fault is wanted.
    fn pick_rule(
        &self,
        container: &str,
        blob: &str,
        operation: Operation,
        wanted: fn(&Fault) -> bool,
    ) -> Option<Fault> {
        for (rule, hits) in self.faults.rules.iter().zip(&self.rule_hits) {
            if wanted(&rule.fault) && rule.matches(container, blob, operation) && rule.strikes(hits) {
                return Some(rule.fault.clone());
            }
        }
        None
    }

    /// A token bucket that holds a tenth of a second.
    fn admit(&self, cap: f64) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let earned = now.duration_since(bucket.1).as_secs_f64() * cap;
        *bucket = ((bucket.0 + earned).min((cap / 10.0).max(1.0)), now);
        if bucket.0 < 1.0 {
            return false;
        }
        bucket.0 -= 1.0;
        true
    }
}

/// A number in [0, 1) that depends on its arguments alone (SplitMix64).
fn draw(seed: u64, kind: u64, number: u64) -> f64 {
    let mut z = seed ^ kind.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number.wrapping_mul(0xD1B5_4A32_D192_ED03);
    for _ in 0..2 {
        z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
    }
    (z >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(blob: &'static str, operation: Operation) -> Asked<'static> {
        let local = IpAddr::from([127, 0, 0, 1]);
        let caller = Caller::Client { ip: local, at: local };
        Asked { account: "a", caller, container: "con", blob, operation }
    }

    fn faults(switch: &Switch, n: usize) -> Vec<Option<Fault>> {
        (0..n).map(|_| switch.judge(&asked("dir/name", Operation::PutBlock)).fault).collect()
    }

    #[test]
    fn rules_of_accounts_strike_who_asks() {
        let all = Rule {
            name: NameMatch::Contains(String::new()),
            operation: None,
            fault: Fault::Reset,
            skip: 0,
            count: 1,
        };
        let ip = |last| IpAddr::from([127, 0, 0, last]);
        let callers = [
            Caller::Client { ip: ip(1), at: ip(1) },
            Caller::Service { account: "dst" },
            Caller::OnBehalf { account: "dst", client: ip(2), network: None },
        ];
        for (account, sender, expected) in [
            (None, Sender::Anyone, [true, true, true]),
            (Some("b"), Sender::Anyone, [false; 3]),
            (Some("a"), Sender::Client(None), [true, false, false]),
            (Some("a"), Sender::Client(Some(ip(2))), [false; 3]),
            (Some("a"), Sender::Service(Some("dst".into())), [false, true, false]),
            (Some("a"), Sender::Service(Some("a".into())), [false; 3]),
            (None, Sender::OnBehalf(None, Some(ip(2))), [false, false, true]),
            (None, Sender::OnBehalf(None, Some(ip(1))), [false; 3]),
        ] {
            let rule = AccountRule { account: account.map(str::to_owned), sender, rule: all.clone() };
            let struck = callers.map(|caller| {
                let switch = Switch::new(Faults { account_rules: vec![rule.clone()], ..Faults::default() });
                let one = Asked { caller, ..asked("x", Operation::GetBlob) };
                // Once only.
                let verdicts = [switch.judge(&one).fault, switch.judge(&one).fault];
                assert_eq!(verdicts[1], None);
                verdicts[0].is_some()
            });
            assert_eq!(struck, expected, "{rule:?}");
        }
    }

    #[test]
    fn rates_strike_as_often_as_they_say_and_repeat() {
        let plan = Faults { seed: 7, reset: Rate::Probability(0.25), ..Faults::default() };
        let switch = Switch::new(plan.clone());
        let first = faults(&switch, 10_000);
        let struck = first.iter().flatten().count();
        assert!((2300..2700).contains(&struck), "{struck}");
        assert_eq!(faults(&Switch::new(plan.clone()), 10_000), first);
        assert_ne!(faults(&Switch::new(Faults { seed: 8, ..plan }), 10_000), first);
        assert_eq!(switch.injected()["reset"], struck as u64);
        switch.set(Faults { stall: Rate::Every(3), ..Faults::default() });
        let stalls: Vec<bool> = faults(&switch, 7).iter().map(Option::is_some).collect();
        assert_eq!(stalls, [false, false, true, false, false, true, false]);
    }

    #[test]
    fn a_rule_strikes_the_requests_it_describes() {
        let rule = Rule {
            name: NameMatch::Contains("nam".into()),
            operation: Some(Operation::PutBlock),
            fault: Fault::error(404, "BlobNotFound"),
            skip: 1,
            count: 2,
        };
        let switch = Switch::new(Faults { rules: vec![rule], ..Faults::default() });
        assert_eq!(switch.judge(&asked("dir/name", Operation::PutBlob)).fault, None);
        assert_eq!(switch.judge(&asked("other", Operation::PutBlock)).fault, None);
        let struck: Vec<bool> = faults(&switch, 4).iter().map(Option::is_some).collect();
        assert_eq!(struck, [false, true, true, false]);
    }

    #[test]
    fn what_is_held_goes_on_when_the_faults_are_others() {
        let rule = Rule {
            name: NameMatch::Contains(String::new()),
            operation: None,
            fault: Fault::Hold,
            skip: 1,
            count: 1,
        };
        let switch = Switch::new(Faults { rules: vec![rule], ..Faults::default() });
        let mut judged = (0..3).map(|_| switch.judge(&asked("name", Operation::PutBlob)));
        let held: Vec<_> = judged.by_ref().map(|verdict| (verdict.held, verdict.fault)).collect();
        assert!(held.iter().all(|(_, fault)| fault.is_none()));
        assert!(held[0].0.is_none() && held[2].0.is_none());
        let waits = held[1].0.clone().unwrap();
        assert!(!waits.has_changed().unwrap());
        assert_eq!(switch.injected()["hold"], 1);
        switch.set(Faults::default());
        assert!(waits.has_changed().unwrap());
    }

    #[test]
    fn the_cap_holds() {
        let plan = Faults { requests_per_second: Some(1), retry_after_s: Some(3), ..Faults::default() };
        let struck = faults(&Switch::new(plan), 100).into_iter().flatten().collect::<Vec<_>>();
        assert!(struck.len() >= 90, "{}", struck.len());
        assert_eq!(
            struck[0],
            Fault::Error { status: 503, code: "ServerBusy".into(), retry_after_s: Some(3) }
        );
    }
}
