//! What the machine's resolver says of a name beside its addresses.

use std::ffi::{CStr, CString};
use std::{io, ptr};

/// The name that `host` is another name of (`AI_CANONNAME`): the end of its chain of CNAMEs, or `host` itself. `None`:
/// the resolver does not say. It may take as long as the resolver does.
///
/// # Errors
/// The name cannot be resolved.
pub fn canonical_name(host: &str) -> io::Result<Option<String>> {
    let name = CString::new(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let hints = libc::addrinfo {
        ai_flags: libc::AI_CANONNAME,
        ai_family: libc::AF_UNSPEC,
        ai_socktype: libc::SOCK_STREAM,
        ai_protocol: 0,
        ai_addrlen: 0,
        ai_addr: ptr::null_mut(),
        ai_canonname: ptr::null_mut(),
        ai_next: ptr::null_mut(),
    };
    let mut found = ptr::null_mut();
    // SAFETY: the name ends in a zero byte, `hints` is initialised, and `found` is a place for one pointer.
    let code = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &hints, &mut found) };
    if code != 0 {
        // SAFETY: it gives a text that is never freed, for any number.
        let text = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
        return Err(io::Error::other(text.to_string_lossy().into_owned()));
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: a list that getaddrinfo gave has at least this entry; its name is null or ends in a zero byte, and both
    // live until the list is freed, which happens once and after the copy was made.
    let canonical = unsafe {
        let name = (*found).ai_canonname;
        let copy = (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned());
        libc::freeaddrinfo(found);
        copy
    };
    Ok(canonical.filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_none_is_told() {
        // An address is its own name.
        assert_eq!(canonical_name("127.0.0.1").unwrap().as_deref(), Some("127.0.0.1"));
        assert!(canonical_name("no-such-host.invalid").is_err());
        assert_eq!(canonical_name("a\0b").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
