//! From a host's name to its addresses.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// A name is looked up again after this long: services move, and a job may run for days.
const RESOLVE_AGAIN: Duration = Duration::from_secs(60);

/// The addresses of one host. Connections that are made at the same time share one look-up, and its failure.
#[derive(Default)]
pub(crate) struct Addresses {
    last: Mutex<Option<LookUp>>,
}

struct LookUp {
    ended: Instant,
    found: Result<Rc<[SocketAddr]>, (io::ErrorKind, String)>,
}

impl Addresses {
    pub(crate) async fn of(&self, host: &str, port: u16) -> io::Result<Rc<[SocketAddr]>> {
        // What is an address needs no resolver and no thread.
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Rc::from([SocketAddr::new(ip, port)]));
        }
        let name = host.to_owned();
        self.look_up(move || (name.as_str(), port).to_socket_addrs().map(Iterator::collect)).await
    }

    async fn look_up(
        &self,
        resolve: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> io::Result<Rc<[SocketAddr]>> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(LookUp { ended, found }) = &*last {
            match found {
                Ok(found) if ended.elapsed() < RESOLVE_AGAIN => return Ok(Rc::clone(found)),
                // It failed while this one waited for it.
                Err((kind, text)) if *ended >= asked => return Err(io::Error::new(*kind, text.clone())),
                _ => {}
            }
        }
        let found = match on_its_own(resolve).await {
            Ok(found) if found.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "no address")),
            found => found,
        };
        let kept = match &found {
            Ok(found) => Ok(Rc::clone(found)),
            Err(error) => Err((error.kind(), error.to_string())),
        };
        *last = Some(LookUp { ended: Instant::now(), found: kept });
        found
    }

    /// The addresses may be stale: nobody answers there.
    pub(crate) async fn forget(&self) {
        *self.last.lock().await = None;
    }
}

/// Waits for a look-up that cannot be ended: on a thread of its own, for which neither the runtime nor the process
/// waits. The resolver may take half a minute, and an interrupted job has five seconds.
async fn on_its_own<T: Send + 'static>(
    look_up: impl FnOnce() -> io::Result<Vec<T>> + Send + 'static,
) -> io::Result<Rc<[T]>> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let look_up = move || drop(tell.send(look_up()));
    std::thread::Builder::new().name("resolve".to_owned()).spawn(look_up)?;
    told.await.map_err(io::Error::other)?.map(Rc::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn nobody_waits_for_a_look_up_that_is_given_up() {
        let (answer, never) = std::sync::mpsc::channel::<()>();
        let (ended, end) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let addresses = Addresses::default();
                let hangs = addresses.look_up(move || {
                    let _ = never.recv();
                    Ok(vec![address(1)])
                });
                let given_up = tokio::time::timeout(Duration::from_millis(1), hangs).await;
                assert!(given_up.is_err());
                let found = addresses.look_up(|| Ok(vec![address(1), address(2)])).await.unwrap();
                assert_eq!(&*found, [address(1), address(2)]);
            });
            drop(runtime);
            ended.send(()).unwrap();
        });
        end.recv_timeout(Duration::from_secs(60)).expect("the runtime waits for the look-up");
        drop(answer);
    }

    #[tokio::test]
    async fn connections_share_one_look_up_and_its_failure() {
        let addresses = Addresses::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let ask = |found: Result<u8, io::ErrorKind>| {
            let asked = Arc::clone(&asked);
            addresses.look_up(move || {
                asked.fetch_add(1, Ordering::Relaxed);
                found.map(|last| vec![address(last)]).map_err(io::Error::from)
            })
        };
        let refused = || ask(Err(io::ErrorKind::PermissionDenied));
        let (first, second) = tokio::join!(refused(), refused());
        for failed in [first, second] {
            assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // A failure is not remembered, a success is.
        let (first, second) = tokio::join!(ask(Ok(1)), ask(Ok(2)));
        assert_eq!((&*first.unwrap(), &*second.unwrap()), (&[address(1)][..], &[address(1)][..]));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        addresses.forget().await;
        assert_eq!(&*ask(Ok(3)).await.unwrap(), [address(3)]);
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        let addresses = Addresses::default();
        for ip in ["127.0.0.1", "::1"] {
            let found = addresses.of(ip, 80).await.unwrap();
            assert_eq!(&*found, [SocketAddr::new(ip.parse().unwrap(), 80)]);
        }
        assert!(addresses.last.lock().await.is_none());
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 443))
    }
}
