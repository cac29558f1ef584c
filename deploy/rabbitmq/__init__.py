"""The broker's users, permissions, exchanges, queues and bindings, computed from the services' contracts."""
