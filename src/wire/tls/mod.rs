//! TLS: an authority that lives as long as a run, and what each end shows and trusts.
//!
//! Certificates are always verified, as a client of a public API would: both ends trust one
//! authority, made for the run, and nothing else. Its key stays in the coordinator's memory.

mod authority;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::{ClientConfig, CommonState, HandshakeKind, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::counts::TlsSession;
use crate::wire::bounds::HANDSHAKE_TIMEOUT;
use crate::wire::link::HttpVersion;
use crate::wire::tally::Tally;

pub use crate::wire::tls::authority::{Authority, Credentials};

/// Sessions a client remembers, to resume them; rustls remembers as many by default.
const SESSIONS: usize = 256;

/// Why an end cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A key or a certificate could not be made.
    #[error("no certificate could be made")]
    NotIssued(#[from] rcgen::Error),
    /// The credentials are damaged or do not fit each other.
    #[error("the credentials are unusable")]
    Unusable(#[from] rustls::Error),
    /// The credentials are not what they should look like.
    #[error("the credentials are unreadable")]
    Unreadable(#[from] base64::DecodeError),
}

/// One end's side of TLS: what it shows when it accepts, and whom it trusts when it dials.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    authority: CertificateDer<'static>,
    resume: bool,
}

impl fmt::Debug for Tls {
    /// Without keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// An end with credentials of its own; `resume` says whether sessions may be resumed.
    ///
    /// # Errors
    ///
    /// When the credentials are damaged.
    pub(crate) fn new(
        credentials: &Credentials,
        http: HttpVersion,
        resume: bool,
    ) -> Result<Tls, TlsError> {
        let authority = credentials.authority()?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        // Named, not looked up: whatever else the process holds, both ends use this one.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let alpn = vec![http.alpn().to_vec()];
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols.clone_from(&alpn);
        client.resumption = Resumption::disabled();
        let key = PrivateKeyDer::try_from(credentials.key()?)
            .map_err(|reason| rustls::Error::General(reason.to_owned()))?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![credentials.certificate()?], key)?;
        server.alpn_protocols = alpn;
        if resume {
            // Tickets hold the session's state, so that no client's is ever forgotten.
            server.ticketer = aws_lc_rs::Ticketer::new()?;
        } else {
            server.send_tls13_tickets = 0;
            server.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(Tls { server: Arc::new(server), client: Arc::new(client), authority, resume })
    }

    /// What a client dials with: its memory of sessions is its own.
    pub(crate) fn dialler(&self) -> Dialler {
        let mut client = ClientConfig::clone(&self.client);
        if self.resume {
            client.resumption = Resumption::in_memory_sessions(SESSIONS);
        }
        Dialler { config: Arc::new(client), authority: self.authority.clone() }
    }

    /// Takes a client's handshake and counts it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] when the client does not speak TLS or the two do not agree;
    /// another kind when the connection broke or the client was too slow.
    pub(crate) async fn accept<S>(
        &self,
        stream: S,
        tally: &Tally,
    ) -> io::Result<server::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let accepting = TlsAcceptor::from(Arc::clone(&self.server)).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, accepting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        count(stream.get_ref().1, tally);
        Ok(stream)
    }
}

/// What a client dials with: whom it trusts, and the sessions it can resume.
#[derive(Clone)]
pub struct Dialler {
    config: Arc<ClientConfig>,
    authority: CertificateDer<'static>,
}

impl fmt::Debug for Dialler {
    /// Without the sessions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialler").finish_non_exhaustive()
    }
}

impl Dialler {
    /// The only authority that is trusted, in DER.
    pub(crate) fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// Shakes hands with a server, verifies that its certificate is for the name, and counts the
    /// handshake.
    ///
    /// # Errors
    ///
    /// When the server does not speak TLS, cannot be trusted, or hangs up.
    pub(crate) async fn connect<S>(
        &self,
        name: ServerName<'static>,
        stream: S,
        tally: &Tally,
    ) -> io::Result<client::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await?;
        count(stream.get_ref().1, tally);
        Ok(stream)
    }
}

/// Counts a finished handshake and notes what was agreed on.
fn count(session: &CommonState, tally: &Tally) {
    tally.shook_hands(session.handshake_kind() == Some(HandshakeKind::Resumed), || TlsSession {
        version: named(session.protocol_version().and_then(|version| version.as_str())),
        cipher_suite: named(
            session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()),
        ),
        key_exchange: named(
            session.negotiated_key_exchange_group().and_then(|group| group.name().as_str()),
        ),
    });
}

fn named(name: Option<&'static str>) -> String {
    name.unwrap_or("unknown").to_owned()
}
