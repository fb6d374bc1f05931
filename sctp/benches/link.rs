//! What one association makes of a link, as a table. `tests/throughput.rs` compares it with a stored one.
//!
//! ```text
//! cargo bench -p sctp --bench link
//! ```

#![allow(clippy::disallowed_macros, reason = "a benchmark prints")]

#[path = "../tests/common/link.rs"]
mod link;

fn main() {
    println!(
        "goodput of bulk messages of {} bytes in Mbit/s, seed 1, one association\n",
        link::MESSAGE
    );
    println!("{:<26}{:>10}{:>10}", "", "RFC 9260", "CUBIC");
    let figures = link::measure();
    for figure in &figures {
        let digits = if figure.name == link::FAIRNESS { 3 } else { 1 };
        let link::Figure { name, rfc9260, cubic } = figure;
        println!("{name:<26}{rfc9260:>10.digits$}{cubic:>10.digits$}");
    }
    println!(
        "({}: Jain's index of two associations on the first link)\n",
        link::FAIRNESS
    );
    for figure in &figures {
        let (digits, unit) = if figure.name == link::FAIRNESS {
            (3, "index")
        } else {
            (1, "Mbit/s")
        };
        println!("figure {} {:.digits$} {unit}", figure.name, figure.cubic);
        println!("figure {}_rfc9260 {:.digits$} {unit}", figure.name, figure.rfc9260);
    }
}
