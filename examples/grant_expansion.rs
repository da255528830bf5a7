//! A long expansion of access grants that an operator can follow.
//!
//! A sync expands grants along a graph: who is in a group has the group's roles.
//! Each action reads the grants of one entitlement, and may find more actions, so
//! that nobody knows how long it takes. After each round the expansion reports how
//! many actions remain and how much it has decompressed. Both are levels; the
//! counters are made from the same two numbers:
//!
//! | metric | field | on a scrape |
//! |---|---|---|
//! | `baton.sync.expand.actions_remaining` | `gauge.` | `baton_sync_expand_actions_remaining` |
//! | `baton.sync.expand.actions_burned` | `decrease.` | `baton_sync_expand_actions_burned_total` |
//! | `baton.sync.expand.decompressed_bytes` | `gauge.` | `baton_sync_expand_decompressed_bytes` |
//! | `baton.sync.expand.decompressed_bytes_delta` | `increase.` | `baton_sync_expand_decompressed_bytes_delta_total` |
//!
//! # Burning or wedged?
//!
//! The gauge alone does not tell: it goes up and down while all is well. The
//! counter says whether it went down at all. This lists the wedged connectors:
//!
//! ```promql
//! rate(baton_sync_expand_actions_burned_total[5m]) == 0
//!   and baton_sync_expand_actions_remaining > 0
//! ```
//!
//! The first report starts the counter at 0, so that a connector that has never
//! burned anything is listed, too. So is a queue that found at least as much as it
//! burned, in each round of five minutes. It still reads:
//! `rate(baton_sync_expand_decompressed_bytes_delta_total[5m])` is above 0. If that
//! is 0 as well, page somebody.
//!
//! Run it with `cargo run --all-features --example grant_expansion`.
#![allow(clippy::print_stdout, reason = "an example shows its output")]

use std::collections::VecDeque;
use std::error::Error;

use tracing::{info, instrument};

/// The spans' fields that label everything that is measured inside them.
pub const INHERITED_LABELS: [&str; 2] = ["connector_id", "tenant_id"];

/// Lists the connectors that have work and do none of it.
pub const WEDGED: &str = "rate(baton_sync_expand_actions_burned_total[5m]) == 0 \
                          and baton_sync_expand_actions_remaining > 0";

fn main() -> Result<(), Box<dyn Error>> {
    use tracing_subscriber::layer::SubscriberExt;

    let recorder = tracing_meter::Boundaries::new()
        .prometheus_builder()?
        .build_recorder();
    let prometheus = recorder.handle();
    let meter = tracing_meter::builder()
        .inherited_labels(INHERITED_LABELS)
        .sink(tracing_meter::FacadeSink::new(recorder))
        .build()?;
    let subscriber = tracing_subscriber::registry().with(meter);
    tracing::subscriber::set_global_default(subscriber)?;

    println!("Two connectors expand their grants; a scrape after each round shows:\n");
    run(|round| {
        println!("round {round}");
        show(&prometheus.render(), "baton_sync_expand_actions_");
    });
    println!("\nokta-prod burns: actions_burned_total rises, but for the round in which the");
    println!("queue grew. github-legacy is wedged: actions remain, and none was burned.");
    println!("An operator asks for the wedged ones:\n\n  {WEDGED}\n");
    println!("The last scrape:\n");
    show(&prometheus.render(), "baton_sync_expand_");
    Ok(())
}

/// Prints the sample lines that start so, in an order that stays.
fn show(scrape: &str, metrics: &str) {
    let mut lines: Vec<_> = scrape.lines().collect();
    lines.sort_unstable();
    for line in lines.iter().filter(|line| line.starts_with(metrics)) {
        println!("  {line}");
    }
}

/// Expands the grants of a healthy connector and of a wedged one, round by round,
/// and calls `look` after each, as a scraper would.
pub fn run(mut look: impl FnMut(usize)) {
    describe_metrics();
    let mut connectors = [Connector::healthy(), Connector::wedged()];
    for round in 0..7 {
        for connector in &mut connectors {
            connector.sync(round);
        }
        look(round);
    }
}

