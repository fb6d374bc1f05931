# Sourced by build and run: where the guest's files are.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Packages, images and the snapshot, about 350 MB; may be deleted at any time.
CACHE=${SCTP_GUEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sctp-guest}
die() { echo "${0##*/}: $*" >&2; exit 1; }
