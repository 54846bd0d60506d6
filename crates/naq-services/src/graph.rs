//! Who depends on whom, read off the recipes, and in which order they can start.

use naq_core::service::{Arity, Interface, Want};
use naq_core::{Error, ErrorKind};

use crate::hints;
use crate::recipe::Recipe;
use crate::standard;

/// All that can be had: by recipe, handed in by the user, and built in.
pub(crate) struct Graph<'a> {
    pub(crate) recipes: &'a [&'a Recipe],
    pub(crate) provided: &'a [Interface],
}

/// Who serves one dependency.
enum Served {
    /// These recipes (by index); for `Vec` dependencies any number.
    ByRecipes(Vec<usize>),
    /// Somebody without a recipe, or nobody where nobody is needed.
    WithoutRecipe,
    /// Nobody.
    Missing,
    /// More than one where one is wanted: what they are.
    Several(Vec<String>),
}

impl Graph<'_> {
    /// The interfaces that somebody wants one of and nobody offers.
    pub(crate) fn missing(&self) -> Vec<Interface> {
        self.recipes
            .iter()
            .flat_map(|recipe| &recipe.wants)
            .filter(|want| matches!(self.serve(want), Served::Missing))
            .map(|want| want.interface)
            .collect()
    }

    /// The order in which to start: dependencies first, else as registered.
    /// Everything wrong is in the second list.
    pub(crate) fn plan(&self) -> (Vec<usize>, Vec<Error>) {
        let mut problems = self.double_names();
        let mut edges: Vec<Vec<usize>> = Vec::with_capacity(self.recipes.len());
        for recipe in self.recipes {
            let mut needs = Vec::new();
            for want in &recipe.wants {
                match self.serve(want) {
                    Served::ByRecipes(recipes) => needs.extend(recipes),
                    Served::WithoutRecipe => {}
                    Served::Missing => problems.push(hints::missing(want.interface, recipe.name)),
                    Served::Several(who) => {
                        problems.push(several(want.interface, recipe.name, &who));
                    }
                }
            }
            edges.push(needs);
        }
        let (order, cycles) = Walk::over(&edges).finish();
        problems.extend(cycles.iter().map(|cycle| self.cycle(cycle)));
        (order, problems)
    }

    fn serve(&self, want: &Want) -> Served {
        let interface = want.interface;
        let recipes: Vec<usize> = self
            .recipes
            .iter()
            .enumerate()
            .filter(|(_, recipe)| recipe.offers(interface))
            .map(|(index, _)| index)
            .collect();
        if want.arity == Arity::All {
            return Served::ByRecipes(recipes);
        }
        // The same order of precedence as `Instances::preferred` has.
        match self.provided.iter().filter(|one| **one == interface).count() {
            0 => {}
            1 => return Served::WithoutRecipe,
            count => return Served::Several(vec![format!("{count} provided instances")]),
        }
        match recipes.len() {
            0 => {}
            1 => return Served::ByRecipes(recipes),
            _ => {
                let names = recipes.iter().map(|index| format!("{:?}", self.recipes[*index]));
                return Served::Several(names.collect());
            }
        }
        if standard::built_in().contains(&interface) || want.arity == Arity::Optional {
            Served::WithoutRecipe
        } else {
            Served::Missing
        }
    }

    fn double_names(&self) -> Vec<Error> {
        let mut problems = Vec::new();
        for (index, recipe) in self.recipes.iter().enumerate() {
            // One problem per repetition: the first of a name is in order.
            let Some(first) = self.recipes[..index].iter().find(|other| other.name == recipe.name)
            else {
                continue;
            };
            let hint = if first.service == recipe.service {
                "register each service once"
            } else {
                "give one of the recipes another NAME: it is also its section of the configuration"
            };
            problems.push(
                Error::new(ErrorKind::Config, "check", "two services have the same name")
                    .with("name", recipe.name)
                    .with("services", format!("{}, {}", first.service, recipe.service))
                    .with_hint(hint),
            );
        }
        problems
    }

    fn cycle(&self, cycle: &[usize]) -> Error {
        let names: Vec<&str> =
            cycle.iter().chain(cycle.first()).map(|index| self.recipes[*index].name).collect();
        Error::new(ErrorKind::Config, "check", "services depend on each other in a circle")
            .with("cycle", names.join(" → "))
            .with_hint("one of them must do without another, or be provided from outside")
    }
}

fn several(interface: Interface, wanted_by: &str, who: &[String]) -> Error {
    Error::new(ErrorKind::Config, "check", "several offer what is wanted once")
        .with("interface", interface.name())
        .with("offered_by", who.join(", "))
        .with("wanted_by", wanted_by)
        .with_hint(format!(
            "register one of them alone, or say which with provide::<{interface}>(…)"
        ))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// On the path that is being walked: meeting it again closes a circle.
    OnPath,
    Done,
}

/// A depth-first walk that lists dependencies before their dependants.
struct Walk<'a> {
    edges: &'a [Vec<usize>],
    marks: Vec<Mark>,
    path: Vec<usize>,
    order: Vec<usize>,
    cycles: Vec<Vec<usize>>,
}

impl<'a> Walk<'a> {
    fn over(edges: &'a [Vec<usize>]) -> Self {
        let marks = vec![Mark::New; edges.len()];
        Self { edges, marks, path: Vec::new(), order: Vec::new(), cycles: Vec::new() }
    }

    fn finish(mut self) -> (Vec<usize>, Vec<Vec<usize>>) {
        for node in 0..self.edges.len() {
            self.visit(node);
        }
        (self.order, self.cycles)
    }

    fn visit(&mut self, node: usize) {
        match self.marks[node] {
            Mark::Done => {}
            Mark::OnPath => {
                let start = self.path.iter().position(|other| *other == node).unwrap_or(0);
                self.cycles.push(self.path[start..].to_vec());
            }
            Mark::New => {
                self.marks[node] = Mark::OnPath;
                self.path.push(node);
                for next in &self.edges[node] {
                    self.visit(*next);
                }
                self.path.pop();
                self.marks[node] = Mark::Done;
                self.order.push(node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_before_their_dependants_and_each_once() {
        let edges = [vec![2, 1], vec![2], vec![], vec![0]];
        assert_eq!(Walk::over(&edges).finish(), (vec![2, 1, 0, 3], vec![]));
    }

    #[test]
    fn every_circle_is_found_and_a_tail_into_it_is_no_part_of_it() {
        let edges = [vec![1], vec![2], vec![1], vec![3]];
        let (_, cycles) = Walk::over(&edges).finish();
        assert_eq!(cycles, [vec![1, 2], vec![3]]);
    }
}
