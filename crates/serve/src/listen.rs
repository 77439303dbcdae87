//! [`Listener`]: sockets, TLS, and the bounds of a connection.

use std::future::{Future, Ready, ready};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tower::Layer;

use crate::ServeError;
use crate::options::Options;

/// Longest that a client may take to read a piece of its reply.
const WRITE: Duration = Duration::from_secs(30);
/// Longest that a client may take to send the headers of a request.
const HEADERS: Duration = Duration::from_secs(10);
/// Streams of an HTTP/2 connection.
const STREAMS: u32 = 16;

/// A socket that listens, and the certificate under which it does.
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<RustlsConfig>,
}

impl Listener {
    /// Takes the socket that systemd hands over, or opens one.
    pub(crate) async fn open(options: &Options) -> Result<Self, ServeError> {
        let handed = listenfd::ListenFd::from_env().take_tcp_listener(0)?;
        let socket = match handed {
            Some(socket) => socket,
            None => bind(options.listen)?,
        };
        socket.set_nonblocking(true)?;
        let tls = match &options.tls {
            Some((chain, key)) => Some(load(chain, key).await?),
            None => None,
        };
        Ok(Self { socket, tls })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Reads the certificate again whenever its files change, until the task is dropped.
    pub(crate) fn follow_certificate(&self, options: &Options) -> impl Future<Output = ()> + use<> {
        let (tls, files) = (self.tls.clone(), options.tls.clone());
        async move {
            let (Some(tls), Some((chain, key))) = (tls, files) else { return std::future::pending().await };
            let mut seen = changed(&chain, &key);
            loop {
                tokio::time::sleep(Duration::from_secs(5)).await;
                let now = changed(&chain, &key);
                if now == seen {
                    continue;
                }
                match tls.reload_from_pem_file(&chain, &key).await {
                    Ok(()) => {
                        seen = now;
                        tracing::info!("a new certificate is in use");
                    }
                    // Perhaps one of the two is still to be written.
                    Err(error) => {
                        tracing::warn!(%error, "the certificate changed and cannot be read; the last one stays")
                    }
                }
            }
        }
    }

    /// Serves until `handle` says stop.
    pub(crate) async fn serve(self, router: Router, options: &Options, handle: Handle<SocketAddr>) -> io::Result<()> {
        let limits = Limits {
            connections: Arc::new(Semaphore::new(options.connections)),
            // While a query is evaluated, its client is silent.
            read: options.deadline + Duration::from_secs(30),
        };
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let server = axum_server::from_tcp(self.socket)?.handle(handle);
        match self.tls {
            Some(tls) => run(server.acceptor(RustlsAcceptor::new(tls).acceptor(limits)), service).await,
            None => run(server.acceptor(limits), service).await,
        }
    }
}

async fn run<A>(
    server: axum_server::Server<SocketAddr, A>,
    service: IntoMakeServiceWithConnectInfo<Router, SocketAddr>,
) -> io::Result<()>
where
    A: Accept<TcpStream, axum::middleware::AddExtension<Router, axum::extract::ConnectInfo<SocketAddr>>>
        + Clone
        + Send
        + Sync
        + 'static,
    A::Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
    A::Service: axum_server::service::SendService<axum::http::Request<hyper::body::Incoming>> + Send,
    A::Future: Send,
{
    let mut server = server.first_request_timeout(HEADERS);
    server.http_builder().http1().header_read_timeout(HEADERS);
    server
        .http_builder()
        .http2()
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    server.serve(service).await
}

/// Opens a socket.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|reason| ServeError::Listen { address, reason })
}

async fn load(chain: &Path, key: &Path) -> Result<RustlsConfig, ServeError> {
    let refuse = |reason| ServeError::Certificate { chain: chain.into(), key: key.into(), reason };
    RustlsConfig::from_pem_file(chain, key).await.map_err(refuse)
}

fn changed(chain: &PathBuf, key: &PathBuf) -> [Option<SystemTime>; 2] {
    [chain, key].map(|path| std::fs::metadata(path).and_then(|found| found.modified()).ok())
}

/// The bounds of connections: how many there are, and how long one may be silent.
#[derive(Clone)]
struct Limits {
    connections: Arc<Semaphore>,
    read: Duration,
}

/// A connection's place, held as long as its service.
#[derive(Clone)]
struct Place(#[expect(dead_code, reason = "dropped with the connection")] Arc<OwnedSemaphorePermit>);

impl<S> Accept<TcpStream, S> for Limits {
    type Stream = Pin<Box<TimeoutStream<TcpStream>>>;
    type Service = axum::middleware::AddExtension<S, Place>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = self.connections.clone().try_acquire_owned() else {
            return ready(Err(io::Error::other("all connections are taken")));
        };
        // A reply is written in one piece; waiting to fill packets only delays it.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(Some(self.read));
        stream.set_write_timeout(Some(WRITE));
        ready(Ok((Box::pin(stream), axum::Extension(Place(Arc::new(place))).layer(service))))
    }
}
