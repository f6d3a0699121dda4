"""The same against temperature."""
