//! The promises of BugSage, one file each, tested from outside over real processes.

mod support;

// The SDK, in the order in which a report travels.
mod sdk_panics; // whatever panics is taken down
mod sdk_hooks; // beside hooks of the app's own
mod sdk_builds; // however the program was built
mod stacks; // whose a frame is
mod sdk_abort; // where a panic ends the process
mod sdk_errors; // what the app hands over or logs
mod sdk_context; // what surrounds a report
mod sdk_spans; // and when, in which trace
mod sdk_http; // in servers, and from one to the next
mod sdk_requests; // whatever clients, services and handlers do
mod sdk_start; // with good, wrong and no settings
mod sdk_wire; // what goes over the wire, and how little
mod sdk_delivery; // nothing is lost or sent twice without being counted
mod sdk_control; // how much is reported, whoever says so
mod sdk_transport; // by which way
mod sdk_fork; // from a process that was copied
mod sdk_spool; // what was captured outlives the process
mod runs; // what became of a process, whether it failed or not
mod sdk_shutdown; // the guard's time is bounded, whatever the network does
mod sdk_examples; // the examples do what they say
mod sdk_docs; // and so does the documentation
#[cfg(feature = "aws-lc")]
mod sdk_tls; // the app's own TLS stays its own
#[cfg(feature = "aws-lc")]
mod sdk_proxy; // by way of a proxy, where the environment names one

// The collector, in the order in which a batch travels.
mod collector_refusals; // bad input gets its reason and costs nobody else
mod collector_memory; // whatever comes, memory is bounded
mod collector_bombs; // nor what it costs to refuse it
mod collector_slow; // slow clients wait for themselves
mod collector_limits; // who sends too much is told so, and costs nobody else
mod collector_once; // what comes twice counts once
mod collector_duplicates; // however often, by whatever way, under load
mod collector_clock; // whatever the clock says
mod collector_ledger; // and all of it is accounted for
mod collector_quarantine; // what the collector fails at is kept as it came
mod collector_crash; // what was acknowledged survives `kill -9`
mod collector_disk; // an acknowledgement means a sync
mod collector_power; // no power cut takes it back
mod collector_faults; // nor any error of the disk
mod collector_rot; // nor does a bit that flips change a count unseen
mod collector_backup; // a copy is whole, and comes back
mod grouping; // one bug is one issue, whatever the build
mod regroup; // and whatever people say
mod collector_regression; // resolved stays resolved until a newer release has it
mod collector_forwarding; // what is worth a case gets one
mod traces; // a trace is whole, and each of its spans accounted for
mod settings; // who follows it does what its project asks
mod collector_sdk; // what the app saw is what the issue says

// Who runs it.
mod config; // what is set is checked as a whole
mod operations; // metrics are true, readiness is honest

// The pipeline, from an explained issue to a branch.
mod fix; // proved in a sandbox, approved by a person, applied once

// Where code that nobody has read is run.
#[cfg(feature = "probe")]
mod sandbox; // what means harm does none

// What people and programs see of it.
mod pages; // small, safe, and only for this machine
mod cli; // a contract
mod demo; // the whole main job on a real crate
