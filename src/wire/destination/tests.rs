use std::net::IpAddr;

use proptest::prelude::{any, prop_assert, proptest};

use crate::wire::destination::{Destinations, Host, Network, Refusal, Target, read};

/// Spellings of addresses outside, and of URLs that lead elsewhere than they seem to, with what
/// each of them tries.
const BYPASSES: [(&str, &str); 74] = [
    ("http://169.254.169.254/latest/meta-data/", "the metadata service of a cloud"),
    ("http://169.254.169.254:80/", "the same with its port"),
    ("http://[fd00:ec2::254]/latest/meta-data/", "the same over IPv6"),
    ("http://metadata.google.internal/", "the same by name"),
    ("http://2852039166/", "decimal"),
    ("http://0xa9fea9fe/", "hexadecimal"),
    ("http://0XA9FEA9FE/", "hexadecimal in capitals"),
    ("http://025177524776/", "octal"),
    ("http://0251.0376.0251.0376/", "octal by bytes"),
    ("http://0xa9.0xfe.0xa9.0xfe/", "hexadecimal by bytes"),
    ("http://0xa9.254.0251.254/", "a mixture"),
    ("http://169.254.43518/", "three parts"),
    ("http://169.16689662/", "two parts"),
    ("http://169.254.169.254./", "a dot behind"),
    ("http://169.254.169.254../", "two dots behind"),
    ("http://.169.254.169.254/", "a dot before"),
    ("http://169..254.169.254/", "two dots within"),
    ("http://000169.254.169.254/", "zeros before"),
    ("http://425.510.425.510/", "bytes that run over"),
    ("http://169.254.169.254%00.localhost/", "an end of text"),
    ("http://%31%36%39.254.169.254/", "per cent"),
    ("http://127.0.0.1%2f@169.254.169.254/", "a path that is a user"),
    ("http://[::ffff:169.254.169.254]/", "IPv4 mapped into IPv6"),
    ("http://[::ffff:a9fe:a9fe]/", "the same in hexadecimal"),
    ("http://[0:0:0:0:0:ffff:a9fe:a9fe]/", "the same at length"),
    ("http://[::169.254.169.254]/", "IPv4 compatible"),
    ("http://[64:ff9b::169.254.169.254]/", "NAT64"),
    ("http://[64:ff9b::7f00:1]/", "NAT64 of loopback"),
    ("http://[64:ff9b:1::a9fe:a9fe]/", "local NAT64"),
    ("http://[2002:a9fe:a9fe::]/", "6to4"),
    ("http://[2002:7f00:1::]/", "6to4 of loopback"),
    ("http://[2001:0:a9fe:a9fe::1]/", "Teredo"),
    ("http://[fe80::1]/", "a link"),
    ("http://[fe80::1%25lo]/", "a link with its zone"),
    ("http://[fe80::1%lo]/", "the same, not escaped"),
    ("http://[::1%25lo]/", "loopback with a zone"),
    ("http://[fc00::1]/", "unique local"),
    ("http://[fd12:3456:789a::1]/", "unique local"),
    ("http://[ff02::1]/", "all nodes of a link"),
    ("http://[::]/", "any address"),
    ("http://[::1/", "half a bracket"),
    ("http://::1/", "no brackets"),
    ("http://0.0.0.0/", "any address"),
    ("http://0/", "the same in short"),
    ("http://0.0.0.0:9000/hook", "the same with a port"),
    ("http://255.255.255.255/", "everybody"),
    ("http://224.0.0.1/", "a group"),
    ("http://10.0.0.1/", "a private network"),
    ("http://172.16.0.1/", "a private network"),
    ("http://192.168.1.1/", "a private network"),
    ("http://100.64.0.1/", "a provider's network"),
    ("http://198.51.100.7/", "an address outside"),
    ("http://example.org/", "a name outside"),
    ("http://localhost.example.org/", "a name that begins like one inside"),
    ("http://127.0.0.1.nip.io/", "a name that stands for an address inside"),
    ("http://localhost./", "a dot behind"),
    ("http://localhosт/", "a letter of another alphabet"),
    ("http://①②⑦.⓪.⓪.①/", "digits in circles"),
    ("http://１２７.0.0.1/", "wide digits"),
    ("http://127。0。0。1/", "ideographic full stops"),
    ("http://127.0.0.1:80@169.254.169.254/", "an address that is a user"),
    ("http://user:secret@127.0.0.1/", "a user at home"),
    ("http://@127.0.0.1/", "an empty user"),
    ("http://169.254.169.254#@127.0.0.1/", "a host that is a fragment"),
    ("http://127.0.0.1#@169.254.169.254/", "a fragment that is a host"),
    ("http://127.0.0.1\\@169.254.169.254/", "a backslash"),
    ("http:\\\\169.254.169.254/", "backslashes"),
    ("http:169.254.169.254/", "no slashes"),
    ("http:///169.254.169.254/", "too many slashes"),
    ("http://127.0.0.1\t@169.254.169.254/", "a tab"),
    (" http://127.0.0.1/", "a space before"),
    ("http://127.0.0.1\r\nhost: 169.254.169.254/", "a line more"),
    ("gopher://127.0.0.1:6379/_FLUSHALL", "another protocol"),
    ("file:///etc/passwd", "a file"),
];

