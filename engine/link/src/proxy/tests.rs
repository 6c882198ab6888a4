use super::*;

fn read(vars: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
    Proxies::from_env(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

fn endpoint(url: &str) -> Endpoint {
    let (scheme, place) = url.split_once("://").unwrap();
    let (host, port) = place.rsplit_once(':').unwrap();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Endpoint { tls: scheme == "https", host, port: port.parse().unwrap() }
}

fn way(vars: &[(&str, &str)], url: &str) -> String {
    read(vars).unwrap().describe(&endpoint(url)).unwrap_or_else(|| "direct".to_owned())
}

const HTTPS: &str = "https://acc.blob.core.windows.net:443";
const HTTP: &str = "http://acc.blob.core.windows.net:80";

#[test]
fn each_scheme_has_its_variable() {
    let both = [("HTTPS_PROXY", "http://one:1"), ("HTTP_PROXY", "two:2")];
    assert_eq!(way(&both, HTTPS), "http://one:1 (from HTTPS_PROXY)");
    assert_eq!(way(&both, HTTP), "http://two:2 (from HTTP_PROXY)");
    assert_eq!(way(&both[..1], HTTP), "direct");
    assert_eq!(way(&both[1..], HTTPS), "direct");
    let lower = [("https_proxy", "three"), ("http_proxy", "https://four")];
    assert_eq!(way(&lower, HTTPS), "http://three:80 (from https_proxy)");
    assert_eq!(way(&lower, HTTP), "https://four:443 (from http_proxy)");
    assert_eq!(way(&[lower[0], both[0]], HTTPS), "http://one:1 (from HTTPS_PROXY)", "capitals first");
    assert_eq!(way(&[lower[0], ("HTTPS_PROXY", " ")], HTTPS), "http://three:80 (from https_proxy)");
    let all = [("ALL_PROXY", "socks5h://five"), ("HTTP_PROXY", "two:2")];
    assert_eq!(way(&all, HTTPS), "socks5://five:1080 (from ALL_PROXY)");
    assert_eq!(way(&all, HTTP), "http://two:2 (from HTTP_PROXY)");
    assert_eq!(way(&[("all_proxy", "six:6")], HTTP), "http://six:6 (from all_proxy)");
    let cgi = [both[0], both[1], ("REQUEST_METHOD", "GET")];
    assert_eq!(way(&cgi, HTTP), "direct", "whoever sends a request could set it");
    assert_eq!(way(&cgi, HTTPS), "http://one:1 (from HTTPS_PROXY)");
}

#[test]
fn no_proxy_is_read_as_go_reads_it() {
    let cases = [
        ("*", HTTPS, true),
        (" , core.windows.net ,", HTTPS, true),
        ("ACC.blob.core.windows.net", HTTPS, true),
        ("acc.blob.core.windows.net:443", HTTPS, true),
        ("acc.blob.core.windows.net:444", HTTPS, false),
        (".blob.core.windows.net", HTTPS, true),
        (".acc.blob.core.windows.net", HTTPS, false),
        ("*.blob.core.windows.net", HTTPS, true),
        ("*.acc.blob.core.windows.net", HTTPS, false),
        ("ob.core.windows.net", HTTPS, false),
        ("windows.net:x,:443,[]", HTTPS, false),
        ("10.1.2.3", "https://10.1.2.3:443", true),
        ("10.1.2.3:443", "https://10.1.2.3:443", true),
        ("10.1.2.3:80", "https://10.1.2.3:443", false),
        ("10.1.2.0/23", "https://10.1.3.9:443", true),
        ("10.1.2.0/23", "https://10.1.4.1:443", false),
        ("0.0.0.0/0", "https://10.1.4.1:443", true),
        ("0.0.0.0/0", "https://[2001:db8::1]:443", false),
        ("10.1.2.0/33", "https://10.1.2.0:443", false),
        ("::ffff:10.1.2.3", "https://10.1.2.3:443", true),
        ("2001:db8::/32", "https://[2001:db8:1::1]:443", true),
        ("2001:db8::/32", "https://[2001:db9::1]:443", false),
        ("[2001:db8::1]:443", "https://[2001:db8::1]:443", true),
        ("[2001:db8::1]", "https://[2001:db8::2]:443", false),
        ("2001:db8::1", "https://[2001:db8::1]:443", true),
        ("", "https://localhost:443", true),
        ("", "https://127.8.9.1:443", true),
        ("", "https://[::1]:443", true),
        ("", "https://localhost.example:443", false),
        ("10.0.0.0/8", HTTPS, false),
    ];
    for (list, url, direct) in cases {
        let way = way(&[("HTTPS_PROXY", "p"), ("no_proxy", list)], url);
        assert_eq!(way == "direct", direct, "NO_PROXY={list} for {url}: {way}");
    }
}

#[test]
fn what_cannot_be_a_proxy_is_said_and_not_shown() {
    for login in ["me:S3#cret", "me:1234/S3cret", "S3cret?", "me:80#"] {
        let told = read(&[("HTTPS_PROXY", &format!("http://{login}@proxy:3128"))]).unwrap_err().to_string();
        assert!(told.contains("%23") && !told.contains("S3"), "{told}");
    }
    for (value, told) in [
        ("ftp://secret@h:1", "scheme"),
        ("http://secret@", "host"),
        ("http://:3128", "host"),
        ("http://secret@h:99999", "port"),
        ("http://secret@h:", "port"),
        ("h:0", "port"),
        ("http://secret@h o:1", "host"),
        ("http://se%ffcret@h:1", "UTF-8"),
        ("socks5://:secret@h", "SOCKS 5"),
    ] {
        let error = read(&[("HTTPS_PROXY", value)]).map(|_| value).unwrap_err().to_string();
        assert!(error.starts_with("HTTPS_PROXY cannot be used: "), "{value}: {error}");
        assert!(
            error.contains(told) && !error.contains("secret") && !error.contains("cret@"),
            "{value}: {error}"
        );
    }
}

#[test]
fn user_and_password_are_decoded_and_never_shown() {
    let proxies = read(&[("HTTPS_PROXY", "http://us%40er:p%3Aa%2Fss@[2001:db8::5]:3128/x")]).unwrap();
    let proxy = proxies.of(&endpoint(HTTPS)).unwrap();
    let login = proxy.login.as_ref().unwrap();
    assert_eq!((login.user.as_str(), login.password.as_str()), ("us@er", "p:a/ss"));
    assert_eq!(login.basic(), "Basic dXNAZXI6cDphL3Nz");
    assert_eq!(proxy.to_string(), "http://[2001:db8::5]:3128");
    let shown = format!("{proxies:?}");
    assert!(!shown.contains("us@er") && !shown.contains("p:a") && !shown.contains("dXNA"), "{shown}");
}
