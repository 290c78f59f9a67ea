"""支払い: attempts to pay, and acts about money."""
