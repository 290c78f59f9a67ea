"""名簿: uploads, their columns, single rows, and what to do next."""
