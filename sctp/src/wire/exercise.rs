//! The codec driven as far as it goes, for tests and fuzzing: everything is read down to its last field, and written
//! again.

use crate::error::DecodeError;
use crate::tlv::Writer;
use crate::wire::*;

/// Parses a packet, reads each chunk down to its last field, and writes what was read.
pub(crate) fn rewrite(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let packet = Packet::parse(bytes, ChecksumRule::Verify)?;
    packet.check_bundling()?;
    let mut buf = Vec::new();
    let mut builder = PacketBuilder::begin(&mut buf, &packet.header);
    for raw in packet.chunks() {
        rewrite_chunk(&Chunk::parse(&raw?)?, builder.buf())?;
    }
    assert_eq!(builder.finish(), buf.len());
    Ok(buf)
}

fn rewrite_chunk(chunk: &Chunk<'_>, buf: &mut Vec<u8>) -> Result<(), DecodeError> {
    match chunk {
        Chunk::Data(data) => write_data(buf, &data.header(), data.payload),
        Chunk::Init(init) => rewrite_init(buf, ChunkType::INIT, init)?,
        Chunk::InitAck(init) => rewrite_init(buf, ChunkType::INIT_ACK, init)?,
        Chunk::Sack(sack) => {
            let gaps: Vec<_> = sack.gaps.clone().collect();
            let duplicates: Vec<_> = sack.duplicates.clone().collect();
            write_sack(buf, sack.cumulative_tsn_ack, sack.a_rwnd, &gaps, &duplicates);
        }
        Chunk::Heartbeat(heartbeat) => write_heartbeat(buf, heartbeat.info),
        Chunk::HeartbeatAck(heartbeat) => write_heartbeat_ack(buf, heartbeat.info),
        Chunk::Abort(abort) => {
            let causes = abort.causes.clone().collect::<Result<Vec<_>, _>>()?;
            write_abort(buf, abort.tag_reflected, |w| write_causes(w, &causes));
        }
        Chunk::Error(error) => {
            let causes = error.causes.clone().collect::<Result<Vec<_>, _>>()?;
            write_error(buf, |w| write_causes(w, &causes));
        }
        Chunk::Shutdown(shutdown) => write_shutdown(buf, shutdown.cumulative_tsn_ack),
        Chunk::ShutdownAck => write_shutdown_ack(buf),
        Chunk::CookieEcho(echo) => write_cookie_echo(buf, echo.cookie),
        Chunk::CookieAck => write_cookie_ack(buf),
        Chunk::EcnEcho(echo) => write_ecne(buf, echo.lowest_tsn),
        Chunk::Cwr(cwr) => write_cwr(buf, cwr.lowest_tsn),
        Chunk::ShutdownComplete(complete) => write_shutdown_complete(buf, complete.tag_reflected),
        Chunk::Auth(auth) => {
            let range = write_auth(buf, auth.shared_key, auth.hmac_id, auth.hmac.len());
            fill_in_hmac(buf, range, auth.hmac);
        }
        Chunk::IData(data) => write_i_data(buf, &data.header, data.payload),
        Chunk::Asconf(asconf) => {
            let requests = asconf.requests.clone().collect::<Result<Vec<_>, _>>()?;
            write_asconf(buf, asconf.serial, asconf.address, |w| {
                requests.iter().for_each(|request| match request.change {
                    Some(change) => change.write(w, request.correlation_id),
                    None => w.tlv(request.tlv.kind, |w| w.bytes(request.tlv.value)),
                });
            });
        }
        Chunk::AsconfAck(ack) => {
            let responses = ack.responses.clone().collect::<Result<Vec<_>, _>>()?;
            let causes = responses.iter().map(causes_of).collect::<Result<Vec<_>, _>>()?;
            write_asconf_ack(buf, ack.serial, |w| {
                for (response, causes) in responses.iter().zip(&causes) {
                    match response {
                        AsconfResponse::Success(id) => write_success_indication(w, *id),
                        AsconfResponse::Error { correlation_id, .. } => {
                            write_error_cause_indication(w, *correlation_id, |w| write_causes(w, causes));
                        }
                        AsconfResponse::Unknown(tlv) => w.tlv(tlv.kind, |w| w.bytes(tlv.value)),
                    }
                }
            });
        }
        Chunk::Reconfig(reconfig) => {
            let params = reconfig.params.clone().collect::<Result<Vec<_>, _>>()?;
            write_reconfig(buf, |w| params.iter().for_each(|param| param.write(w)));
        }
        Chunk::Pad(data) => write_chunk(buf, ChunkType::PAD, 0, data),
        Chunk::ForwardTsn(forward) => {
            let streams: Vec<_> = forward.streams.clone().collect();
            write_forward_tsn(buf, forward.new_cumulative_tsn, &streams);
        }
        Chunk::IForwardTsn(forward) => {
            let messages: Vec<_> = forward.messages.clone().collect();
            write_i_forward_tsn(buf, forward.new_cumulative_tsn, &messages);
        }
        Chunk::Unknown(raw) => write_chunk(buf, raw.kind, raw.flags, raw.value),
    }
    Ok(())
}

