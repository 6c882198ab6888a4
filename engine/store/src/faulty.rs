//! A double: any store, with faults by a plan.
//!
//! A plan is data: which call of which method on which key, and what goes wrong with it. The same plan and the same
//! calls give the same faults. Nothing here sleeps: what is slow waits at a gate until the test opens it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Duration;

use azuring_link::Payload;
use bytes::Bytes;

use crate::checksum::Crc64;
use crate::error::{ErrorKind, StoreError};
use crate::facts::Facts;
use crate::listing::{List, Page};
use crate::store::{
    At, Begin, Body, Change, Grant, Put, Read, Reading, Receipt, Removal, Store, There, Token, Written,
};
use crate::traits::Traits;
use crate::which::Which;

/// A method of a [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "they are the methods of the same names")]
pub enum Call {
    List,
    Stat,
    Read,
    Put,
    Begin,
    Piece,
    Pieces,
    Commit,
    Abort,
    CopyFrom,
    Remove,
    Change,
    Make,
}

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not carried out, and this is the answer. A removal whose rule names a key: of that object alone.
    Refuse(StoreError),
    /// It is carried out, and its answer is lost.
    LoseAnswer,
    /// It waits until this gate is open ([`Faulty::open`]), and is carried out then.
    Hold(u32),
    /// The byte at this place, or the last one, is another: of what is sent or read.
    Damage(u64),
    /// The body of a read ends after so many bytes. `told`: with an error, as a store has to; otherwise it looks whole.
    Cut {
        /// Bytes that come.
        after: u64,
        /// Whether there is an error.
        told: bool,
    },
}

impl Fault {
    /// The store is at its limit, and asks to wait this long.
    pub fn throttle(pause: Option<Duration>) -> Self {
        Self::Refuse(StoreError::new(ErrorKind::Throttled, "less at a time, please").after(pause))
    }

    /// A refusal with an error of this kind; the call is certain not to have been carried out.
    pub fn of(kind: ErrorKind) -> Self {
        Self::Refuse(StoreError::new(kind, format!("a planned fault: {kind:?}")).leaving_open(false))
    }
}

/// Which of the calls that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Every call that the rule is about.
    Always,
    /// The first so many.
    First(u64),
    /// This one alone, from 1.
    Nth(u64),
    /// Each that is a multiple of this.
    Every(u64),
    /// So many of 1,000, by the plan's seed.
    Of1000(u16),
}

/// A fault, and the calls that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The method; any without one.
    pub call: Option<Call>,
    /// What the key contains; any without it. Of a listing: its prefix.
    pub key: Option<String>,
    /// Which of these calls.
    pub when: When,
    /// What happens to them.
    pub fault: Fault,
}

impl Rule {
    /// A fault of some calls of a method.
    pub fn on(call: Call, when: When, fault: Fault) -> Self {
        Self { call: Some(call), key: None, when, fault }
    }

    /// Only where the key contains this.
    pub fn of_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    fn is_about(&self, call: Call, key: &str) -> bool {
        self.call.is_none_or(|of| of == call) && self.key.as_deref().is_none_or(|part| key.contains(part))
    }
}

/// All that goes wrong. Of several rules for one call the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Decides which calls of a rate it is.
    pub seed: u64,
    /// In the order in which they are tried.
    pub rules: Vec<Rule>,
}

/// A store with faults. Clones have the same plan and count together.
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    inner: S,
    plan: Arc<Plan>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By rule: calls that it was about, and those that it has struck.
    met: Vec<(u64, u64)>,
    calls: BTreeMap<Call, u64>,
    open: BTreeSet<u32>,
    /// Who waits: the number of the call, its gate.
    waiting: BTreeMap<u64, (u32, Waker)>,
    /// Numbers given so far.
    held: u64,
}

impl<S: Store> Faulty<S> {
    /// `inner`, with these faults.
    pub fn new(inner: S, plan: Plan) -> Self {
        let state = State { met: vec![(0, 0); plan.rules.len()], ..State::default() };
        Self { inner, plan: Arc::new(plan), state: Arc::new(Mutex::new(state)) }
    }

    /// The store behind it, without faults.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// How often a method was called.
    pub fn calls(&self, call: Call) -> u64 {
        self.state().calls.get(&call).copied().unwrap_or(0)
    }

    /// How often each rule has struck, in the plan's order.
    pub fn struck(&self) -> Vec<u64> {
        self.state().met.iter().map(|(_, struck)| *struck).collect()
    }

