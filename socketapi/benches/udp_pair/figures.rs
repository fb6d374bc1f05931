//! Medians, and the table.

use crate::bulk::Outcome;
use crate::pingpong::Outcome as Trips;

/// The smallest value that so many percent of the values do not exceed.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&values.into_iter().collect::<Vec<_>>(), 50)
}

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

    /// Rows for round trips of ours and of bare UDP, and what is between them.
    pub(crate) fn pingpong(&mut self, name: &str, ours: &[Trips], udp_name: &str, udp: &[Trips]) {
        self.trips(udp_name, udp);
        self.pingpong_ours(name, ours, udp);
    }

    /// The same without those of bare UDP, which have their row.
    pub(crate) fn pingpong_ours(&mut self, name: &str, ours: &[Trips], udp: &[Trips]) {
        self.trips(name, ours);
        // Of each round for itself, since both were there in the same second.
        let ratio = median(ours.iter().zip(udp).map(|(ours, udp)| ours.p50 / udp.p50));
        self.text(format!("{name}_over_udp_p50: {ratio:.2}"));
        self.add(&format!("{name}_over_udp_p50"), ratio, "");
    }

    fn trips(&mut self, name: &str, outcomes: &[Trips]) {
        let p50 = median(outcomes.iter().map(|outcome| outcome.p50));
        let p99 = median(outcomes.iter().map(|outcome| outcome.p99));
        self.text(format!("{name:<20} p50 {p50:>8.1} us   p99 {p99:>8.1} us"));
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
