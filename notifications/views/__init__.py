"""Pages about what people are told. They read PostgreSQL only; workers send."""
