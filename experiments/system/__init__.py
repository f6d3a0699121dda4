"""The process and its machine: devices, hosts, signals, files, errors."""