    /// How many calls wait at a gate.
    pub fn waiting(&self, gate: u32) -> usize {
        self.state().waiting.values().filter(|(at, _)| *at == gate).count()
    }

    /// Lets all through that wait at this gate, and all that come.
    pub fn open(&self, gate: u32) {
        let mut state = self.state();
        state.open.insert(gate);
        let free: Vec<Waker> =
            state.waiting.values().filter(|(at, _)| *at == gate).map(|(_, waker)| waker.clone()).collect();
        drop(state);
        free.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while the lock is held")
    }

    /// The first rule that strikes this call, among those that `count`.
    fn strike(&self, call: Call, key: &str, count: impl Fn(&Rule) -> bool) -> Option<&Rule> {
        let mut state = self.state();
        let mut found = None;
        for (at, rule) in self.plan.rules.iter().enumerate() {
            if !rule.is_about(call, key) || !count(rule) {
                continue;
            }
            let (met, struck) = &mut state.met[at];
            *met += 1;
            if found.is_none() && rule.when.is(*met, self.plan.seed ^ ((at as u64) << 32)) {
                *struck += 1;
                found = Some(rule);
            }
        }
        found
    }

    /// Counts a call, and gives its fault, unless that is a refusal. Waits where it is to be slow.
    async fn enter(&self, call: Call, key: &str) -> Result<Option<&Fault>, StoreError> {
        *self.state().calls.entry(call).or_default() += 1;
        let fault = self.strike(call, key, |_| true).map(|rule| &rule.fault);
        match fault {
            Some(Fault::Refuse(error)) => Err(error.clone()),
            Some(Fault::Hold(gate)) => {
                self.pass(*gate).await;
                Ok(None)
            }
            fault => Ok(fault),
        }
    }

    async fn pass(&self, gate: u32) {
        let number = {
            let mut state = self.state();
            state.held += 1;
            state.held
        };
        let place = Place { state: &self.state, number };
        poll_fn(|context| {
            let mut state = self.state();
            if state.open.contains(&gate) {
                return Poll::Ready(());
            }
            state.waiting.insert(place.number, (gate, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// The place of a call at its gate, which it leaves also when nobody waits for it any more.
struct Place<'a> {
    state: &'a Mutex<State>,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.waiting.remove(&self.number);
        }
    }
}

impl When {
    /// Whether it is the call with this number, from 1.
    fn is(self, number: u64, seed: u64) -> bool {
        match self {
            Self::Always => true,
            Self::First(count) => number <= count,
            Self::Nth(nth) => number == nth,
            Self::Every(nth) => number.is_multiple_of(nth),
            Self::Of1000(rate) => mixed(seed.wrapping_add(number)) % 1_000 < u64::from(rate),
        }
    }
}

/// A number that looks like chance (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn lost() -> StoreError {
    StoreError::new(ErrorKind::Broken, "the connection broke before the answer came")
}

/// What the caller hears of it.
fn answer<T>(fault: Option<&Fault>, result: Result<T, StoreError>) -> Result<T, StoreError> {
    if fault == Some(&Fault::LoseAnswer) { Err(lost()) } else { result }
}

/// The bytes as they arrive.
fn arriving(fault: Option<&Fault>, payload: Payload) -> Payload {
    let Some(Fault::Damage(at)) = fault else { return payload };
    let mut bytes: Vec<u8> = payload.parts().iter().flat_map(|part| part.iter().copied()).collect();
    let at = (*at).min(bytes.len().saturating_sub(1) as u64) as usize;
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 0xff;
    }
    Payload::from(Bytes::from(bytes))
}

/// The bytes of an object of a [`Faulty`] store.
#[derive(Debug)]
pub struct FaultyBody<B> {
    inner: B,
    /// Where it is.
    at: u64,
    damage: Option<u64>,
    cut: Option<(u64, bool)>,
}

impl<B: Body> Body for FaultyBody<B> {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, StoreError> {
        let left = self.cut.map_or(u64::MAX, |(after, _)| after - self.at);
        if left == 0 {
            return if self.cut.is_some_and(|(_, told)| told) { Err(lost()) } else { Ok(0) };
        }
        let room = left.min(out.len() as u64) as usize;
        let got = self.inner.read(&mut out[..room]).await?;
        if let Some(at) = self.damage
            && (self.at..self.at + got as u64).contains(&at)
        {
            out[(at - self.at) as usize] ^= 0xff;
        }
        self.at += got as u64;
        Ok(got)
    }
}

impl<S: Store> Store for Faulty<S> {
    type Body = FaultyBody<S::Body>;

    fn traits(&self) -> &Traits {
        self.inner.traits()
    }

