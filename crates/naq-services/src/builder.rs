//! Saying which services there are, and starting them.

use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::{Clock, SystemClock};
use naq_core::config::NaqConfig;
use naq_core::service::{Instances, Interface, Origin, Provide};
use naq_core::{Error, Result};

use crate::check::CheckReport;
use crate::graph::Graph;
use crate::manager::ServiceManager;
use crate::recipe::Recipe;
use crate::standard;
use crate::start::start_all;
use crate::stop::Named;

/// How long [`ServiceManagerBuilder::start`] may take in all, unless told otherwise.
pub const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(60);

/// The services there will be, in any order, and their configuration.
#[derive(Debug)]
pub struct ServiceManagerBuilder {
    pub(crate) config: NaqConfig,
    recipes: Vec<Recipe>,
    instances: Instances,
    provided: Vec<Interface>,
    start_timeout: Duration,
}

impl Default for ServiceManagerBuilder {
    fn default() -> Self {
        Self {
            config: NaqConfig::default(),
            recipes: Vec::new(),
            instances: Instances::new(),
            provided: Vec::new(),
            start_timeout: DEFAULT_START_TIMEOUT,
        }
    }
}

impl ServiceManagerBuilder {
    /// Builds and starts `S`, configured by the section that has its name.
    #[must_use]
    pub fn register<S: Provide>(mut self) -> Self {
        self.recipes.push(Recipe::of::<S>());
        self
    }

    /// Builds and starts `S`, configured by `config`; its section is not read.
    #[must_use]
    pub fn register_with<S: Provide>(mut self, config: S::Config) -> Self {
        self.recipes.push(Recipe::with::<S>(config));
        self
    }

    /// Uses an instance of one's own (a mock, say) as `T`:
    /// `provide::<dyn JetStream>(Arc::new(mock))`.
    ///
    /// It stands for exactly that type and wins over a recipe that offers it;
    /// its life stays with the caller. Several of one type are fine where a
    /// service takes them all.
    #[must_use]
    pub fn provide<T: ?Sized + Send + Sync + 'static>(mut self, instance: Arc<T>) -> Self {
        self.instances.insert(instance, Origin::Provided);
        self.provided.push(Interface::of::<T>());
        self
    }

    /// Sets the whole configuration.
    #[must_use]
    pub fn config(mut self, config: NaqConfig) -> Self {
        self.config = config;
        self
    }

    /// The configuration as it was put together so far.
    ///
    /// For a program with options of its own: read it, change it, and hand it
    /// to [`config`](ServiceManagerBuilder::config).
    #[must_use]
    pub fn current_config(&self) -> &NaqConfig {
        &self.config
    }

    /// How long the start may take in all; [`DEFAULT_START_TIMEOUT`] unless set.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// Finds everything that is wrong at once: dependencies that nobody or
    /// more than one offers, circles, names used twice, keys of the
    /// configuration that don't exist, don't fit, or that nobody claims.
    /// Builds nothing and asks nobody.
    pub fn check(&self) -> CheckReport {
        let standard = self.standard_recipes();
        let recipes: Vec<&Recipe> = self.recipes.iter().chain(&standard).collect();
        let (order, mut problems) = self.graph(&recipes).plan();
        problems.extend(self.config_problems(&recipes));
        let start_order = order.into_iter().map(|index| recipes[index].name).collect();
        CheckReport { problems, start_order }
    }

    /// Checks, builds all, and starts them in the order of their dependencies.
    ///
    /// When one fails, those that had started are stopped again, in reverse
    /// order, before this returns. When this future is dropped half-way, a
    /// task on its runtime does that.
    ///
    /// # Errors
    /// What [`check`](ServiceManagerBuilder::check) finds; the error of the
    /// service that could not be built or started, with its name; `Timeout`
    /// when the [`start_timeout`](ServiceManagerBuilder::start_timeout) passed.
    pub async fn start(self) -> Result<ServiceManager> {
        let timeout = self.start_timeout;
        let Built { instances, services, clock } = self.build()?;
        let services = start_all(services, timeout, Arc::clone(&clock)).await?;
        Ok(ServiceManager::new(instances, services, clock))
    }

    fn build(mut self) -> Result<Built> {
        let standard = self.standard_recipes();
        self.recipes.extend(standard);
        let recipes: Vec<&Recipe> = self.recipes.iter().collect();
        let (start_order, mut problems) = self.graph(&recipes).plan();
        problems.extend(self.config_problems(&recipes));
        CheckReport { problems, start_order: Vec::new() }.into_result()?;

        let Self { config, recipes, mut instances, .. } = self;
        let clock = clock(&mut instances);
        standard::insert_built_in(&mut instances, &clock);
        let mut recipes: Vec<Option<Recipe>> = recipes.into_iter().map(Some).collect();
        let mut services = Vec::with_capacity(recipes.len());
        for recipe in start_order.into_iter().filter_map(|index| recipes[index].take()) {
            let name = recipe.name;
            services.push(Named { name, service: recipe.build(&config, &mut instances)? });
        }
        Ok(Built { instances, services, clock })
    }

    fn graph<'a>(&'a self, recipes: &'a [&'a Recipe]) -> Graph<'a> {
        Graph { recipes, provided: &self.provided }
    }

    /// The standard recipes for what is wanted once and nobody offers, and for
    /// what these want in turn.
    fn standard_recipes(&self) -> Vec<Recipe> {
        let mut added: Vec<Recipe> = Vec::new();
        loop {
            let recipes: Vec<&Recipe> = self.recipes.iter().chain(&added).collect();
            let missing = self.graph(&recipes).missing();
            let next = standard::recipes()
                .into_iter()
                .find(|recipe| missing.iter().any(|interface| recipe.offers(*interface)));
            match next {
                Some(recipe) => added.push(recipe),
                None => return added,
            }
        }
    }

    fn config_problems(&self, recipes: &[&Recipe]) -> Vec<Error> {
        let names: Vec<&str> = recipes.iter().map(|recipe| recipe.name).collect();
        let mut problems = self.config.problems();
        let broken =
            |name: &str| problems.iter().any(|one| one.key.split('.').next() == Some(name));
        // A broken standard section is told key by key, and not by its service once more.
        let recipes = recipes.iter().filter(|recipe| !broken(recipe.name));
        let errors: Vec<Error> = recipes
            .filter_map(|recipe| {
                Some(recipe.config_error(&self.config)?.with("service", recipe.name))
            })
            .collect();
        problems.extend(self.config.extra.unclaimed(&names));
        problems.iter().map(Error::from).chain(errors).collect()
    }
}

/// Built and not yet started.
struct Built {
    instances: Instances,
    /// Dependencies first.
    services: Vec<Named>,
    clock: Arc<dyn Clock>,
}

/// The clock that was handed in, or the system's, which then is among the instances.
fn clock(instances: &mut Instances) -> Arc<dyn Clock> {
    if let Some(provided) = instances.all::<dyn Clock>().into_iter().next() {
        return provided;
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    instances.insert(Arc::clone(&clock), Origin::BuiltIn);
    clock
}
