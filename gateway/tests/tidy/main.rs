//! What the sources promise: who may name whom, one owner per outside crate, short finished files.
//!
//! A rule is a function from a source to its faults. Each has one test over the whole workspace, and is shown sources
//! that break it, so that a rule which sees nothing fails too.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod broken;
mod habits;
mod imports;
mod source;

use source::{Fault, Source};

/// A promise about one source.
type Rule = fn(&Source) -> Vec<Fault>;

fn holds(rule: Rule) {
    let faults: Vec<_> = source::workspace().iter().flat_map(rule).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

macro_rules! promises {
    ($($name:ident: $rule:path;)+) => { $(#[test] fn $name() { holds($rule); })+ };
}

promises! {
    imports_point_from_the_program_down_to_the_sockets: imports::one_way;
    each_outside_crate_has_one_owner: imports::one_owner;
    nothing_below_the_routes_knows_http: imports::no_http_below_routes;
    gateway_and_agent_do_not_know_each_other: imports::strangers;
    no_file_is_longer_than_400_lines: habits::short;
    every_file_begins_with_what_it_is_for: habits::introduced;
    nothing_is_left_for_later: habits::finished;
    every_test_runs: habits::tests_run;
    modules_have_names: habits::named;
    nothing_panics_outside_tests: habits::no_panics;
    no_test_waits_for_time_to_pass: habits::no_naps;
    failure_status_codes_are_in_problem_alone: habits::one_place_for_failures;
}
