//! The authority of a run, and the credentials it gives out.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::wire::socket::LOOPBACK;
use crate::wire::tls::TlsError;

/// An authority that both ends of a run trust. Its key never leaves the process.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// An authority with a new key (ECDSA on P-256).
    ///
    /// # Errors
    ///
    /// When the system has no randomness to make a key from.
    pub fn new() -> Result<Authority, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "pollpush, for one run");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.into();
        Ok(Authority { certificate, issuer: Issuer::new(params, key) })
    }

    /// Its certificate, as other programs read it (RFC 7468).
    #[must_use]
    pub fn pem(&self) -> String {
        let text = BASE64.encode(&self.certificate);
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for start in (0..text.len()).step_by(64) {
            pem.push_str(&text[start..text.len().min(start + 64)]);
            pem.push('\n');
        }
        pem + "-----END CERTIFICATE-----\n"
    }

    /// Credentials for an end that listens on loopback.
    ///
    /// # Errors
    ///
    /// As [`Authority::new`].
    pub fn credentials(&self) -> Result<Credentials, TlsError> {
        self.credentials_for(LOOPBACK)
    }

    /// Credentials for an end that listens at this address.
    ///
    /// # Errors
    ///
    /// As [`Authority::new`].
    pub fn credentials_for(&self, address: IpAddr) -> Result<Credentials, TlsError> {
        self.issue(&server(address))
    }

    /// Credentials with a certificate of these properties.
    pub(super) fn issue(&self, params: &CertificateParams) -> Result<Credentials, TlsError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Credentials::of(&self.certificate, certificate.der(), &key))
    }
}

/// What the certificate of a server at this address says.
pub(super) fn server(address: IpAddr) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "pollpush");
    params.subject_alt_names = vec![SanType::IpAddress(address)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// What one end shows and whom it trusts, as it is sent to a worker.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The certificate of the authority; DER in base64, as the others.
    authority: String,
    certificate: String,
    /// The key of `certificate`, as PKCS #8.
    key: String,
}

impl fmt::Debug for Credentials {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    fn of(authority: &[u8], certificate: &[u8], key: &KeyPair) -> Credentials {
        Credentials {
            authority: BASE64.encode(authority),
            certificate: BASE64.encode(certificate),
            key: BASE64.encode(key.serialize_der()),
        }
    }

    /// Credentials that nobody has vouched for.
    #[cfg(test)]
    pub(super) fn self_signed(params: &CertificateParams) -> Result<Credentials, TlsError> {
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Credentials::of(certificate.der(), certificate.der(), &key))
    }

    pub(super) fn authority(&self) -> Result<CertificateDer<'static>, TlsError> {
        Ok(BASE64.decode(&self.authority)?.into())
    }

    pub(super) fn certificate(&self) -> Result<CertificateDer<'static>, TlsError> {
        Ok(BASE64.decode(&self.certificate)?.into())
    }

    pub(super) fn key(&self) -> Result<Vec<u8>, TlsError> {
        Ok(BASE64.decode(&self.key)?)
    }
}
