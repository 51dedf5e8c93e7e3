"""Bodies that are compressed (RFC 9110, 8.4.1): unpacked up to what a body may have, and never
beyond.
"""

import zlib

from rollout_model.errors import Refused

GZIP, ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
ENCODINGS = {b"gzip": GZIP, b"x-gzip": GZIP, b"deflate": ZLIB}
"""Content-Encoding, and the format that zlib is to expect."""
MEMBERS = 16
"""Members of one body, as gzip allows them: each costs a copy of what follows, and clients send
one.
"""
PLAIN = frozenset({b"", b"identity"})


def unpacked(body: bytes, encoding: bytes, most: int) -> bytes:
    """The body as it was before it was compressed, of at most `most` bytes; raises Refused.
    `encoding`: the header's value.
    """
    encoding = encoding.strip().lower()
    if encoding in PLAIN:
        return body
    if encoding not in ENCODINGS:
        said = encoding.decode("latin-1")[:100]
        raise Refused(
            f"Content-Encoding {said!r} is not read: send the body as it is, or as gzip or deflate",
            415,
        )
    parts, size, rest = [], 0, body
    try:
        for _ in range(MEMBERS):
            reader = zlib.decompressobj(ENCODINGS[encoding])
            parts.append(reader.decompress(rest, most + 1 - size))
            size += len(parts[-1])
            if size > most:
                raise Refused(
                    f"the body is larger than {most} bytes once it is unpacked: send fewer rows",
                    413,
                )
            if not reader.eof:
                raise Refused(f"the body is no complete {encoding.decode()}: it ends too early")
            rest = reader.unused_data
            if not rest:
                return b"".join(parts)
        raise Refused(
            f"the body is {encoding.decode()} of more than {MEMBERS} members: send it as one"
        )
    except zlib.error as failure:
        raise Refused(
            f"the body is no {encoding.decode()}, as its Content-Encoding says: {failure}"
        ) from failure
