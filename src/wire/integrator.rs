//! The client an integrator would write: `reqwest` and its connection pool.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use reqwest::Certificate;
use reqwest::redirect::Policy;

use crate::clock;
use crate::incident::Connections;
use crate::wire::body;
use crate::wire::client::{Dial, ExchangeError, Received};
use crate::wire::link::HttpVersion;

/// A `reqwest` client for one simulated subscriber.
///
/// Connections and bytes inside `reqwest` cannot be counted from here: the source's sockets
/// count them.
#[derive(Debug)]
pub struct Integrator {
    client: reqwest::Client,
    dial: Dial,
}

impl Integrator {
    /// A client with everything off that would change what is measured: proxies from the
    /// environment, redirects, hidden retries, idle expiry.
    ///
    /// # Errors
    ///
    /// When `reqwest` cannot be set up.
    pub fn new(dial: Dial) -> Result<Integrator, ExchangeError> {
        Ok(Integrator { client: client(&dial)?, dial })
    }

    /// Sends a request and waits for the whole response, unless an incident ends every
    /// connection meanwhile.
    pub(crate) async fn exchange(
        &mut self,
        method: Method,
        path: &PathAndQuery,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Received, ExchangeError> {
        let Some(trouble) = self.dial.trouble.clone() else {
            return self.undisturbed(method, path, headers, body).await;
        };
        if self.dial.is_kept_from_dialling() {
            return self.cut_off();
        }
        tokio::select! {
            received = self.undisturbed(method, path, headers, body) => received,
            how = trouble.ended() => match how {
                Connections::Refused | Connections::Reset => self.cut_off(),
                Connections::Silent => {
                    tokio::time::sleep(self.dial.timeout).await;
                    Err(ExchangeError::TimedOut(self.dial.timeout))
                }
            },
        }
    }

    /// Closes every connection of the pool, which has no other way to be told.
    fn cut_off(&mut self) -> Result<Received, ExchangeError> {
        self.client = client(&self.dial)?;
        let source = std::io::ErrorKind::NetworkDown.into();
        Err(ExchangeError::Unreachable { peer: self.dial.peer, source })
    }

    async fn undisturbed(
        &self,
        method: Method,
        path: &PathAndQuery,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Received, ExchangeError> {
        // The pool takes a connection back in a task of its own, which must have had its turn:
        // a request right behind a long response would be sent on a new connection.
        tokio::task::yield_now().await;
        let began = clock::now();
        let url = format!("{}://{}{path}", self.dial.scheme(), self.dial.authority());
        let request = self.client.request(method, url).headers(headers);
        let request = if body.is_empty() { request } else { request.body(body) };
        let response = request.send().await.map_err(|error| self.explain(error))?;
        let (head, incoming) = http::Response::<reqwest::Body>::from(response).into_parts();
        let body = body::read(incoming, self.dial.longest_response).await?;
        self.dial.tally.timed(body.arrived.since(began));
        Ok(Received {
            status: head.status,
            headers: head.headers,
            body: body.bytes,
            arrived: body.arrived,
        })
    }

    fn explain(&self, error: reqwest::Error) -> ExchangeError {
        if error.is_timeout() {
            ExchangeError::TimedOut(self.dial.timeout)
        } else {
            ExchangeError::Broken(error.into())
        }
    }
}

fn client(dial: &Dial) -> Result<reqwest::Client, ExchangeError> {
    // With nobody to trust it need not read the system's certificates, which takes long.
    let trusted = dial.tls.as_ref().map(|tls| Certificate::from_der(tls.authority()));
    let trusted = trusted.transpose().map_err(|error| ExchangeError::Broken(error.into()))?;
    let builder = reqwest::Client::builder()
        .tls_certs_only(trusted)
        .no_proxy()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .tcp_nodelay(dial.options.nodelay)
        .tcp_keepalive(None)
        .pool_idle_timeout(None)
        .pool_max_idle_per_host(usize::from(dial.keep_alive))
        .timeout(dial.timeout);
    let builder = match &dial.name {
        Some(name) => builder.resolve(name, dial.peer),
        None => builder,
    };
    match dial.http {
        HttpVersion::One => builder.http1_only(),
        HttpVersion::Two => builder.http2_prior_knowledge(),
    }
    .build()
    .map_err(|error| ExchangeError::Broken(error.into()))
}
