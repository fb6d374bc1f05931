//! The numbers of `linux/sctp.h`, in its order.

/// Associations that begin later.
pub(crate) const FUTURE_ASSOC: i32 = 0;
/// Those that are there, and those that begin later.
pub(crate) const ALL_ASSOC: i32 = 2;

// Socket options.
pub(crate) const SCTP_RTOINFO: i32 = 0;
pub(crate) const SCTP_ASSOCINFO: i32 = 1;
pub(crate) const SCTP_INITMSG: i32 = 2;
pub(crate) const SCTP_NODELAY: i32 = 3;
pub(crate) const SCTP_AUTOCLOSE: i32 = 4;
pub(crate) const SCTP_SET_PEER_PRIMARY_ADDR: i32 = 5;
pub(crate) const SCTP_PRIMARY_ADDR: i32 = 6;
pub(crate) const SCTP_ADAPTATION_LAYER: i32 = 7;
pub(crate) const SCTP_DISABLE_FRAGMENTS: i32 = 8;
pub(crate) const SCTP_PEER_ADDR_PARAMS: i32 = 9;
pub(crate) const SCTP_I_WANT_MAPPED_V4_ADDR: i32 = 12;
pub(crate) const SCTP_MAXSEG: i32 = 13;
pub(crate) const SCTP_STATUS: i32 = 14;
pub(crate) const SCTP_GET_PEER_ADDR_INFO: i32 = 15;
pub(crate) const SCTP_DELAYED_SACK: i32 = 16;
pub(crate) const SCTP_CONTEXT: i32 = 17;
pub(crate) const SCTP_FRAGMENT_INTERLEAVE: i32 = 18;
pub(crate) const SCTP_PARTIAL_DELIVERY_POINT: i32 = 19;
pub(crate) const SCTP_MAX_BURST: i32 = 20;
pub(crate) const SCTP_AUTH_CHUNK: i32 = 21;
pub(crate) const SCTP_HMAC_IDENT: i32 = 22;
pub(crate) const SCTP_AUTH_KEY: i32 = 23;
pub(crate) const SCTP_AUTH_ACTIVE_KEY: i32 = 24;
pub(crate) const SCTP_AUTH_DELETE_KEY: i32 = 25;
pub(crate) const SCTP_PEER_AUTH_CHUNKS: i32 = 26;
pub(crate) const SCTP_LOCAL_AUTH_CHUNKS: i32 = 27;
pub(crate) const SCTP_GET_ASSOC_NUMBER: i32 = 28;
pub(crate) const SCTP_GET_ASSOC_ID_LIST: i32 = 29;
pub(crate) const SCTP_AUTO_ASCONF: i32 = 30;
pub(crate) const SCTP_RECVRCVINFO: i32 = 32;
pub(crate) const SCTP_DEFAULT_SNDINFO: i32 = 34;
pub(crate) const SCTP_AUTH_DEACTIVATE_KEY: i32 = 35;
pub(crate) const SCTP_REUSE_PORT: i32 = 36;
pub(crate) const SCTP_PEER_ADDR_THLDS_V2: i32 = 37;
pub(crate) const SCTP_SOCKOPT_BINDX_ADD: i32 = 100;
pub(crate) const SCTP_SOCKOPT_BINDX_REM: i32 = 101;
pub(crate) const SCTP_GET_PEER_ADDRS: i32 = 108;
pub(crate) const SCTP_GET_LOCAL_ADDRS: i32 = 109;
pub(crate) const SCTP_SOCKOPT_CONNECTX3: i32 = 111;
pub(crate) const SCTP_GET_ASSOC_STATS: i32 = 112;
pub(crate) const SCTP_PR_SUPPORTED: i32 = 113;
pub(crate) const SCTP_DEFAULT_PRINFO: i32 = 114;
pub(crate) const SCTP_PR_ASSOC_STATUS: i32 = 115;
pub(crate) const SCTP_PR_STREAM_STATUS: i32 = 116;
pub(crate) const SCTP_RECONFIG_SUPPORTED: i32 = 117;
pub(crate) const SCTP_ENABLE_STREAM_RESET: i32 = 118;
pub(crate) const SCTP_RESET_STREAMS: i32 = 119;
pub(crate) const SCTP_RESET_ASSOC: i32 = 120;
pub(crate) const SCTP_ADD_STREAMS: i32 = 121;
pub(crate) const SCTP_SOCKOPT_PEELOFF_FLAGS: i32 = 122;
pub(crate) const SCTP_STREAM_SCHEDULER: i32 = 123;
pub(crate) const SCTP_STREAM_SCHEDULER_VALUE: i32 = 124;
pub(crate) const SCTP_INTERLEAVING_SUPPORTED: i32 = 125;
pub(crate) const SCTP_EVENT: i32 = 127;
pub(crate) const SCTP_ASCONF_SUPPORTED: i32 = 128;
pub(crate) const SCTP_AUTH_SUPPORTED: i32 = 129;
pub(crate) const SCTP_ECN_SUPPORTED: i32 = 130;
pub(crate) const SCTP_EXPOSE_POTENTIALLY_FAILED_STATE: i32 = 131;
pub(crate) const SCTP_REMOTE_UDP_ENCAPS_PORT: i32 = 132;

