"""What a rollout is and how it is judged: pure values and functions, no I/O, no clock."""
