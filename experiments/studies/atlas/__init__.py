"""The atlas: many estimators, each measured on every problem that it takes."""