/// Said once, at start-up.
fn describe_metrics() {
    info!(
        describe.baton.sync.expand.actions_remaining = "Actions that are still to be expanded.",
        describe.baton.sync.expand.actions_burned =
            "Actions by which the remaining ones went down. Flat while actions remain: wedged.",
    );
    info!(
        describe.baton.sync.expand.decompressed_bytes = "Bytes that this sync has decompressed.",
        unit.baton.sync.expand.decompressed_bytes = "By",
        describe.baton.sync.expand.decompressed_bytes_delta =
            "Bytes by which the decompressed ones went up. Rising: the sync still reads.",
        unit.baton.sync.expand.decompressed_bytes_delta = "By",
    );
}

struct Connector {
    id: &'static str,
    tenant: &'static str,
    expansion: Expansion,
}

impl Connector {
    fn healthy() -> Self {
        let groups = [
            "group:sales",
            "group:ops",
            "group:dev",
            "group:data",
            "group:hr",
        ];
        Self {
            id: "okta-prod",
            tenant: "acme",
            expansion: Expansion::resume(groups, 100 * MEGABYTE),
        }
    }

    fn wedged() -> Self {
        Self {
            id: "github-legacy",
            tenant: "globex",
            expansion: Expansion::resume(["org:archived", "team:web", "team:api"], 40 * MEGABYTE),
        }
    }

    /// The only place that knows who is expanding, and for whom.
    #[instrument(skip_all, fields(connector_id = self.id, tenant_id = self.tenant))]
    fn sync(&mut self, round: usize) {
        // The first report comes before any work: it is what later ones are held against.
        if round > 0 {
            self.expansion.expand_batch();
        }
        self.expansion.report();
    }
}

const BATCH: usize = 2;
const MEGABYTE: u64 = 1_000_000;

struct Expansion {
    /// The entitlements whose grants are still to be expanded.
    actions: VecDeque<&'static str>,
    decompressed_bytes: u64,
}

impl Expansion {
    /// Goes on from a checkpoint.
    fn resume(actions: impl IntoIterator<Item = &'static str>, decompressed_bytes: u64) -> Self {
        Self {
            actions: actions.into_iter().collect(),
            decompressed_bytes,
        }
    }

    fn expand_batch(&mut self) {
        for _ in 0..BATCH {
            let Some(entitlement) = self.actions.pop_front() else {
                return;
            };
            match read_grants(entitlement) {
                Ok(grants) => {
                    self.decompressed_bytes += grants.bytes;
                    self.actions.extend(grants.lead_to);
                }
                // The order matters, so the others wait for this one: a wedge.
                Err(Locked) => return self.actions.push_front(entitlement),
            }
        }
    }

    fn report(&self) {
        let remaining = self.actions.len();
        let bytes = self.decompressed_bytes;
        info!(
            gauge.baton.sync.expand.actions_remaining = remaining,
            decrease.baton.sync.expand.actions_burned = remaining,
            gauge.baton.sync.expand.decompressed_bytes = bytes,
            increase.baton.sync.expand.decompressed_bytes_delta = bytes,
            "expanding grants"
        );
    }
}

/// The grants of one entitlement, and the entitlements that they lead to.
struct Grants {
    bytes: u64,
    lead_to: &'static [&'static str],
}

/// Somebody else holds the page and does not let go.
struct Locked;

/// Stands for the store of the sync.
fn read_grants(entitlement: &str) -> Result<Grants, Locked> {
    let (megabytes, lead_to): (u64, &[&str]) = match entitlement {
        "org:archived" => return Err(Locked),
        "group:sales" | "group:ops" => (5, &[]),
        "group:dev" => (12, &["role:push", "role:review", "role:deploy"]),
        "group:data" => (8, &["role:query", "role:load", "role:export"]),
        _ => (4, &[]),
    };
    let bytes = megabytes * MEGABYTE;
    Ok(Grants { bytes, lead_to })
}