    async fn list(&self, list: &List<'_>) -> Result<Page, StoreError> {
        let fault = self.enter(Call::List, list.prefix).await?;
        answer(fault, self.inner.list(list).await)
    }

    async fn stat(&self, key: &str, which: Which<'_>) -> Result<Facts, StoreError> {
        let fault = self.enter(Call::Stat, key).await?;
        answer(fault, self.inner.stat(key, which).await)
    }

    async fn read(&self, key: &str, read: &Read<'_>) -> Result<Reading<Self::Body>, StoreError> {
        let fault = self.enter(Call::Read, key).await?;
        let Reading { facts, crc64, body } = answer(fault, self.inner.read(key, read).await)?;
        let mut body = FaultyBody { inner: body, at: 0, damage: None, cut: None };
        match fault {
            Some(Fault::Damage(at)) => body.damage = Some(*at),
            Some(Fault::Cut { after, told }) => body.cut = Some((*after, *told)),
            _ => {}
        }
        Ok(Reading { facts, crc64, body })
    }

    async fn put(&self, key: &str, payload: Payload, put: &Put<'_>) -> Result<Written, StoreError> {
        let fault = self.enter(Call::Put, key).await?;
        answer(fault, self.inner.put(key, arriving(fault, payload), put).await)
    }

    async fn begin(&self, key: &str, begin: &Begin<'_>) -> Result<Token, StoreError> {
        let fault = self.enter(Call::Begin, key).await?;
        answer(fault, self.inner.begin(key, begin).await)
    }

    async fn piece(
        &self,
        key: &str,
        token: &[u8],
        at: At,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Result<Receipt, StoreError> {
        let fault = self.enter(Call::Piece, key).await?;
        answer(fault, self.inner.piece(key, token, at, arriving(fault, payload), crc64).await)
    }

    async fn pieces(&self, key: &str, token: &[u8]) -> Result<Vec<There>, StoreError> {
        let fault = self.enter(Call::Pieces, key).await?;
        answer(fault, self.inner.pieces(key, token).await)
    }

    async fn commit(
        &self,
        key: &str,
        token: &[u8],
        receipts: &[Receipt],
        put: &Put<'_>,
    ) -> Result<Written, StoreError> {
        let fault = self.enter(Call::Commit, key).await?;
        answer(fault, self.inner.commit(key, token, receipts, put).await)
    }

    async fn abort(&self, key: &str, token: &[u8]) -> Result<(), StoreError> {
        let fault = self.enter(Call::Abort, key).await?;
        answer(fault, self.inner.abort(key, token).await)
    }

    async fn copy_from(&self, key: &str, from: &Grant<'_>, put: &Put<'_>) -> Result<Written, StoreError> {
        let fault = self.enter(Call::CopyFrom, key).await?;
        answer(fault, self.inner.copy_from(key, from, put).await)
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        *self.state().calls.entry(Call::Remove).or_default() += 1;
        let (mut whole, mut refusals, mut sent) = (None, Vec::new(), Vec::new());
        for removal in removals {
            // Rules without a key are about the request, and count it once.
            let first = refusals.is_empty();
            let rule = self.strike(Call::Remove, removal.key, |rule| rule.key.is_some() || first);
            let refusal = match rule.map(|rule| (&rule.key, &rule.fault)) {
                Some((None, Fault::Refuse(error))) => return Err(error.clone()),
                Some((Some(_), Fault::Refuse(error))) => Some(error.clone()),
                Some((_, Fault::Hold(gate))) => {
                    self.pass(*gate).await;
                    None
                }
                Some((_, fault)) => {
                    whole = Some(fault);
                    None
                }
                None => None,
            };
            if refusal.is_none() {
                sent.push(*removal);
            }
            refusals.push(refusal);
        }
        let mut answers = answer(whole, self.inner.remove(&sent).await)?.into_iter();
        let mut of_store = || answers.next().expect("there is an answer to each removal");
        Ok(refusals.into_iter().map(|refusal| refusal.map_or_else(&mut of_store, Err)).collect())
    }

    async fn change(&self, key: &str, which: Which<'_>, change: &Change<'_>) -> Result<(), StoreError> {
        let fault = self.enter(Call::Change, key).await?;
        answer(fault, self.inner.change(key, which, change).await)
    }

    async fn make(&self) -> Result<(), StoreError> {
        let fault = self.enter(Call::Make, "").await?;
        answer(fault, self.inner.make().await)
    }
}

#[cfg(test)]
#[path = "faulty/tests.rs"]
mod tests;
