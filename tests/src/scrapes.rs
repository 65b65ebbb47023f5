//! What Prometheus does: asks for the figures, and takes them only if every line is what its text format allows.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use anyhow::{Context, Result, bail, ensure};

use crate::Host;

const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: gate.test\r\n\r\n";

/// Figures by their series, such as `knockgate_grants{service="ssh"}`.
#[derive(Debug)]
pub struct Scrape(BTreeMap<String, f64>);

/// A connection to a host's own port.
pub fn connect(host: &Host, port: u16) -> Result<TcpStream> {
    host.inside(|| Ok(TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?))
}

impl Scrape {
    /// Asks at a host's own port.
    pub fn at(host: &Host, port: u16) -> Result<Self> {
        Self::over(connect(host, port)?)
    }

    pub fn over(mut stream: impl Read + Write) -> Result<Self> {
        stream.write_all(REQUEST)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of its headers")?;
        let mut headers = head.split("\r\n");
        ensure!(headers.next() == Some("HTTP/1.1 200 OK"), "{head}");
        let headers: Vec<_> = headers.collect();
        ensure!(headers.contains(&"Content-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        ensure!(headers.contains(&format!("Content-Length: {}", body.len()).as_str()), "{head}");
        read(body).map(Self)
    }

    pub fn value(&self, series: &str) -> Result<f64> {
        self.0.get(series).copied().with_context(|| format!("no {series} in {:#?}", self.0))
    }

    /// Whether any label has this value.
    pub fn tells_of(&self, what: &str) -> bool {
        self.0.keys().any(|series| series.contains(&format!("=\"{what}\"")))
    }
}

/// Each family: its help, its type, its samples, and nothing twice.
fn read(body: &str) -> Result<BTreeMap<String, f64>> {
    ensure!(body.ends_with('\n'), "the last line has no end");
    let (mut family, mut families, mut figures) = ("", Vec::new(), BTreeMap::new());
    let mut lines = body.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap_or_default();
            ensure!(family.starts_with("knockgate_") && !families.contains(&family), "{line}");
            families.push(family);
            let kind = lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {family} ")));
            let expected = if family.ends_with("_total") { "counter" } else { "gauge" };
            ensure!(kind == Some(expected), "{family} is a {kind:?}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').context("a sample has a value")?;
        let labels = series.strip_prefix(family).with_context(|| format!("{line} is not of {family}"))?;
        ensure!(labels.is_empty() || is_label(labels), "{line}");
        let value: f64 = value.parse().with_context(|| format!("no number in {line}"))?;
        ensure!(value >= 0.0, "{line}");
        if figures.insert(series.to_owned(), value).is_some() {
            bail!("{series} is there twice");
        }
    }
    Ok(figures)
}

/// `{name="value"}`, where nothing has to be escaped.
fn is_label(labels: &str) -> bool {
    let inner = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix("\"}"));
    inner.and_then(|inner| inner.split_once("=\"")).is_some_and(|(name, value)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()) && !value.contains(['"', '\\'])
    })
}
