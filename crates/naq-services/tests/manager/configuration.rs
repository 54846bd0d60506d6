//! Where services get their configuration from, and what is refused.

use naq_core::ErrorKind;
use naq_core::config::{EventsConfig, NaqConfig};
use naq_core::service::{Interfaces, Provide, Service, StopReport};
use naq_core::{Error, Result};
use naq_services::ServiceManager;

use crate::support::Base;

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BillingConfig {
    rate: u32,
}

impl TryFrom<&NaqConfig> for BillingConfig {
    type Error = Error;

    fn try_from(config: &NaqConfig) -> Result<Self> {
        config.extra.section(Billing::NAME)
    }
}

#[derive(Debug)]
struct Billing(BillingConfig);

#[async_trait::async_trait]
impl Service for Billing {
    async fn start(&self) -> Result<()> {
        Ok(())
    }

    async fn stop(&self, _: std::time::Duration) -> Result<StopReport> {
        Ok(StopReport::default())
    }

    async fn health(&self) -> naq_core::service::Health {
        naq_core::service::Health::healthy()
    }
}

impl Provide for Billing {
    const NAME: &'static str = "billing";
    type Deps = ();
    type Config = BillingConfig;

    fn interfaces() -> Interfaces<Self> {
        Interfaces::new()
    }

    fn build((): (), config: BillingConfig) -> Result<Self> {
        Ok(Self(config))
    }
}

#[tokio::test]
async fn a_service_of_ones_own_reads_its_section() {
    let config = NaqConfig::from_vars([("NAQ_BILLING_RATE", "7")]).unwrap();
    let services =
        ServiceManager::builder().config(config).register::<Billing>().start().await.unwrap();
    assert_eq!(services.get::<Billing>().unwrap().0.rate, 7);
    services.stop().await.unwrap();
}

#[test]
fn what_is_wrong_anywhere_in_the_configuration_is_told_at_once() {
    let config = NaqConfig::from_toml_str("[billing]\nrat = 1\n[biling]\n")
        .unwrap()
        .with_vars([("NAQ_NATS_ULR", "nats://h")])
        .unwrap()
        .with_events(EventsConfig::default().with_replicas(9_u32));
    let report = ServiceManager::builder().config(config).register::<Billing>().check();
    let text = report.to_string();
    assert_eq!(report.problems.len(), 4, "{text}");
    for part in [
        "`events.replicas` must be from 1 to 5",
        "unknown field `rat`",
        "`biling` is a section that no service claims; did you mean `billing`?",
        "did you mean `NAQ_NATS_URL`?",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn a_file_is_read_and_named_in_what_is_wrong_with_it() {
    let path = std::env::temp_dir().join(format!("naq-config-{}.toml", std::process::id()));
    std::fs::write(&path, "[billing]\nrate = 3\n").unwrap();
    let read = ServiceManager::builder().config_file(&path);
    std::fs::write(&path, "[events]\nreplicas = 9\n").unwrap();
    let refused = ServiceManager::builder().config_file(&path);
    std::fs::remove_file(&path).unwrap();
    let gone = ServiceManager::builder().config_file(&path);

    assert!(read.unwrap().register::<Billing>().check().is_ok());
    for error in [refused.unwrap_err(), gone.unwrap_err()] {
        assert!(error.is(ErrorKind::Config));
        assert_eq!(error.get("file"), path.to_str());
    }
}

#[test]
fn a_file_without_end_is_refused() {
    if cfg!(unix) {
        let error = ServiceManager::builder().config_file("/dev/zero").unwrap_err();
        assert!(format!("{error:?}").contains("longer than 1 MiB"), "{error:?}");
    }
}

#[tokio::test]
async fn a_configuration_in_code_beats_the_section() {
    let config = NaqConfig::from_vars([("NAQ_BILLING_RATE", "many")]).unwrap();
    let services = ServiceManager::builder()
        .config(config)
        .register_with::<Billing>(BillingConfig { rate: 1 })
        .register::<Base>()
        .start()
        .await
        .unwrap();
    assert_eq!(services.get::<Billing>().unwrap().0.rate, 1);
    services.stop().await.unwrap();
}
