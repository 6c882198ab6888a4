//! Networks of a test's own: namespaces of the kernel, and cables between them. What one cannot reach in them, it
//! really cannot.
//!
//! A namespace lasts as long as a process in it (`unshare --net cat`, which ends with the test, also when that is
//! killed), so nothing has a name and nothing is left. It needs root, `unshare` and `ip`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::wait_until;

/// A network of its own: at first with nothing but its loopback.
#[derive(Debug)]
pub struct Namespace {
    holder: Child,
    net: File,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Panics
    /// With one line that says what is missing. A test without its network has to fail, not to pass unseen.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts a process")]
    pub fn new() -> Self {
        Self::make().unwrap_or_else(|error| {
            panic!("no network namespace: {error} (it needs root, util-linux's unshare and iproute2's ip)")
        })
    }

    fn make() -> io::Result<Self> {
        let own = std::fs::read_link("/proc/self/ns/net")?;
        let mut command = Command::new("unshare");
        command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut holder = command.spawn()?;
        let path = format!("/proc/{}/ns/net", holder.id());
        let mut ended = None;
        wait_until("a network namespace", || {
            ended = holder.try_wait().unwrap_or_default();
            ended.is_some() || std::fs::read_link(&path).is_ok_and(|net| net != own)
        });
        if ended.is_some() {
            let output = holder.wait_with_output()?;
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let net = File::open(path)?;
        let namespace = Self { holder, net };
        namespace.within(|| ip("link set lo up"))?;
        Ok(namespace)
    }

    /// Does something in this network: sockets, threads and processes that it makes are there.
    ///
    /// # Panics
    /// As `work` does.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let done = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.net.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("the namespace is there, and root may enter it");
                work()
            });
            inside.join()
        });
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Lays a cable to another network. Each end has its addresses, with the length of their prefix (`10.1.0.4/24`).
    ///
    /// # Panics
    /// When the kernel does not take it.
    #[track_caller]
    pub fn link(&self, own: &[&str], other: &Namespace, others: &[&str]) {
        // Names of this process, which has them to itself within its namespaces.
        static CABLES: AtomicU32 = AtomicU32::new(0);
        let name = format!("cable{}", CABLES.fetch_add(1, Ordering::Relaxed));
        let made = format!("link add {name} type veth peer name {name} netns {}", other.holder.id());
        self.within(|| ip(&made)).unwrap();
        for (end, addresses) in [(self, own), (other, others)] {
            end.within(|| {
                addresses.iter().try_for_each(|address| ip(&format!("address add {address} dev {name}")))?;
                ip(&format!("link set {name} up"))
            })
            .unwrap();
        }
    }

    /// Gives it an address at no cable.
    ///
    /// # Panics
    /// When the kernel does not take it.
    #[track_caller]
    pub fn address(&self, address: &str) {
        self.within(|| ip(&format!("address add {address} dev lo"))).unwrap();
    }

    /// Leads to a network (`10.2.0.0/24`) by way of a neighbour.
    ///
    /// # Panics
    /// When the kernel does not take it.
    #[track_caller]
    pub fn route(&self, network: &str, neighbour: &str) {
        self.within(|| ip(&format!("route add {network} via {neighbour}"))).unwrap();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its standard input is at its end.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// `ip`, in the network of this thread.
fn ip(line: &str) -> io::Result<()> {
    let output = Command::new("ip").args(line.split(' ')).output()?;
    match output.status.success() {
        true => Ok(()),
        false => {
            Err(io::Error::other(format!("ip {line}: {}", String::from_utf8_lossy(&output.stderr).trim())))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_has_no_cable_reaches_nobody() {
        let [here, there, apart] = [(); 3].map(|()| Namespace::new());
        here.link(&["10.9.0.1/24"], &there, &["10.9.0.2/24"]);
        let listener = there.within(|| TcpListener::bind("10.9.0.2:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(60)).map(drop);
        here.within(connect).unwrap();
        assert_eq!(apart.within(connect).unwrap_err().kind(), io::ErrorKind::NetworkUnreachable);
        // Processes are where they are started.
        let shown = here.within(|| Command::new("ip").args(["-o", "address"]).output()).unwrap();
        assert!(String::from_utf8_lossy(&shown.stdout).contains("10.9.0.1/24"));
        // A network ends with whoever holds it.
        let id = apart.holder.id();
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _apart = apart;
            panic!("a test that fails")
        }));
        assert!(broken.is_err() && !std::path::Path::new(&format!("/proc/{id}")).exists());
    }
}
