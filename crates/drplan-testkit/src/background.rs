//! The runtime that everything with a life longer than one test runs on.

use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("testkit")
        .enable_all()
        .build()
        .expect("a runtime starts unless the machine is out of threads")
});

/// Returns the runtime of servers, proxies and clients.
///
/// Each `#[tokio::test]` has a runtime of its own, which takes what was spawned on it along when the test ends,
/// and stands still while the test blocks. What tests share, or reach from blocking code, lives here instead.
pub(crate) fn background() -> &'static Handle {
    RUNTIME.handle()
}
