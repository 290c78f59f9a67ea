"""通知先 (Webhook): endpoints of a company, and what was delivered to them."""
