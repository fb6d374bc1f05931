//! What an association makes of a link is known to the digit: virtual time, one seed. A change of it is meant, or a
//! mistake.

#[path = "common/link.rs"]
mod link;

use std::fmt::Write;

/// The table as it was last agreed on, in the order of the links: RFC 9260's controller, CUBIC.
const STORED: &str = include_str!("throughput.txt");

#[test]
fn goodput_over_simulated_links_is_as_stored() {
    let mut table = String::new();
    for figure in link::measure() {
        let link::Figure { name, rfc9260, cubic } = figure;
        writeln!(table, "{name:<26}{rfc9260:>10.3}{cubic:>10.3}").unwrap();
    }
    assert_eq!(
        table, STORED,
        "if this is what you meant, store it in tests/throughput.txt"
    );
}
