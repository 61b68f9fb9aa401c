//! The proxy of every call.

use std::{fmt, str::FromStr};

use reqwest::Url;

/// The proxy that every call goes through. Its user and password are shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpProxy {
    pub(super) url: Url,
}

impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = (
            self.url.scheme(),
            self.url.host_str(),
            self.url.port_or_known_default(),
        );
        write!(
            f,
            "{scheme}://{}:{}",
            host.unwrap_or_default(),
            port.unwrap_or_default()
        )
    }
}

/// A text that is no proxy. It is not repeated, since a password may stand in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a proxy, such as http://proxy.example.com:3128: {0}")]
pub struct BadHttpProxy(&'static str);

impl FromStr for HttpProxy {
    type Err = BadHttpProxy;

    fn from_str(text: &str) -> Result<Self, BadHttpProxy> {
        let url =
            Url::parse(text.trim()).map_err(|_| BadHttpProxy("write a URL with scheme, host and port"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(BadHttpProxy("its URL begins with http:// or https:// and a host"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(BadHttpProxy("its URL ends with the port"));
        }
        Ok(Self { url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_url_of_host_and_port_and_keeps_its_password_to_itself() {
        let check = |text: &str, expect: &str| {
            let proxy = text.parse::<HttpProxy>().unwrap();
            assert_eq!(format!("{proxy:?}"), expect);
        };
        check("http://proxy:3128", "http://proxy:3128");
        check("https://user:s3cret@proxy.example/", "https://proxy.example:443");
        check("http://[::1]:3128", "http://[::1]:3128");
        for text in [
            "",
            "s3cret",
            "proxy:3128",
            "socks5://s3cret@proxy:1080",
            "http://",
            "http://proxy:99999/s3cret",
            "http://proxy:3128/s3cret",
            "http://proxy/?s3cret",
        ] {
            let error = text.parse::<HttpProxy>().unwrap_err().to_string();
            assert!(
                error.starts_with("not a proxy, such as http://") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }
}