// Control messages.
pub(crate) const CMSG_SNDINFO: i32 = 2;
pub(crate) const CMSG_RCVINFO: i32 = 3;
pub(crate) const CMSG_PRINFO: i32 = 5;
pub(crate) const CMSG_AUTHINFO: i32 = 6;

// Flags of messages.
pub(crate) const SCTP_UNORDERED: u16 = 1;
pub(crate) const SCTP_ADDR_OVER: u16 = 2;
pub(crate) const SCTP_ABORT: u16 = 4;
pub(crate) const SCTP_SACK_IMMEDIATELY: u16 = 8;
pub(crate) const SCTP_EOF: u16 = 0x200;
/// Of a received message: it is a notification.
pub(crate) const MSG_NOTIFICATION: i32 = 0x8000;

// Policies of partial reliability.
pub(crate) const SCTP_PR_SCTP_NONE: u16 = 0;
pub(crate) const SCTP_PR_SCTP_TTL: u16 = 0x10;
pub(crate) const SCTP_PR_SCTP_RTX: u16 = 0x20;
pub(crate) const SCTP_PR_SCTP_PRIO: u16 = 0x30;
pub(crate) const SCTP_PR_SCTP_ALL: u16 = 0x80;

// Types of notifications.
pub(crate) const SCTP_ASSOC_CHANGE: u16 = 0x8001;
pub(crate) const SCTP_PEER_ADDR_CHANGE: u16 = 0x8002;
pub(crate) const SCTP_REMOTE_ERROR: u16 = 0x8004;
pub(crate) const SCTP_SHUTDOWN_EVENT: u16 = 0x8005;
pub(crate) const SCTP_PARTIAL_DELIVERY_EVENT: u16 = 0x8006;
pub(crate) const SCTP_ADAPTATION_INDICATION: u16 = 0x8007;
pub(crate) const SCTP_AUTHENTICATION_EVENT: u16 = 0x8008;
pub(crate) const SCTP_SENDER_DRY_EVENT: u16 = 0x8009;
pub(crate) const SCTP_STREAM_RESET_EVENT: u16 = 0x800a;
pub(crate) const SCTP_ASSOC_RESET_EVENT: u16 = 0x800b;
pub(crate) const SCTP_STREAM_CHANGE_EVENT: u16 = 0x800c;
pub(crate) const SCTP_SEND_FAILED_EVENT: u16 = 0x800d;

