//! The service manager, driven with mocks of services and toy recipes.

mod configuration;
mod lifecycle;
mod support;
mod wiring;
