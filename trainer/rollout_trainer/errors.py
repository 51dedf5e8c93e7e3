"""What can be wrong with what the trainer is given."""


class TrainerError(Exception):
    """The message says what is wrong and what to do."""


class DataRefused(TrainerError):
    """The data breaks its contract; the message has every finding."""
