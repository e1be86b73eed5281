"""Ansible's own reading of inventories, to compare ours with. It stays in a venv of its own."""
