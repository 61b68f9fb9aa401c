//! Free loopback ports that stay free.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::bail;

/// Below the range that Linux takes ports of outgoing connections from (32768 and up), so that no connection
/// takes a port between its choice and its use, or while a component is being restarted.
const FIRST: u16 = 18_000;
const COUNT: u16 = 14_000;

/// Returns a port on 127.0.0.1 that nothing listens on.
///
/// No two calls in one process return the same port (before thousands of others). Processes begin at different
/// places, so that two of them rarely choose the same one.
///
/// # Errors
///
/// When every port of the range is taken.
pub fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id().wrapping_mul(97) % u32::from(COUNT);
    for _ in 0..COUNT {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from((begin + step) % u32::from(COUNT))?;
        let port = FIRST + offset;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT)
}
