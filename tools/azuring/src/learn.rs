//! Which texts of this process's arguments and environment are secrets, before anything is done with them.
//!
//! What is understood later (a SAS, a key, a password) is registered where it is read. This is for what is never
//! understood: a signature in the wrong place, misspelt, quoted or encoded too often, which is then repeated by a
//! message. Everything that is registered is taken out of all that is printed or stored, see
//! [`azuring_azure::secrets`].

use std::borrow::Cow;
use std::ffi::OsString;

use azuring_azure::secrets::register;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::environment;

/// Fields of a SAS, and parameters of requests, whose values tell nothing that is secret.
const PUBLIC: [&str; 34] = [
    "sv",
    "ss",
    "srt",
    "st",
    "se",
    "sp",
    "sip",
    "spr",
    "sr",
    "si",
    "ses",
    "sdd",
    "skoid",
    "sktid",
    "skt",
    "ske",
    "sks",
    "skv",
    "saoid",
    "suoid",
    "scid",
    "skdutid",
    "sduoid",
    "rscc",
    "rscd",
    "rsce",
    "rscl",
    "rsct",
    "snapshot",
    "versionid",
    "comp",
    "restype",
    "prefix",
    "timeout",
];

/// Shorter values of parameters that nobody knows are no signatures.
const LONG: usize = 16;

/// The proxies' variables, which hold passwords.
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Registers what is secret of the arguments and of the environment.
pub(crate) fn from_process(args: &[OsString]) {
    args.iter().skip(1).for_each(|arg| text(&arg.to_string_lossy()));
    let value = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    for (name, value) in environment::secrets().filter_map(|name| Some((name, value(name)?))) {
        match name {
            "AZURE_STORAGE_CONNECTION_STRING" => text(&value),
            "AZCOPY_OAUTH_TOKEN_INFO" => token_info(&value),
            _ => register(&value),
        }
    }
    PROXIES.into_iter().filter_map(value).for_each(|proxy| login(&proxy, true));
}

/// What may be a secret in a word that somebody typed.
fn text(word: &str) {
    let mut form = Cow::Borrowed(word);
    for _ in 0..4 {
        login(&form, false);
        let is_query = form.contains("://") || form.contains(":/") || form.contains("sv=");
        for part in form.split(['?', '&', ';', '#']) {
            let Some((name, value)) = part.split_once(['=', ':']) else { continue };
            let bare = |text: &str| text.trim_matches(|c: char| "'\"` ".contains(c)).to_owned();
            let (name, value) = (bare(name).to_ascii_lowercase(), bare(value));
            let named =
                ["sig", "sktoken", "accountkey", "sharedaccesskey"].iter().any(|it| name.ends_with(it));
            let looks_so =
                is_query && value.len() >= LONG && !PUBLIC.contains(&&*name) && !value.contains('/');
            if named || looks_so || (is_query && is_key(&value)) {
                register(&value);
            }
        }
        match percent_decode_str(&form).decode_utf8() {
            Ok(decoded) if decoded != form => form = decoded.into_owned().into(),
            _ => return,
        }
    }
}

/// Whether it is the base64 of 32 or 64 bytes, as signatures and keys of accounts are.
fn is_key(value: &str) -> bool {
    let value = value.trim_end_matches('=').replace(' ', "+");
    let bytes = BASE64_STANDARD_NO_PAD.decode(&value).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(&value));
    bytes.is_ok_and(|bytes| matches!(bytes.len(), 32 | 64))
}

/// The password in front of a host, whatever characters it has. Of a proxy the scheme may be left out.
fn login(url: &str, is_proxy: bool) {
    let Some((before, _)) = url.rsplit_once('@') else { return };
    let login = match before.split_once("://") {
        Some((_, login)) => login,
        None if is_proxy => before,
        None => return,
    };
    let Some((user, password)) = login.split_once(':') else { return };
    // A host and its port, and an `@` in the path; or a path with both.
    let port = password.split('/').next().unwrap_or_default();
    let is_port = !is_proxy && password.contains('/') && port.bytes().all(|b| b.is_ascii_digit());
    if !is_port && !user.contains('/') {
        register(password);
    }
}

/// Tokens and secrets that a parent process hands down, wherever they stand.
fn token_info(text: &str) {
    fn secrets(value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let name = name.to_ascii_lowercase();
                    match value {
                        Value::String(text)
                            if ["token", "secret", "password"].iter().any(|word| name.contains(word))
                                && !name.contains("type") =>
                        {
                            register(text);
                        }
                        value => secrets(value),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(secrets),
            _ => {}
        }
    }
    match serde_json::from_str(text) {
        Ok(value) => secrets(&value),
        Err(_) => register(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azuring_azure::secrets::are_in;

    #[test]
    fn signatures_are_known_however_they_were_typed() {
        for (n, word) in [
            "https://a.net/c?sv=1&sgi=NNCanaryCanaryCanary1",
            "https://a.net/c?sv=1&sig='NNCanaryCanaryCanary1'",
            "https://a.net/c%3Fsv%3D1%26sig%3DNNCanaryCanaryCanary1",
            "https://a.net/c%253Fsv%253D1%2526sig%253DNNCanaryCanaryCanary1",
            "--list-of-files=https://a.net/c?sv=1&sig=NNCanaryCanaryCanary1",
            "sv=1&se=2&Sig =NNCanaryCanaryCanary1",
            "https://a.net/c?sv=1;sig:NNCanaryCanaryCanary1",
            "AccountName=x;AccountKey=NNCanaryCanaryCanary1;EndpointSuffix=y",
            "http://me:NNCanary#Canary@proxy:3128",
        ]
        .iter()
        .enumerate()
        {
            let secret = format!("{n}x{n}Canary");
            let word = word.replace("NNCanary", &secret);
            text(&word);
            assert!(are_in(&format!("it is {secret}CanaryCanary1 and {secret}#Canary")), "{word}");
        }
        for path in [
            "http://127.0.0.1:10000/longlonglonglonglong/a@b",
            "https://a.net/c/d:longlonglonglonglong@b",
            "a:longlonglonglonglong@b",
        ] {
            text(path);
            assert!(!are_in("longlonglonglonglong"), "{path}");
        }
        for plain in
            ["it is version2024 of /data/x=longlonglonglonglong", "--metadata=hash=longlonglonglonglong"]
        {
            text(plain);
            assert!(!are_in("longlonglonglonglong"), "{plain}");
        }
    }

    #[test]
    fn what_is_handed_down_is_known() {
        token_info(
            r#"{"access_token":"HandedDownToken1","SPNInfo":{"Secret":"HandedDownSecret2"},"token_type":"BearerType"}"#,
        );
        assert!(are_in("HandedDownToken1") && are_in("HandedDownSecret2") && !are_in("BearerType"));
    }
}
