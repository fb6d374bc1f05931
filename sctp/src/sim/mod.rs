//! A seeded world of hosts and links.
