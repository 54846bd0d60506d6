//! What to do about something that is missing.

use naq_core::clock::Clock;
use naq_core::connection::{ConnectionProvider, Connector};
use naq_core::events::{EventLog, EventQuery, EventSink};
use naq_core::kv::KvStore;
use naq_core::service::Interface;
use naq_core::streams::StreamManager;
use naq_core::{Error, ErrorKind};

/// The crate and the service that offer one of naq's own ports.
fn known(interface: Interface) -> Option<(&'static str, &'static str)> {
    [
        (Interface::of::<dyn ConnectionProvider>(), "naq-connection", "ConnectionService"),
        (Interface::of::<dyn Connector>(), "naq-memory", "MemoryConnector"),
        (Interface::of::<dyn StreamManager>(), "naq-streams", "StreamService"),
        (Interface::of::<dyn KvStore>(), "naq-kv", "KvStoreService"),
        (Interface::of::<dyn EventLog>(), "naq-events", "EventService"),
        (Interface::of::<dyn EventSink>(), "naq-events", "EventService"),
        (Interface::of::<dyn EventQuery>(), "naq-events", "EventService"),
        (Interface::of::<dyn Clock>(), "naq-core", "SystemClock"),
    ]
    .into_iter()
    .find(|(port, _, _)| *port == interface)
    .map(|(_, package, service)| (package, service))
}

/// Nobody offers what a recipe wants.
pub(crate) fn missing(interface: Interface, wanted_by: &str) -> Error {
    let error = Error::new(ErrorKind::Config, "check", "nobody offers what a service needs")
        .with("interface", interface.name())
        .with("wanted_by", wanted_by);
    error.with_hint(match known(interface) {
        Some((package, service)) if cfg!(feature = "standard") => {
            format!("register::<{service}>() of {package}, or provide::<{interface}>(…)")
        }
        Some((package, service)) => format!(
            "register::<{service}>() of {package}, provide::<{interface}>(…), or turn on the \
             feature `standard` of naq-services"
        ),
        None => format!("register a service that offers it, or provide::<{interface}>(…)"),
    })
}

/// `get` found nobody.
pub(crate) fn not_running(interface: Interface) -> Error {
    let hint = match known(interface) {
        Some((package, service)) => format!("register::<{service}>() of {package} before start"),
        None => "register a service that offers it before start, or provide it".to_owned(),
    };
    Error::new(ErrorKind::NotFound, "get", "no service offers this interface")
        .with("interface", interface.name())
        .with_hint(hint)
}
