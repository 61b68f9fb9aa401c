//! The benchmark of `make bench`.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    drplan_testkit::bench::run().await
}
