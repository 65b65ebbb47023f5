//! Notices to a web server: a POST with a JSON body.
//!
//! Redirects are never followed: where notices go is for the configuration to say, not for a server. Certificates are checked
//! against the public authorities that are built in, so that it is the same on every host, whatever is installed there; a
//! private authority is named with `ca-file`. The path of the URL, the headers and what the server answers never get into
//! a log: whoever knows the first two may often post.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use knockgate_core::Name;
use ureq::http::{HeaderName, HeaderValue, StatusCode, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error};

use crate::config::{Webhook, WebhookUrl};
use crate::state::private_file;

use super::channel::Trouble;

const USER_AGENT: &str = concat!("knockgated/", env!("CARGO_PKG_VERSION"));

pub(super) struct WebhookClient {
    agent: Agent,
    url: WebhookUrl,
    header_file: Option<PathBuf>,
    timeout: Duration,
}

impl WebhookClient {
    /// Reads the files that the channel needs; nobody is connected to.
    pub(super) fn new(channel: &Name, webhook: &Webhook, timeout: Duration) -> anyhow::Result<Self> {
        let Webhook { url, header_file, ca_file, .. } = webhook;
        if let Some(file) = header_file {
            headers(file).with_context(|| format!("channel {channel}: its header-file cannot be used"))?;
        }
        let roots = match ca_file {
            Some(file) => {
                authorities(file).with_context(|| format!("channel {channel}: its ca-file cannot be used"))?
            }
            None => RootCerts::WebPki,
        };
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // Notices are rare: a kept connection would be closed by then.
            .max_idle_connections(0)
            .user_agent(USER_AGENT)
            .tls_config(TlsConfig::builder().root_certs(roots).build());
        Ok(Self {
            agent: config.build().new_agent(),
            url: url.clone(),
            header_file: header_file.clone(),
            timeout,
        })
    }

    /// Delivers one message. Headers are read every time, so a new token needs no restart.
    pub(super) fn send(&self, message: &str) -> Result<(), Trouble> {
        let headers = match &self.header_file {
            Some(file) => headers(file).map_err(|error| Trouble::Lasting(format!("{error:#}")))?,
            None => Vec::new(),
        };
        let request = self.agent.post(self.url.uri()).header(header::CONTENT_TYPE, "application/json");
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let response = request.send(message).map_err(|error| self.trouble(&error))?;
        self.judge(response.status())
    }

    fn judge(&self, status: StatusCode) -> Result<(), Trouble> {
        let (url, code) = (&self.url, status.as_u16());
        if status.is_success() {
            return Ok(());
        }
        if status.is_redirection() {
            return Err(Trouble::Lasting(format!(
                "{url} answered {code}, which leads elsewhere; write that address into the configuration"
            )));
        }
        // Too slow, too early, too many: whoever answers so wants to be asked again.
        if status.is_server_error() || matches!(code, 408 | 425 | 429) {
            return Err(Trouble::Passing(format!("{url} answered {code}")));
        }
        Err(Trouble::Lasting(format!(
            "{url} answered {code}; correct the path of the URL or what is in header-file"
        )))
    }

    fn trouble(&self, error: &Error) -> Trouble {
        let url = &self.url;
        match error {
            Error::Timeout(_) => Trouble::Passing(format!(
                "{url} did not answer within {}",
                humantime::format_duration(self.timeout)
            )),
            Error::HostNotFound => {
                Trouble::Passing(format!("{url}: there is no such host, or no name server answers"))
            }
            Error::Rustls(_) | Error::Tls(_) => Trouble::Lasting(format!(
                "{url}: {error}; if its certificate is by an authority of your own, name that in ca-file"
            )),
            // The one that repeats the URL cannot come: the configuration has read it.
            Error::BadUri(_) => Trouble::Lasting(format!("{url}: this address cannot be used")),
            _ => Trouble::Passing(format!("{url}: {error}")),
        }
    }
}

/// `NAME: VALUE` lines of a file that its owner alone can read.
fn headers(file: &Path) -> anyhow::Result<Vec<(HeaderName, HeaderValue)>> {
    let content = private_file::read(file)?;
    let text = String::from_utf8(content).map_err(|_| anyhow!("{}: it is not text", file.display()))?;
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let read = |(at, line): (usize, &str)| {
        header_line(line).with_context(|| {
            format!(
                r#"{}:{}: this is no header; write NAME: VALUE, such as "Authorization: Bearer ...""#,
                file.display(),
                at + 1
            )
        })
    };
    lines.map(read).collect()
}

fn header_line(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let mut value = HeaderValue::from_str(value.trim()).ok()?;
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}

fn authorities(file: &Path) -> anyhow::Result<RootCerts> {
    let shown = file.display();
    let pem = std::fs::read(file).with_context(|| format!("{shown}: it cannot be read"))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.with_context(|| format!("{shown}: it is no PEM"))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        bail!(
            "{shown}: it has no certificate; it must have one between BEGIN CERTIFICATE and END CERTIFICATE"
        );
    }
    Ok(RootCerts::from(certificates))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn header_file(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ops.header");
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        (dir, file)
    }

    #[test]
    fn headers_are_lines_of_a_private_file() {
        let (_dir, file) = header_file("# token\n\nAuthorization: Bearer a:b\nX-One:1\n", 0o600);
        let read = headers(&file).unwrap();
        let read: Vec<_> =
            read.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(read, [("authorization", "Bearer a:b"), ("x-one", "1")]);
    }

    #[test]
    fn a_header_file_that_others_can_read_is_refused_with_the_remedy() {
        let (_dir, file) = header_file("X-One: 1\n", 0o640);
        let error = format!("{:#}", headers(&file).unwrap_err());
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_wrong_header_is_named_by_its_line_and_not_repeated() {
        #[rustfmt::skip]
        let cases = [(1, "secret"), (2, ": secret"), (3, "a b: secret"), (4, "X-One: secret\u{7f}"), (5, "X\u{fc}: secret")];
        for (case, line) in cases {
            let (_dir, file) = header_file(&format!("X-Good: 1\n{line}\n"), 0o600);
            let error = format!("{:#}", headers(&file).unwrap_err());
            assert!(
                error.contains("ops.header:2: ") && error.contains("write NAME: VALUE"),
                "case {case}: {error}"
            );
            assert!(!error.contains("secret"), "case {case}: {error}");
        }
    }

    #[test]
    fn a_file_of_authorities_has_at_least_one_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "nothing").unwrap();
        let error = format!("{:#}", authorities(&file).unwrap_err());
        assert!(error.contains("has no certificate; it must have one"), "{error}");
    }
}
