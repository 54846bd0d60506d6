//! Which stream takes a subject.

use std::collections::HashMap;

use naq_core::jetstream::subject_matches;

/// The subjects of all streams by the literal tokens that they begin with, two
/// at most: a thousand buckets `$KV.<name>.>` cost a publish no more than one.
#[derive(Debug, Default)]
pub(crate) struct Routes(HashMap<String, Vec<Route>>);

#[derive(Debug)]
struct Route {
    filter: String,
    stream: String,
}

impl Routes {
    pub(crate) fn add(&mut self, stream: &str, filters: &[String]) {
        for filter in filters {
            let route = Route { filter: filter.clone(), stream: stream.to_owned() };
            self.0.entry(literal_start(filter).to_owned()).or_default().push(route);
        }
    }

    pub(crate) fn remove(&mut self, stream: &str, filters: &[String]) {
        for filter in filters {
            let start = literal_start(filter);
            if let Some(routes) = self.0.get_mut(start) {
                routes.retain(|route| route.stream != stream);
                if routes.is_empty() {
                    self.0.remove(start);
                }
            }
        }
    }

    /// The stream that takes a subject; streams don't overlap, so there is one at most.
    pub(crate) fn find(&self, subject: &str) -> Option<&str> {
        let mut dots = subject.match_indices('.').map(|(at, _)| at);
        let one = dots.next().unwrap_or(subject.len());
        let two = dots.next().unwrap_or(subject.len());
        [&subject[..two], &subject[..one], ""]
            .into_iter()
            .filter_map(|start| self.0.get(start))
            .flatten()
            .find(|route| subject_matches(&route.filter, subject))
            .map(|route| route.stream.as_str())
    }
}

/// The tokens before the first wildcard, two at most.
fn literal_start(filter: &str) -> &str {
    let mut end = 0;
    for token in filter.split('.').take(2) {
        if token == "*" || token == ">" {
            break;
        }
        end += token.len() + usize::from(end > 0);
    }
    &filter[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_finds_its_stream_by_any_start() {
        let mut routes = Routes::default();
        let filters = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        routes.add("kv", &filters(&["$KV.a.>"]));
        routes.add("events", &filters(&["events.>", "literal"]));
        routes.add("wild", &filters(&["*.x.y", "one.*"]));
        for (subject, want) in [
            ("$KV.a.k", Some("kv")),
            ("$KV.b.k", None),
            ("$KV.a", None),
            ("events.a.b.c", Some("events")),
            ("literal", Some("events")),
            ("q.x.y", Some("wild")),
            ("one.z", Some("wild")),
            ("one", None),
        ] {
            assert_eq!(routes.find(subject), want, "{subject}");
        }
        routes.remove("events", &filters(&["events.>", "literal"]));
        assert_eq!(routes.find("literal"), None);
        routes.remove("kv", &filters(&["$KV.a.>"]));
        routes.remove("wild", &filters(&["*.x.y", "one.*"]));
        assert!(routes.0.is_empty());
    }
}
