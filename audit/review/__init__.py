"""What people say of audited rows: their verdicts, and what these do to a report."""
