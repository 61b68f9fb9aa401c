//! Clients of the API server.
//!
//! As kube makes them, but for one thing: kube leaves Nagle's algorithm on. A request with a body may then leave in two
//! packets, of which the second waits for the acknowledgement of the first, and that the API server's machine delays by 40
//! ms. One write in a hundred waits under load, and every second one that comes after a pause.

use http_body_util::BodyExt;
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Config,
    client::{Body, ClientBuilder, ConfigExt, DynBody},
};
use tower::{BoxError, ServiceBuilder, ServiceExt, util::BoxService};

/// What sends requests.
pub type Service = BoxService<http::Request<Body>, http::Response<Box<DynBody>>, BoxError>;

/// A client of the API server that `config` names, with its times, identity and headers. No connection is made yet.
///
/// # Guarantees
/// Without a proxy it never repeats a request by itself, whatever `config` says, and no packet waits for another's
/// acknowledgement. Through a proxy it is the client that kube makes.
///
/// # Errors
/// Certificates or credentials that cannot be used.
pub fn builder(config: Config) -> kube::Result<ClientBuilder<Service>> {
    if config.proxy_url.is_some() {
        return ClientBuilder::try_from(config);
    }
    // Whoever is first decides; all ask for the same.
    let _: Result<(), _> = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client)
        .map_response(|response| response.map(|body| Box::new(body.map_err(BoxError::from)) as Box<DynBody>))
        .boxed();
    Ok(ClientBuilder::new(service, config.default_namespace))
}