/// The causes of a response, if it has any.
fn causes_of<'a>(response: &AsconfResponse<'a>) -> Result<Vec<Cause<'a>>, DecodeError> {
    match response {
        AsconfResponse::Error { causes, .. } => causes.clone().collect(),
        _ => Ok(Vec::new()),
    }
}

fn rewrite_init(buf: &mut Vec<u8>, kind: ChunkType, init: &Init<'_>) -> Result<(), DecodeError> {
    let params = init.params.clone().collect::<Result<Vec<_>, _>>()?;
    write_init(buf, kind, &init.fixed, |w| {
        params.iter().for_each(|param| param.write(w))
    });
    Ok(())
}

fn write_causes(w: &mut Writer<'_>, causes: &[Cause<'_>]) {
    causes.iter().for_each(|cause| cause.write(w));
}

/// Reads everything there is to read in `bytes`, taken as a packet whose checksum somebody else has checked. Each value
/// is also read as every chunk type it is not. Nothing may panic, and nothing may yield more than its bytes can hold.
pub(crate) fn walk_any_packet(bytes: &[u8]) {
    let _ = CommonHeader::parse(bytes);
    let Ok(packet) = Packet::parse(bytes, ChecksumRule::AcceptUnchecked) else {
        return;
    };
    let _ = (
        packet.check_bundling(),
        packet.first_chunk(),
        packet.find(ChunkType::ABORT),
    );
    let mut chunks = packet.chunks();
    let mut seen = 0;
    let mut end = CommonHeader::LEN;
    for chunk in chunks.by_ref() {
        seen += 1;
        let Ok(raw) = chunk else { break };
        assert_eq!(raw.offset, end, "chunks follow one another");
        assert_eq!(&bytes[raw.offset..raw.offset + raw.raw.len()], raw.raw);
        end = raw.offset + crate::tlv::padded(raw.raw.len());
        assert!(!format!("{:?}", Chunk::parse(&raw)).is_empty());
        walk_value(&raw);
    }
    assert!(chunks.is_empty() && chunks.next().is_none(), "an error is the end");
    assert!(seen <= bytes.len() / CHUNK_HEADER_LEN);
}

