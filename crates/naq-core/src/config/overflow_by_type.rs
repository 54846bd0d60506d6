//! The key `overflow_by_type`: a policy for each type of event that has its own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::field::{Field, entry_of_names};
use super::setting::Setting;
use super::{ConfigProblem, KeyDoc, OverflowPolicy};
use crate::events::EventType;
use crate::token::check_type;

impl Field for BTreeMap<String, OverflowPolicy> {
    fn assign(&mut self, key: &str, value: &Value) -> Vec<ConfigProblem> {
        let Value::Object(table) = value else {
            return vec![ConfigProblem::new(key, "must be a table of types with a policy each")];
        };
        let mut problems = Vec::new();
        for (name, value) in table {
            match OverflowPolicy::read(value) {
                Ok(policy) => {
                    self.insert(name.clone(), policy);
                }
                Err(rule) => problems.push(ConfigProblem::new(name, rule).inside(key)),
            }
        }
        problems
    }

    fn problems(&self, key: &str) -> Vec<ConfigProblem> {
        self.keys()
            .filter_map(|name| {
                let rule = match check_type(name) {
                    Err(error) => error.message().to_owned(),
                    Ok(()) if EventType::from(name) == EventType::EventsLost => {
                        "must not be set: such an event is never dropped".to_owned()
                    }
                    Ok(()) => return None,
                };
                Some(ConfigProblem::new(name, rule).inside(key))
            })
            .collect()
    }

    fn docs(&self, key: &str, _range: Option<(String, String)>, help: &[&str]) -> Vec<KeyDoc> {
        vec![entry_of_names::<OverflowPolicy>(key, None, help)]
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{NaqConfig, OverflowPolicy};

    #[test]
    fn a_type_has_a_policy_of_its_own_from_files_and_from_variables() {
        let config = NaqConfig::from_toml_str(
            "[events.overflow_by_type]\nworker_heartbeat = \"drop_newest\"\njob_failed = \"wait\"\n",
        )
        .unwrap()
        .with_vars([("NAQ_EVENTS_OVERFLOW_BY_TYPE_JOB_PROGRESS", "drop_oldest")])
        .unwrap();
        let policies: Vec<_> = config
            .events
            .overflow_by_type
            .iter()
            .map(|(name, policy)| (&**name, *policy))
            .collect();
        assert_eq!(
            policies,
            [
                ("job_failed", OverflowPolicy::Wait),
                ("job_progress", OverflowPolicy::DropOldest),
                ("worker_heartbeat", OverflowPolicy::DropNewest),
            ]
        );
    }

    #[test]
    fn a_wrong_policy_or_type_is_named_with_its_rule() {
        let told = |toml: &str| NaqConfig::from_toml_str(toml).unwrap_err().to_string();
        let error = told("[events.overflow_by_type]\nlog = \"drop\"\n");
        assert!(error.contains("`events.overflow_by_type.log` must be `wait`"), "{error}");
        let error = told("[events.overflow_by_type]\n\"\" = \"fail\"\n");
        assert!(error.contains("events.overflow_by_type"), "{error}");
        let error = told("[events]\noverflow_by_type = \"fail\"\n");
        assert!(error.contains("must be a table of types"), "{error}");
        let error = told("[events.overflow_by_type]\nevents_lost = \"drop_newest\"\n");
        assert!(error.contains("never dropped"), "{error}");
    }
}
