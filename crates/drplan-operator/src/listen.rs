//! Listening on an address of the machine.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};

use tokio::net::TcpListener;

/// Where something is answered, or that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At this address.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl Listen {
    /// Reads `ADDRESS:PORT`; `0` and nothing mean [`Self::Off`].
    ///
    /// # Errors
    /// What it should look like.
    pub fn read(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" | "0" => Ok(Self::Off),
            address => SocketAddr::from_str(address)
                .map(Self::At)
                .map_err(|error| format!("{error}: write ADDRESS:PORT such as [::]:8080, or 0 for nowhere")),
        }
    }
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on `{address}` for {purpose}")]
pub struct BindError {
    address: SocketAddr,
    purpose: &'static str,
    source: io::Error,
}

/// Listens on `address`. `[::]` means every address of the machine, also where it has no IPv6.
///
/// # Errors
/// When the address is taken or not the machine's.
pub async fn bind(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, BindError> {
    let failed = |address, source| BindError {
        address,
        purpose,
        source,
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            TcpListener::bind(address)
                .await
                .map_err(|source| failed(address, source))
        }
        Err(source) => Err(failed(address, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let taken = bind("127.0.0.1:0".parse().unwrap(), "metrics").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address, "health probes").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("failed to listen on `{address}` for health probes")
        );
    }

    #[test]
    fn nothing_and_zero_turn_it_off() {
        assert_eq!(Listen::read(""), Ok(Listen::Off));
        assert_eq!(Listen::read("0"), Ok(Listen::Off));
        let address = "127.0.0.1:8080".parse().unwrap();
        assert_eq!(Listen::read("127.0.0.1:8080"), Ok(Listen::At(address)));
        assert!(Listen::read("8080").unwrap_err().contains("write ADDRESS:PORT"));
    }
}