async fn target(url: &str) -> Result<Target, Refusal> {
    Destinations::default().target(url, "http").await
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[tokio::test]
async fn no_spelling_leads_out_of_this_machine() {
    for (url, trick) in BYPASSES {
        let found = target(url).await;
        assert!(found.is_err(), "{trick}: {url} leads to {found:?}");
    }
}

#[tokio::test]
async fn what_is_on_this_machine_is_reached_as_it_is_written() {
    for (url, peer, path) in [
        ("http://127.0.0.1:8080/hooks/3?x=1", "127.0.0.1:8080", "/hooks/3?x=1"),
        ("http://127.9.8.7/", "127.9.8.7:80", "/"),
        ("http://127.0.0.1", "127.0.0.1:80", "/"),
        ("http://127.0.0.1:9000?x", "127.0.0.1:9000", "/?x"),
        ("http://[::1]:8080/", "[::1]:8080", "/"),
        // It is dialled as what it is.
        ("http://[::ffff:127.0.0.1]:81/", "127.0.0.1:81", "/"),
    ] {
        let found = target(url).await.expect(url);
        assert_eq!(
            (found.peer.to_string(), found.path.to_string()),
            (peer.to_owned(), path.to_owned()),
            "{url}"
        );
        assert_eq!(found.name, None);
    }
    let found = target("http://LocalHost:9000/hook").await.expect("it stands for loopback");
    assert!(found.peer.ip().is_loopback(), "{found:?}");
    assert_eq!(found.name.as_deref(), Some("localhost"));
}

#[tokio::test]
async fn schemes_and_ports_are_what_they_should_be() {
    let secure = |url: &'static str| async move {
        Destinations::default().target(url, "https").await.map(|target| target.peer.port())
    };
    assert_eq!(secure("https://127.0.0.1/").await.ok(), Some(443));
    assert!(secure("http://127.0.0.1/").await.is_err());
    for url in [
        "https://127.0.0.1:80/",
        "HTTP://127.0.0.1:80/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:080/",
        "http://127.0.0.1:+80/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:/",
        "http://127.0.0.1:80:80/",
        "http://:80/",
        "http://",
        "127.0.0.1:80",
        "",
    ] {
        assert!(target(url).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn an_allowed_address_is_allowed_in_every_spelling_that_is_taken_and_no_other() {
    let hosts = vec![Host::Address(address("192.0.2.7")), Host::Address(address("2001:db8::7"))];
    let allowed = Destinations::with_hosts(hosts);
    for url in ["http://192.0.2.7/", "http://[::ffff:192.0.2.7]/", "http://[2001:DB8:0::7]:1/"] {
        allowed.target(url, "http").await.expect(url);
    }
    for url in ["http://192.0.2.8/", "http://[2001:db8::8]/", "http://3221225991/"] {
        assert!(allowed.target(url, "http").await.is_err(), "{url}");
    }
    let network = Network::new(address("10.7.0.0"), 24);
    let run = Destinations::default().with_network(network);
    assert!(run.target("http://10.7.0.9:1/", "http").await.is_ok());
    assert!(run.target("http://10.7.1.9:1/", "http").await.is_err());
}

#[tokio::test]
async fn a_refusal_names_the_address_and_what_would_allow_it() {
    let said = |url: &'static str| async move {
        target(url).await.expect_err("it leads elsewhere").to_string()
    };
    assert_eq!(
        said("http://[::ffff:a9fe:a9fe]/").await,
        "`url` leads to 169.254.169.254, which is not on this machine; \
         `--allow-host 169.254.169.254` lets the source send requests there"
    );
    assert_eq!(
        said("http://Hooks.example.org/").await,
        "`url` names the host `hooks.example.org`, which may be anywhere; \
         `--allow-host hooks.example.org` lets the source look it up and send requests there"
    );
    assert_eq!(
        said("http://0x7f.1/").await,
        "`url` must be http://HOST:PORT/PATH: an address is written as four decimal numbers \
         without zeros before"
    );
}

#[test]
fn every_address_behind_an_allowed_name_is_judged() {
    let hosts =
        vec![Host::Name("hooks.example.org".to_owned()), Host::Address(address("10.0.0.7"))];
    let allowed = Destinations::with_hosts(hosts);
    let choose = |name: &str, found: &[&str]| {
        let found: Vec<IpAddr> = found.iter().map(|text| address(text)).collect();
        allowed.choose(name, &found).map(|address| address.to_string()).ok()
    };
    let hooks = |found: &[&str]| choose("hooks.example.org", found);
    assert_eq!(hooks(&["93.184.215.14"]).as_deref(), Some("93.184.215.14"));
    assert_eq!(hooks(&["2606:2800::1", "93.184.215.14"]).as_deref(), Some("93.184.215.14"));
    assert_eq!(hooks(&["2606:2800::1"]).as_deref(), Some("2606:2800::1"));
    assert_eq!(hooks(&["10.0.0.7"]).as_deref(), Some("10.0.0.7"), "it is allowed itself");
    assert_eq!(hooks(&[]), None);
    // Its owner may say anything about it, now or the next time.
    for inside in [
        "169.254.169.254",
        "10.0.0.8",
        "192.168.1.1",
        "0.0.0.0",
        "100.100.100.200",
        "240.0.0.1",
        "255.255.255.255",
        "224.0.0.1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "2001:0:a9fe:a9fe::1",
    ] {
        assert_eq!(hooks(&[inside]), None, "{inside}");
        assert_eq!(hooks(&["93.184.215.14", inside]), None, "{inside} beside a public one");
    }
    // No user has to allow `localhost`, but it is nothing but this machine.
    assert_eq!(choose("localhost", &["::1", "127.0.0.1"]).as_deref(), Some("127.0.0.1"));
    assert_eq!(choose("localhost", &["93.184.215.14"]), None);
}

#[test]
fn hosts_are_read_as_addresses_or_plain_names() {
    let read = |text: &str| text.parse::<Host>().map(|host| host.to_string()).ok();
    for (text, host) in [
        ("hooks.Example.org", "hooks.example.org"),
        ("my_receiver", "my_receiver"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
    ] {
        assert_eq!(read(text).as_deref(), Some(host), "{text}");
    }
    let long = "a.".repeat(127);
    for text in ["", "*", "a..b", "a.", ".a", "a b", "a/b", "a:80", "1.2.3", "0x7f.1", "é", &long]
    {
        assert_eq!(read(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn nothing_but_loopback_is_a_target_whatever_is_written(text in any::<String>()) {
        for url in [text.clone(), format!("http://{text}"), format!("http://127.0.0.1{text}")] {
            if let Ok((Host::Address(address), ..)) = read(&url, "http") {
                let judged = Destinations::default().judge(address);
                prop_assert!(judged.is_err() || address.is_loopback());
            }
        }
    }
}
