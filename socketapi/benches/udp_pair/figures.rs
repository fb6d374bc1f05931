//! The table.

use crate::bulk::Outcome;
use crate::median::median;
use crate::pingpong::Outcome as Trips;

/// What is told at the end: a table for people, and `figure NAME VALUE UNIT` lines.
#[derive(Default)]
pub(crate) struct Figures {
    table: Vec<String>,
    lines: Vec<String>,
    missing: Vec<String>,
}

impl Figures {
    pub(crate) fn text(&mut self, line: impl Into<String>) {
        self.table.push(line.into());
    }

    pub(crate) fn add(&mut self, name: &str, value: f64, unit: &str) {
        let value = match value {
            value if value >= 100.0 => format!("{value:.0}"),
            value => format!("{value:.3}"),
        };
        self.lines
            .push(format!("figure {name} {value} {unit}").trim_end().to_owned());
    }

    /// A row for runs of bulk data, and its two figures; the median rate.
    pub(crate) fn bulk(&mut self, name: &str, outcomes: &[Outcome]) -> Option<f64> {
        if outcomes.is_empty() {
            self.missing(&format!("{name}: no run came to an end"));
            return None;
        }
        let rate = median(outcomes.iter().map(Outcome::mb_per_s));
        let cpu = median(outcomes.iter().map(Outcome::cpu_s_per_gb));
        let mtu = outcomes.iter().filter_map(|outcome| outcome.mtu).max();
        let mtu = mtu.map_or_else(|| "-".to_owned(), |mtu| mtu.to_string());
        self.text(format!("{name:<20} {mtu:>8} {rate:>10.0} {cpu:>12.3}"));
        self.add(&format!("{name}_cpu_s_per_gb"), cpu, "s/GB");
        self.add(&format!("{name}_mb_per_s"), rate, "MB/s");
        Some(rate)
    }

    /// A row for round trips, and how many times those of bare UDP they take.
    pub(crate) fn pingpong(&mut self, name: &str, outcomes: &[Trips], udp: &[Trips]) {
        self.trips(name, outcomes);
        // Of each round for itself, since both were there in the same second.
        let ratio = median(outcomes.iter().zip(udp).map(|(theirs, udp)| theirs.p50 / udp.p50));
        self.text(format!("{name}_over_udp_p50: {ratio:.2}"));
        self.add(&format!("{name}_over_udp_p50"), ratio, "");
    }

    /// A row for round trips.
    pub(crate) fn trips(&mut self, name: &str, outcomes: &[Trips]) {
        let p50 = median(outcomes.iter().map(|outcome| outcome.p50));
        let p99 = median(outcomes.iter().map(|outcome| outcome.p99));
        self.text(format!("{name:<27} p50 {p50:>8.1} us   p99 {p99:>8.1} us"));
        self.add(&format!("{name}_p50"), p50, "us");
        self.add(&format!("{name}_p99"), p99, "us");
    }

    /// Something that could not be measured, and the figures that are left out for it.
    pub(crate) fn missing(&mut self, what: &str) {
        self.missing.push(format!("NOT MEASURED: {what}"));
    }

    pub(crate) fn print(&self) {
        for part in [&self.table, &self.missing, &self.lines] {
            if !part.is_empty() {
                println!("{}\n", part.join("\n"));
            }
        }
    }
}
