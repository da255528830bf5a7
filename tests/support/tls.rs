//! TLS before a receiver, which lets in only whom it knows.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// An address behind which everything is passed on to a receiver, and the files of those
/// who may talk with it.
pub(crate) struct Https {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: String,
    pub(crate) client_certificate: String,
    pub(crate) client_key: String,
    _files: TempDir,
}

impl Https {
    pub(crate) async fn before(receiver: SocketAddr) -> Result<Self> {
        let names = || vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server = generate_simple_self_signed(names())?;
        let client = generate_simple_self_signed(names())?;
        let acceptor = TlsAcceptor::from(Arc::new(config(&server, &client)?));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(pass_on(listener, acceptor, receiver));

        let files = TempDir::new()?;
        let write = |name, pem| write(files.path(), name, pem);
        Ok(Self {
            address,
            certificate: write("server.pem", server.cert.pem())?,
            client_certificate: write("client.pem", client.cert.pem())?,
            client_key: write("client.key", client.signing_key.serialize_pem())?,
            _files: files,
        })
    }
}

fn config(server: &CertifiedKey<KeyPair>, client: &CertifiedKey<KeyPair>) -> Result<ServerConfig> {
    let mut clients = RootCertStore::empty();
    clients.add(client.cert.der().clone())?;
    let clients = WebPkiClientVerifier::builder(Arc::new(clients)).build()?;
    let key = PrivateKeyDer::try_from(server.signing_key.serialize_der())?;
    let certificates = vec![server.cert.der().clone()];
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A connection that is refused is the client's to tell.
async fn pass_on(listener: TcpListener, acceptor: TlsAcceptor, receiver: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut inside = TcpStream::connect(receiver).await?;
            let mut outside = acceptor.accept(stream).await?;
            copy_bidirectional(&mut outside, &mut inside).await
        });
    }
}

fn write(directory: &Path, name: &str, pem: String) -> Result<String> {
    let path = directory.join(name);
    std::fs::write(&path, pem)?;
    Ok(path.display().to_string())
}
