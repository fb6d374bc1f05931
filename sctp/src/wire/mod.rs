//! Packets, chunks, parameters and error causes as bytes (RFC 9260 §3).