fn walk_value(raw: &RawChunk<'_>) {
    let RawChunk { flags, value, .. } = *raw;
    if let Ok(data) = DataChunk::parse(flags, value) {
        let range = payload_range(raw);
        assert_eq!(range.len(), data.payload.len());
        assert_eq!(range.start, raw.offset + DATA_HEADER_LEN);
    } else {
        assert!(payload_range(raw).is_empty());
    }
    if let Ok(init) = Init::parse(value) {
        walk_params(init.params, value.len());
    }
    if let Ok(sack) = Sack::parse(value) {
        assert_eq!(sack_len(sack.gaps.len(), sack.duplicates.len()), raw.raw.len());
        assert_eq!(sack.gaps.len(), sack.gaps.count());
        assert_eq!(sack.duplicates.len(), sack.duplicates.count());
    }
    if let Ok(abort) = Abort::parse(flags, value) {
        walk_causes(abort.causes, value.len());
    }
    if let Ok(error) = OperationError::parse(value) {
        walk_causes(error.causes, value.len());
    }
    walk_extensions(raw);
    let _ = (
        Heartbeat::parse(value),
        Shutdown::parse(value),
        CookieEcho::parse(value),
        raw.unknown_action(),
    );
    walk_params(Params::new(value), value.len());
    walk_causes(Causes::new(value), value.len());
}

fn walk_extensions(raw: &RawChunk<'_>) {
    let RawChunk { flags, value, .. } = *raw;
    match IDataChunk::parse(flags, value) {
        Ok(data) => {
            assert_eq!(i_data_payload_range(raw).len(), data.payload.len());
            assert_eq!(data.header.fragment.is_first(), data.header.fragment.ppid().is_some());
        }
        Err(_) => assert!(i_data_payload_range(raw).is_empty()),
    }
    match Auth::parse(value) {
        Ok(auth) => assert_eq!(hmac_range(raw).len(), auth.hmac.len()),
        Err(_) => assert!(hmac_range(raw).is_empty()),
    }
    if let Ok(asconf) = Asconf::parse(value) {
        assert!(asconf.requests.count() <= value.len().div_ceil(4));
    }
    if let Ok(ack) = AsconfAck::parse(value) {
        assert!(ack.responses.clone().count() <= value.len().div_ceil(4));
        for response in ack.responses.flatten() {
            if let AsconfResponse::Error { causes, .. } = response {
                walk_causes(causes, value.len());
            }
        }
    }
    if let Ok(reconfig) = Reconfig::parse(value) {
        let params: Vec<_> = reconfig.params.clone().collect();
        assert!(params.len() <= value.len().div_ceil(4));
        assert!(!reconfig.is_allowed() || (1..=2).contains(&params.len()));
        assert!(!format!("{params:?}").is_empty());
    }
    if let Ok(forward) = ForwardTsn::parse(value) {
        assert_eq!(forward_tsn_len(forward.streams.len()), raw.raw.len());
        assert_eq!(forward.streams.len(), forward.streams.count());
    }
    if let Ok(forward) = IForwardTsn::parse(value) {
        assert_eq!(i_forward_tsn_len(forward.messages.len()), raw.raw.len());
        assert_eq!(forward.messages.len(), forward.messages.count());
    }
}

fn walk_params(params: Params<'_>, len: usize) {
    assert!(params.tlvs().count() <= len.div_ceil(4));
    assert_eq!(params.tlvs().count(), params.clone().count());
    for param in params.flatten() {
        match param {
            Param::SupportedAddressTypes(types) => assert!(types.count() <= len / 2),
            Param::UnrecognizedParameter(bytes) => assert!(Params::new(bytes).count() <= len.div_ceil(4)),
            other => assert!(!format!("{other:?}").is_empty()),
        }
    }
}

fn walk_causes(causes: Causes<'_>, len: usize) {
    assert!(causes.tlvs().count() <= len.div_ceil(4));
    assert_eq!(causes.tlvs().count(), causes.clone().count());
    for cause in causes.flatten() {
        match cause {
            Cause::MissingMandatoryParameter(types) => assert!(types.count() <= len / 2),
            Cause::UnrecognizedParameters(bytes) | Cause::RestartWithNewAddresses(bytes) => {
                assert!(Tlvs::new(bytes, "nested").count() <= len.div_ceil(4));
            }
            other => assert!(!format!("{other:?}").is_empty()),
        }
    }
}
