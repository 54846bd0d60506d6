//! A recipe with its types erased: what the graph and the builder need of it.

use std::fmt;
use std::sync::Arc;

use naq_core::config::NaqConfig;
use naq_core::service::{Deps, Instances, Interface, Provide, Service, Want};
use naq_core::{Error, Result};

type Check = Box<dyn Fn(&NaqConfig) -> Option<Error> + Send>;
type Build = Box<dyn FnOnce(&NaqConfig, &mut Instances) -> Result<Arc<dyn Service>> + Send>;

/// How to build one service.
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) service: Interface,
    pub(crate) wants: Vec<Want>,
    pub(crate) offers: Vec<Interface>,
    check: Check,
    build: Build,
}

impl Recipe {
    /// Configured by its section.
    pub(crate) fn of<S: Provide>() -> Self {
        Self::new::<S>(|config| read::<S>(config).err(), read::<S>)
    }

    /// Configured by `config`, whatever its section says.
    pub(crate) fn with<S: Provide>(config: S::Config) -> Self {
        Self::new::<S>(|_| None, move |_| Ok(config))
    }

    fn new<S: Provide>(
        check: impl Fn(&NaqConfig) -> Option<Error> + Send + 'static,
        config: impl FnOnce(&NaqConfig) -> Result<S::Config> + Send + 'static,
    ) -> Self {
        Self {
            name: S::NAME,
            service: Interface::of::<S>(),
            wants: S::Deps::wants(),
            offers: S::interfaces().list(),
            check: Box::new(check),
            build: Box::new(move |from, instances| {
                let deps = S::Deps::resolve(instances)?;
                let service = Arc::new(S::build(deps, config(from)?)?);
                instances.insert_service(&service, &S::interfaces());
                Ok(service)
            }),
        }
    }

    /// What is wrong with its configuration.
    pub(crate) fn config_error(&self, config: &NaqConfig) -> Option<Error> {
        (self.check)(config)
    }

    /// Builds the service and adds it to the instances, under all its interfaces.
    pub(crate) fn build(
        self,
        config: &NaqConfig,
        instances: &mut Instances,
    ) -> Result<Arc<dyn Service>> {
        (self.build)(config, instances).map_err(|error| error.with("service", self.name))
    }

    pub(crate) fn offers(&self, interface: Interface) -> bool {
        self.offers.contains(&interface)
    }
}

fn read<S: Provide>(config: &NaqConfig) -> Result<S::Config> {
    S::Config::try_from(config).map_err(Into::into)
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.service)
    }
}
