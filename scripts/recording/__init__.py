"""docs/pictures/recording.svg: what `kubectl modelrollout get iris -w` showed in a real run."""