// States in `sctp_assoc_change`.
pub(crate) const SCTP_COMM_UP: u16 = 0;
pub(crate) const SCTP_COMM_LOST: u16 = 1;
pub(crate) const SCTP_RESTART: u16 = 2;
pub(crate) const SCTP_SHUTDOWN_COMP: u16 = 3;
pub(crate) const SCTP_CANT_STR_ASSOC: u16 = 4;

// States in `sctp_paddr_change`.
pub(crate) const SCTP_ADDR_AVAILABLE: i32 = 0;
pub(crate) const SCTP_ADDR_UNREACHABLE: i32 = 1;
pub(crate) const SCTP_ADDR_REMOVED: i32 = 2;
pub(crate) const SCTP_ADDR_ADDED: i32 = 3;
pub(crate) const SCTP_ADDR_MADE_PRIM: i32 = 4;
pub(crate) const SCTP_ADDR_CONFIRMED: i32 = 5;
pub(crate) const SCTP_ADDR_POTENTIALLY_FAILED: i32 = 6;

/// Flag of `sctp_send_failed_event`: some of the message was sent.
pub(crate) const SCTP_DATA_SENT: u16 = 1;

// Events of `sctp_authkey_event`.
pub(crate) const SCTP_AUTH_NEW_KEY: u32 = 0;
pub(crate) const SCTP_AUTH_FREE_KEY: u32 = 1;
pub(crate) const SCTP_AUTH_NO_AUTH: u32 = 2;

// Flags of the events about re-configuration.
pub(crate) const SCTP_STREAM_RESET_INCOMING_SSN: u16 = 1;
pub(crate) const SCTP_RECONFIG_DENIED: u16 = 4;
pub(crate) const SCTP_RECONFIG_FAILED: u16 = 8;

// Directions of a stream reset.
pub(crate) const SCTP_STREAM_RESET_INCOMING: u16 = 1;
pub(crate) const SCTP_STREAM_RESET_OUTGOING: u16 = 2;

// Requests that are carried out.
pub(crate) const SCTP_ENABLE_RESET_STREAM_REQ: u32 = 1;
pub(crate) const SCTP_ENABLE_RESET_ASSOC_REQ: u32 = 2;
pub(crate) const SCTP_ENABLE_CHANGE_ASSOC_REQ: u32 = 4;

// Flags of `sctp_paddrparams`.
pub(crate) const SPP_HB_ENABLE: u32 = 1;
pub(crate) const SPP_HB_DISABLE: u32 = 2;
pub(crate) const SPP_HB_DEMAND: u32 = 4;
pub(crate) const SPP_PMTUD_ENABLE: u32 = 8;
pub(crate) const SPP_PMTUD_DISABLE: u32 = 0x10;
pub(crate) const SPP_IPV6_FLOWLABEL: u32 = 0x100;
pub(crate) const SPP_DSCP: u32 = 0x200;

// States of associations.
pub(crate) const SCTP_COOKIE_WAIT: i32 = 2;
pub(crate) const SCTP_COOKIE_ECHOED: i32 = 3;
pub(crate) const SCTP_ESTABLISHED: i32 = 4;
pub(crate) const SCTP_SHUTDOWN_PENDING: i32 = 5;
pub(crate) const SCTP_SHUTDOWN_SENT: i32 = 6;
pub(crate) const SCTP_SHUTDOWN_RECEIVED: i32 = 7;

// States of paths.
pub(crate) const SCTP_INACTIVE: i32 = 0;
pub(crate) const SCTP_PF: i32 = 1;
pub(crate) const SCTP_ACTIVE: i32 = 2;

// Stream schedulers.
pub(crate) const SCTP_SS_FCFS: u32 = 0;
pub(crate) const SCTP_SS_PRIO: u32 = 1;
pub(crate) const SCTP_SS_RR: u32 = 2;
pub(crate) const SCTP_SS_FC: u32 = 3;
pub(crate) const SCTP_SS_WFQ: u32 = 4;
