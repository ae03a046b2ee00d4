//! Two namespaces joined by one link: the gateway's and the device's.

use tun_rs::{DeviceBuilder, SyncDevice};

use crate::{
    failure::Failure,
    impairment::{Impairment, MTU},
    link::Link,
    namespace::{self, Namespace, ip},
};

/// The gateway's address on the link.
pub(crate) const GATEWAY: &str = "10.77.0.1";

/// The device's address on the link.
pub(crate) const DEVICE: &str = "10.77.0.2";

/// Both of them.
const NETWORK: &str = "10.77.0.0/30";

/// What the TUN device is called in each namespace.
const INTERFACE: &str = "link0";

/// Two joined namespaces. The order of the fields is the order of their end: whoever runs inside is ended while the link
/// still carries its last words.
#[derive(Debug)]
pub(crate) struct Pair {
    /// Where the device's programs run.
    pub(crate) device: Namespace,
    /// Where the gateway's programs run.
    pub(crate) gateway: Namespace,
    /// What joins them.
    pub(crate) link: Link,
}

impl Pair {
    /// Makes both namespaces, named `<name>-gateway` and `<name>-device`, and joins them.
    pub(crate) fn join(name: &str, impairment: &Impairment) -> Result<Self, Failure> {
        namespace::need_root()?;
        namespace::sweep();
        let gateway = Namespace::make(&format!("{name}-gateway"))?;
        let device = Namespace::make(&format!("{name}-device"))?;
        let ends = (interface(&gateway, GATEWAY)?, interface(&device, DEVICE)?);
        let link =
            Link::join(ends.0, ends.1, impairment).map_err(Failure::system("joining the namespaces"))?;
        Ok(Self { device, gateway, link })
    }

    /// Joins two namespaces that are named after this process.
    pub(crate) fn of_this_process(impairment: &Impairment) -> Result<Self, Failure> {
        Self::join(&namespace::own_name(), impairment)
    }

    /// Chooses the congestion control of every TCP connection over the link that begins from now on. The route says it,
    /// because a namespace may choose only among what the whole machine allows everybody.
    pub(crate) fn congestion(&self, name: &str) -> Result<(), Failure> {
        for (side, address) in [(&self.gateway, GATEWAY), (&self.device, DEVICE)] {
            let route = ["route", "replace", NETWORK, "dev", INTERFACE, "scope", "link", "src", address];
            ip(&[&["-n", side.name()], &route[..], &["congctl", name]].concat())?;
        }
        Ok(())
    }
}

/// A TUN device in `namespace` with this address.
fn interface(namespace: &Namespace, address: &str) -> Result<SyncDevice, Failure> {
    let made = namespace.inside(|| DeviceBuilder::new().name(INTERFACE).build_sync())?;
    let made = made.map_err(Failure::system("making a TUN device"))?;
    let (name, mtu) = (namespace.name(), MTU.to_string());
    ip(&["-n", name, "addr", "add", &format!("{address}/30"), "dev", INTERFACE])?;
    ip(&["-n", name, "link", "set", INTERFACE, "mtu", &mtu, "up"])?;
    Ok(made)
}
