//! What the terminal shows of a session.

use rserpool::session::SessionEvent;

use super::play::{explain, why};

/// A line to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A message of the server.
    Reply(String),
    /// Something about the session.
    Notice(String),
}

/// What to show for an event; `None` for nothing. Bytes that are no text are shown as such, and control characters
/// cannot touch the terminal.
pub fn line(pool: &str, event: &SessionEvent) -> Option<Line> {
    let notice = match event {
        SessionEvent::Message { payload, .. } => {
            let text = String::from_utf8_lossy(payload);
            return Some(Line::Reply(harmless(text.trim_end_matches(['\n', '\r', '\0']))));
        }
        SessionEvent::CookieReceived { .. } => return None,
        SessionEvent::Connected { pe } => format!("element {pe} serves"),
        SessionEvent::FailoverStarted { pe, reason } => format!("element {pe} is given up: {}", why(*reason)),
        SessionEvent::FailoverCompleted { pe, .. } => format!("element {pe} serves now"),
        SessionEvent::Unavailable { reason } => format!("waiting for {pool}: {}", explain(reason)),
        SessionEvent::Ended { .. } => "the session is over".to_owned(),
    };
    Some(Line::Notice(notice))
}

/// `text` with control characters, and those that change the direction of writing, as escapes.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rserpool::ids::PeId;
    use rserpool::session::Unavailable;
    use sctp::serial::{Ppid, StreamId};

    use super::*;

    fn reply(payload: &'static [u8]) -> Option<Line> {
        let payload = Bytes::from_static(payload);
        line(
            "P",
            &SessionEvent::Message {
                stream: StreamId(0),
                ppid: Ppid(0),
                payload,
            },
        )
    }

    #[test]
    fn replies_are_shown_without_their_line_end() {
        assert_eq!(reply(b"hello\r\n"), Some(Line::Reply("hello".to_owned())));
    }

    #[test]
    fn text_is_shown_as_it_is() {
        let text = "it's a \"C:\\\" \u{fc}ber";
        assert_eq!(reply(text.as_bytes()), Some(Line::Reply(text.to_owned())));
    }

    #[test]
    fn a_server_cannot_play_with_the_terminal() {
        let Some(Line::Reply(text)) = reply(b"\x1b[2J\x07\xff") else {
            panic!()
        };
        assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
    }

    #[test]
    fn what_happens_to_the_session_is_told() {
        let pe = PeId::new(7).unwrap();
        let Some(Line::Notice(text)) = line("P", &SessionEvent::Connected { pe }) else {
            panic!()
        };
        assert_eq!(text, "element 0x00000007 serves");
        let waiting = SessionEvent::Unavailable {
            reason: Unavailable::NoElement,
        };
        assert_eq!(
            line("P", &waiting),
            Some(Line::Notice("waiting for P: the pool has no server".to_owned()))
        );
    }
}
