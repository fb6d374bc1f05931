//! The structures of `linux/sctp.h` (RFC 6458 §5.3, §6.1, §8), with their sizes on 64-bit machines.

use super::{Storage, abi};

abi! {
    /// `sctp_initmsg`.
    InitMsg: 8 { num_ostreams: u16, max_instreams: u16, max_attempts: u16, max_init_timeo: u16 }
    /// `sctp_sndinfo`.
    SndInfo: 16 { sid: u16, flags: u16, ppid: u32, context: u32, assoc: i32 }
    /// `sctp_rcvinfo`.
    RcvInfo: 28 {
        sid: u16, ssn: u16, flags: u16, ppid: u32, tsn: u32, cumtsn: u32, context: u32, assoc: i32,
    }
    /// `sctp_prinfo`.
    PrInfo: 8 { policy: u16, value: u32 }
    /// `sctp_authinfo`.
    AuthInfo: 2 { key: u16 }
    /// `sctp_assoc_change`; error causes follow.
    AssocChange: 20 {
        kind: u16, flags: u16, length: u32, state: u16, error: u16, outbound_streams: u16, inbound_streams: u16,
        assoc: i32,
    }
    /// `sctp_paddr_change`.
    PaddrChange: 148 as packed {
        kind: u16, flags: u16, length: u32, address: Storage, state: i32, error: i32, assoc: i32,
    }
    /// `sctp_remote_error`; the error cause follows.
    RemoteError: 16 { kind: u16, flags: u16, length: u32, error: u16, assoc: i32 }
    /// `sctp_send_failed_event`; the data follow.
    SendFailed: 32 {
        kind: u16, flags: u16, length: u32, error: u32, sid: u16, snd_flags: u16, ppid: u32, context: u32,
        snd_assoc: i32, assoc: i32,
    }
    /// `sctp_shutdown_event` and `sctp_sender_dry_event`.
    PlainEvent: 12 { kind: u16, flags: u16, length: u32, assoc: i32 }
    /// `sctp_adaptation_event`.
    AdaptationEvent: 16 { kind: u16, flags: u16, length: u32, indication: u32, assoc: i32 }
    /// `sctp_pdapi_event`.
    PdapiEvent: 24 { kind: u16, flags: u16, length: u32, indication: u32, assoc: i32, stream: u32, seq: u32 }
    /// `sctp_authkey_event`.
    AuthKeyEvent: 20 {
        kind: u16, flags: u16, length: u32, key: u16, alt_key: u16, indication: u32, assoc: i32,
    }
    /// `sctp_stream_reset_event`; the streams follow.
    StreamResetEvent: 12 { kind: u16, flags: u16, length: u32, assoc: i32 }
    /// `sctp_assoc_reset_event`.
    AssocResetEvent: 20 { kind: u16, flags: u16, length: u32, assoc: i32, local_tsn: u32, remote_tsn: u32 }
    /// `sctp_stream_change_event`.
    StreamChangeEvent: 16 { kind: u16, flags: u16, length: u32, assoc: i32, instrms: u16, outstrms: u16 }
    /// `sctp_rtoinfo`.
    RtoInfo: 16 { assoc: i32, initial: u32, max: u32, min: u32 }
    /// `sctp_assocparams`.
    AssocParams: 20 {
        assoc: i32, max_rxt: u16, peer_destinations: u16, peer_rwnd: u32, local_rwnd: u32, cookie_life: u32,
    }
    /// `sctp_prim` and `sctp_setpeerprim`.
    Prim: 132 as packed { assoc: i32, address: Storage }
    /// `sctp_setadaptation`, and options that are a number.
    Number: 4 { value: u32 }
    /// `sctp_paddrparams`.
    PaddrParams: 156 as packed {
        assoc: i32, address: Storage, hb_interval: u32, path_max_rxt: u16, path_mtu: u32, sack_delay: u32, flags: u32,
        flow_label: u32, dscp: u8, padding: u8,
    }
    /// `sctp_authchunk`.
    AuthChunk: 1 { kind: u8 }
    /// `sctp_authkey`; the secret follows.
    AuthKey: 8 { assoc: i32, key: u16, length: u16 }
    /// `sctp_authkeyid`.
    AuthKeyId: 8 { assoc: i32, key: u16 }
    /// `sctp_sack_info`.
    SackInfo: 12 { assoc: i32, delay: u32, freq: u32 }
    /// `sctp_assoc_value`.
    AssocValue: 8 { assoc: i32, value: u32 }
    /// `sctp_stream_value`.
    StreamValue: 8 { assoc: i32, stream: u16, value: u16 }
    /// `sctp_paddrinfo`.
    PaddrInfo: 152 as packed {
        assoc: i32, address: Storage, state: i32, cwnd: u32, srtt: u32, rto: u32, mtu: u32,
    }
    /// `sctp_status`; its last part is a `sctp_paddrinfo`.
    Status: 176 as packed {
        assoc: i32, state: i32, rwnd: u32, unackdata: u16, penddata: u16, instrms: u16, outstrms: u16,
        fragmentation_point: u32, primary_assoc: i32, primary_address: Storage, primary_state: i32, primary_cwnd: u32,
        primary_srtt: u32, primary_rto: u32, primary_mtu: u32,
    }
    /// `sctp_authchunks`; the chunk types follow.
    AuthChunks: 8 { assoc: i32, count: u32 }
    /// `sctp_getaddrs`; the addresses follow.
    GetAddrs: 8 { assoc: i32, count: u32 }
    /// `sctp_assoc_stats`.
    AssocStats: 256 {
        assoc: i32, observed_rto_address: Storage, max_rto: u64, isacks: u64, osacks: u64, opackets: u64,
        ipackets: u64, rtxchunks: u64, outofseqtsns: u64, idupchunks: u64, gapcnt: u64, ouodchunks: u64,
        iuodchunks: u64, oodchunks: u64, iodchunks: u64, octrlchunks: u64, ictrlchunks: u64,
    }
    /// `sctp_peeloff_flags_arg_t`.
    PeelOff: 12 { assoc: i32, descriptor: i32, flags: u32 }
    /// `sctp_paddrthlds_v2`.
    PaddrThresholds: 144 {
        assoc: i32, address: Storage, path_max_rxt: u16, potentially_failed: u16, primary_switchover: u16,
    }
    /// `sctp_prstatus`.
    PrStatus: 24 { assoc: i32, sid: u16, policy: u16, unsent: u64, sent: u64 }
    /// `sctp_default_prinfo`.
    DefaultPrInfo: 12 { assoc: i32, value: u32, policy: u16 }
    /// `sctp_reset_streams`; the streams follow.
    ResetStreams: 8 { assoc: i32, flags: u16, count: u16 }
    /// `sctp_add_streams`.
    AddStreams: 8 { assoc: i32, inbound: u16, outbound: u16 }
    /// `sctp_event`.
    Event: 8 { assoc: i32, kind: u16, on: u8 }
    /// `sctp_udpencaps`.
    UdpEncaps: 144 { assoc: i32, address: Storage, port: u16 }
}
