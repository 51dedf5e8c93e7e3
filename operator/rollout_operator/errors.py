"""What can go wrong with a call, in the operator's own words; clients' exceptions stop at their
module.
"""


class CallFailed(Exception):
    """The API server did not do as asked, or did not answer; the call may be repeated."""


class Conflict(CallFailed):
    """Somebody else has written since; look again before deciding anything."""


class Refused(CallFailed):
    """The API server will not have the object as it is; the same again comes to the same."""


class Foreign(Refused):
    """Somebody else's object has the name; nothing comes of it until that object goes."""


class Gone(CallFailed):
    """The object does not exist (any more)."""


class Expired(CallFailed):
    """What was asked for is too old to go on from; list again."""
