//! One client per identity, all over the connections of one.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderName, HeaderValue, Request};
use kube::{Client, client::Body};

/// Whom the API server sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The operator itself.
    Operator,
    /// A ServiceAccount, by impersonation.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("the operator"),
            Self::ServiceAccount { namespace, name } => write!(f, "system:serviceaccount:{namespace}:{name}"),
        }
    }
}

/// An identity that cannot stand in a header.
#[derive(Debug, thiserror::Error)]
#[error("`{identity}` is no ServiceAccount name")]
pub struct BadIdentity {
    identity: String,
}

/// Clients kept at once. The product is made for 500 plans, each with an identity of its own at most; a client is a
/// queue and a task.
const CLIENTS_MAX: usize = 512;

/// The header that carries the impersonated user. The API server adds the groups of a ServiceAccount by itself.
const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");

/// Makes and keeps one client per identity.
#[derive(Clone)]
pub struct IdentityClients {
    base: Client,
    clients: Arc<Mutex<HashMap<Identity, Client>>>,
}

impl IdentityClients {
    /// Clients that send through `base`, over its connections and with its credentials.
    pub fn new(base: Client) -> Self {
        Self {
            base,
            clients: Arc::default(),
        }
    }

    /// The client of `identity`.
    ///
    /// # Errors
    /// A namespace or name that cannot stand in a header.
    ///
    /// # Assumptions
    /// Called within a tokio runtime: a client has a task.
    pub fn client(&self, identity: &Identity) -> Result<Client, BadIdentity> {
        let Identity::ServiceAccount { namespace, .. } = identity else {
            return Ok(self.base.clone());
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(identity) {
            return Ok(client.clone());
        }
        let user = HeaderValue::from_str(&identity.to_string()).map_err(|_| BadIdentity {
            identity: identity.to_string().escape_debug().to_string(),
        })?;
        let client = impersonating(self.base.clone(), user, namespace);
        // Forgetting all is the simplest bound: the next look-ups make them again, those in use live on.
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(identity.clone(), client.clone());
        Ok(client)
    }
}

/// A client that sends every request through `base` as `user`.
fn impersonating(base: Client, user: HeaderValue, namespace: &str) -> Client {
    let service = tower::service_fn(move |mut request: Request<Body>| {
        request.headers_mut().insert(IMPERSONATE_USER, user.clone());
        let base = base.clone();
        async move { base.send(request).await }
    });
    Client::new(service, namespace)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;

    use super::*;

    /// A client whose server answers with a Namespace named after the impersonated user.
    fn mirror() -> Client {
        let service = tower::service_fn(|request: Request<Body>| async move {
            let user = request
                .headers()
                .get("impersonate-user")
                .map(|user| user.to_str().unwrap().to_owned());
            let name = user.unwrap_or_else(|| "nobody".to_owned());
            let body =
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            Ok::<_, Infallible>(Response::new(Body::from(body.to_string().into_bytes())))
        });
        Client::new(service, "default")
    }

    async fn seen_user(clients: &IdentityClients, identity: &Identity) -> String {
        let api: Api<Namespace> = Api::all(clients.client(identity).unwrap());
        api.get("x").await.unwrap().metadata.name.unwrap()
    }

    #[tokio::test]
    async fn every_request_of_a_service_account_impersonates_it_and_the_operator_is_itself() {
        let clients = IdentityClients::new(mirror());
        let account = |name: &str| Identity::ServiceAccount {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        };
        assert_eq!(seen_user(&clients, &Identity::Operator).await, "nobody");
        assert_eq!(
            seen_user(&clients, &account("dr")).await,
            "system:serviceaccount:shop:dr"
        );
        assert_eq!(
            seen_user(&clients, &account("other")).await,
            "system:serviceaccount:shop:other"
        );
        assert_eq!(
            seen_user(&clients, &account("dr")).await,
            "system:serviceaccount:shop:dr"
        );
        assert_eq!(
            clients.client(&account("dr")).unwrap().default_namespace(),
            "shop"
        );
    }

    #[tokio::test]
    async fn an_identity_that_breaks_a_header_is_refused_and_clients_are_bounded() {
        let clients = IdentityClients::new(mirror());
        let bad = Identity::ServiceAccount {
            namespace: "shop".to_owned(),
            name: "a\r\nX: y".to_owned(),
        };
        let error = clients
            .client(&bad)
            .err()
            .expect("a line break cannot stand in a header");
        assert_eq!(
            error.to_string(),
            r"`system:serviceaccount:shop:a\r\nX: y` is no ServiceAccount name"
        );
        for number in 0..=CLIENTS_MAX {
            let identity = Identity::ServiceAccount {
                namespace: "shop".to_owned(),
                name: format!("a{number}"),
            };
            clients.client(&identity).unwrap();
        }
        assert_eq!(clients.clients.lock().unwrap().len(), 1);
    }
}
