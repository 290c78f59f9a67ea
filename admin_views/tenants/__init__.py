"""企業: the companies that send, and how their pages look."""
